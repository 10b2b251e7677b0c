package aaa

import (
	"net/netip"
	"testing"

	"s2clab/nodes/wire/diameter"
)

// asksToServe has the PDN gateway ask over S6b whether it may serve a user.
func (n *network) asksToServe(session, user, apn string) (*diameter.AAAnswer, diameter.ResultCode) {
	n.Helper()
	m := n.send(pgw, &diameter.AARequest{Application: diameter.S6b, Session: pgw + ";6;" + session, Identity: diameter.Identity{Host: pgw, Realm: realm}, DestinationRealm: realm,
		Type: diameter.AuthorizeOnly, User: user, Service: apn, Agent: &diameter.AgentInfo{Addresses: []netip.Addr{agent}}})
	if m == nil {
		n.Fatal("no answer")
	}
	if a, err := diameter.ParseAAAnswer(m); err == nil {
		return a, a.Result
	}
	o, _, err := diameter.ParseError(m)
	if err != nil {
		n.Fatal(err)
	}
	return nil, o.Result
}

func TestAGatewayThatHasFetchedAKeyIsAuthorisedByTheHSS(t *testing.T) { // TS 29.273, section 9.1.2.2
	n := newNetwork(t, "gba", "")
	a, r := n.asksToServe("1", nai0, "internet")
	if r != diameter.Success || a.User != nai0 || len(a.APNs) != 1 || a.APNs[0].Service != "internet" {
		t.Fatalf("%v: %+v", r, a)
	}
	held, err := n.store.Registration(imsi)
	if err != nil || held.Gateways["internet"].Addresses[0] != agent {
		t.Errorf("the HSS holds %+v, %v", held, err)
	}
	// Who is authorised so is let go like everybody else: section 9.1.2.4.
	n.to = nil
	n.deregister()
	if got := n.aborts(); len(got) != 1 || got[0] != pgw+";6;1" {
		t.Errorf("aborts %q", got)
	}
}

func TestAGatewayIsToldWhomItMayNotServe(t *testing.T) {
	for name, c := range map[string]struct {
		user, apn string
		before    func(n *network)
		want      diameter.ResultCode
	}{
		"one who is barred":         {nai0, "internet", (*network).bar, diameter.AuthorizationRejected},
		"another APN":               {nai0, "corporate", nil, diameter.UserNoAPNSubscription},
		"a subscriber of nobody":    {"0001019999999999@" + naiReal, "internet", nil, diameter.UserUnknown},
		"a name that is no card's":  {"somebody@" + naiReal, "internet", nil, diameter.UserUnknown},
		"an HSS that says nonsense": {nai0, "internet", func(n *network) { n.spoil = dropping(diameter.ResultCodeAVP) }, diameter.UnableToComply},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, "gba", "")
			if c.before != nil {
				c.before(n)
			}
			if _, r := n.asksToServe("1", c.user, c.apn); r != c.want {
				t.Errorf("%v, want %v", r, c.want)
			}
			if n.m.Counts().Sessions != 0 || n.left() != 0 {
				t.Errorf("%d sessions, %d requests are left", n.m.Counts().Sessions, n.left())
			}
		})
	}
}

func TestAGatewayIsToldThatTheHSSIsSilent(t *testing.T) {
	n := newNetwork(t, "gba", "")
	n.silent["hss."+realm] = true
	n.to = nil
	n.deliver(n.from(pgw), &diameter.AARequest{Application: diameter.S6b, Session: pgw + ";6;1", Identity: diameter.Identity{Host: pgw, Realm: realm}, DestinationRealm: realm,
		Type: diameter.AuthorizeOnly, User: nai0, Service: "internet"})
	n.pass(10 * n.cfg.AAA.Timeout)
	for _, m := range n.to {
		if m.Command == diameter.AA {
			if o, _, err := diameter.ParseError(m); err != nil || o.Result != diameter.UnableToComply {
				t.Errorf("%v, %v", o, err)
			}
			if n.left() != 0 {
				t.Errorf("%d requests are left", n.left())
			}
			return
		}
	}
	t.Error("no answer")
}
