package host

import (
	"errors"
	"net/netip"
	"os"
	"testing"
)

// A Reply to a mobile node at home is for its own link, whatever binding there is: RFC
// 5944, section 3.8.3.1. One to a care-of address goes as routes lead.
func TestRegistrationsAreAnsweredFromTheAddressThatTheyCameTo(t *testing.T) {
	w := newDualWorld(t)
	w.atAgent = w.agent.tunnel("user", AgentSide)
	w.agent.in(func() error {
		return w.atAgent.Set(Binding{Inner4: homeAddress4, Local: agent4, Remote: careOf4})
	})
	home := newNode(t)
	join(home, "home", w.agent, "lte")
	w.agent.address("lte", "192.0.2.1/26")
	home.address("home", "192.0.2.10/26")
	home.route("0.0.0.0/0", "192.0.2.1", "home")
	open := func(n *testNode, port uint16) (p *RegistrationPort) {
		n.in(func() (err error) { p, err = n.RegistrationPort(port); return err })
		t.Cleanup(func() { p.Close() })
		return p
	}
	at := open(w.agent, 434)
	for _, c := range []struct {
		of   *testNode
		from netip.Addr
		dev  string // that the answer goes by
		came string
	}{{w.mobile, careOf4, "", "core"}, {home, homeAddress4, "lte", "lte"}} {
		p := open(c.of, 0)
		c.of.must(p.Send("", c.from, netip.AddrPortFrom(agent4, 434), []byte("request")))
		got, err := at.Receive()
		if err != nil || len(got) != 1 || string(got[0].Octets) != "request" || got[0].From.Addr() != c.from || got[0].To != agent4 || got[0].Dev != c.came {
			t.Fatalf("from %v: the agent got %+v, %v", c.from, got, err)
		}
		w.agent.must(at.Send(c.dev, got[0].To, got[0].From, []byte("reply")))
		back, err := p.Receive()
		if err != nil || len(back) != 1 || string(back[0].Octets) != "reply" || back[0].From != netip.AddrPortFrom(agent4, 434) || back[0].To != c.from {
			t.Fatalf("at %v: %+v, %v", c.from, back, err)
		}
		if err := p.Send("", careOf, netip.AddrPortFrom(agent4, 434), []byte("x")); err == nil {
			t.Error("it was sent from an IPv6 address")
		}
	}
	at.Close()
	if _, err := at.Receive(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
