package aaa

import (
	"slices"
	"testing"
	"time"

	"s2clab/nodes/hss"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/mh"
)

// asksChallenge is the first round of AKA inside Binding Updates.
func asksChallenge(r *diameter.MIP6Request) { r.Mode = diameter.AuthAKA }

// challengeOf has a mobile challenged.
func (n *network) challengeOf(session string) *diameter.Challenge {
	n.Helper()
	a, result := n.proven(session, nai0, make([]byte, 16), asksChallenge)
	if result != diameter.MultiRoundAuth || a.Challenge == nil || a.MSA != nil {
		n.Fatalf("%v, %+v", result, a)
	}
	return a.Challenge
}

// answered is the second round, proven by the key of a card that was challenged.
func (n *network) answered(session, identifier string, u *mobile, c *diameter.Challenge, change ...func(*diameter.MIP6Request)) (*diameter.MIP6Answer, diameter.ResultCode) {
	n.Helper()
	held := heldBy(u)
	method, err := bootstrap.Of("", "mip-options", "aka")
	if err != nil {
		n.Fatal(err)
	}
	if _, err := method.Mobile.(bootstrap.Challenged).Challenge(held, mh.KeyMaterial{Kind: mh.AKAChallenge, Data: slices.Concat(c.RAND[:], c.AUTN[:])}); err != nil {
		n.Fatal(err)
	}
	p := method.Mobile.Prove(held, bootstrap.Agent{Address: agent, Host: pgw})
	return n.proven(session, identifier, p.Key.Value, append([]func(*diameter.MIP6Request){func(r *diameter.MIP6Request) {
		r.Mode, r.Answer = diameter.AuthAKA, p.Options[0].(mh.KeyMaterial).Data
	}}, change...)...)
}

func TestAChallengeInsideABindingUpdateIsGoodForOneAnswer(t *testing.T) {
	n := newNetwork(t, "mip-options", "aka")
	u := newMobile(t)
	c := n.challengeOf("1")
	kept := *u.card
	a, r := n.answered("1", nai0, u, c)
	if r != diameter.Success || a.MSA == nil || a.User != nai0 {
		t.Fatalf("%v, %+v; told %q", r, a, n.told)
	}
	*u.card = kept
	kept2, err := keptCard(u)
	if err != nil {
		t.Fatal(err)
	}
	if _, r := n.answered("2", nai0, kept2, c); r != diameter.UnknownSessionID {
		t.Errorf("%v for an answer that comes twice", r)
	}
	if held, err := n.store.Registration(imsi); err != nil || len(held.Gateways) != 1 || held.Gateways["internet"].Host != pgw { // PGW_UPDATE
		t.Errorf("gateways %+v, %v", held, err)
	}
	if n.left() != 0 || len(n.m.authority.challenges.open) != 0 {
		t.Errorf("%d left, %d challenges", n.left(), len(n.m.authority.challenges.open))
	}
}

// keptCard is a card that has accepted nothing yet, with the same key.
func keptCard(u *mobile) (*mobile, error) {
	other := *u
	return &other, other.card.Restore(make([]uint64, 32))
}

func TestFaultsOfAChallengeInsideABindingUpdate(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode
		want    diameter.ResultCode
	}{
		"another's challenge": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			_, r := n.answered("2", "0001010000000002@"+naiReal, u, c)
			return r
		}, diameter.UnknownSessionID},
		"one that has expired": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			n.pass(challengeLasts + time.Millisecond)
			_, r := n.answered("2", nai0, u, c)
			return r
		}, diameter.UnknownSessionID},
		"a server that was restarted": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			n.restart()
			_, r := n.answered("2", nai0, u, c)
			return r
		}, diameter.UnknownSessionID},
		"a key of another card": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			_, r := n.answered("2", nai0, u, c, func(r *diameter.MIP6Request) { r.Authenticator[0]++ })
			return r
		}, diameter.AuthenticationRejected},
		"an authenticator of zeros over nothing": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			_, r := n.answered("2", nai0, u, c, func(r *diameter.MIP6Request) { r.Authenticator, r.MobilityData = make([]byte, 20), nil })
			return r
		}, diameter.AuthenticationRejected},
		"a barred subscriber": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			s := subscription()
			s.BarredNon3GPP = true
			if _, err := n.hss.Put(s); err != nil {
				t.Fatal(err)
			}
			_, r := n.answered("2", nai0, u, c)
			return r
		}, diameter.AuthorizationRejected},
		"an APN that is not subscribed": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			_, r := n.answered("2", nai0, u, c, func(r *diameter.MIP6Request) { r.Service = "ims" })
			return r
		}, diameter.AuthorizationRejected},
		"no card's identifier": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			asked := len(n.asked)
			_, r := n.proven("2", "somebody@"+naiReal, make([]byte, 16), asksChallenge)
			if len(n.asked) != asked {
				t.Error("the HSS is asked")
			}
			return r
		}, diameter.AuthenticationRejected},
		"a subscriber whom the HSS does not know": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			_, r := n.proven("2", "0001010000000009@"+naiReal, make([]byte, 16), asksChallenge)
			return r
		}, diameter.AuthenticationRejected},
		"an AUTS that is forged": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			_, r := n.proven("2", nai0, make([]byte, 16), asksChallenge, func(r *diameter.MIP6Request) { r.Answer = append(c.RAND[:], make([]byte, 14)...) })
			return r
		}, diameter.AuthenticationRejected},
		"the mode of a key that is known": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			_, r := n.answered("2", nai0, u, c, func(r *diameter.MIP6Request) { r.Mode, r.Answer = diameter.AuthMNAAA, nil })
			return r
		}, diameter.ErrorMIP6AuthMode},
		"an HSS that is silent": {func(n *network, u *mobile, c *diameter.Challenge) diameter.ResultCode {
			n.silent["hss."+realm] = true
			before := len(n.to)
			if a, _ := n.proven("2", nai0, make([]byte, 16), asksChallenge); a != nil {
				t.Fatal("answered")
			}
			n.pass(10 * time.Second)
			o, _, err := diameter.ParseError(n.to[before])
			if err != nil {
				t.Fatal(err)
			}
			return o.Result
		}, diameter.UnableToDeliver},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, "mip-options", "aka")
			if r := c.happens(n, newMobile(t), n.challengeOf("1")); r != c.want {
				t.Errorf("%v, want %v; told %q", r, c.want, n.told)
			}
			if n.m.Counts().Sessions != 0 || n.left() != 0 {
				t.Errorf("%d sessions, %d left", n.m.Counts().Sessions, n.left())
			}
		})
	}
}

func TestACardThatIsAheadIsChallengedAgain(t *testing.T) {
	n := newNetwork(t, "mip-options", "aka")
	u := newMobile(t)
	if err := u.card.Restore(slices.Repeat([]uint64{7000}, 32)); err != nil {
		t.Fatal(err)
	}
	c := n.challengeOf("1")
	a, r := n.answered("1", nai0, u, c)
	if r != diameter.MultiRoundAuth || a.Challenge == nil {
		t.Fatalf("%v", r)
	}
	if a, r = n.answered("1", nai0, u, a.Challenge); r != diameter.Success || a.MSA == nil {
		t.Fatalf("%v", r)
	}
	n.mustSee("challenge-sent " + nai0)
}

// The right code on every leg, of which the home agent makes what the mobile is told;
// no half-made association stays.
func TestFaultsOfGBA(t *testing.T) {
	btid := keys.BTID([16]byte{7}, "bsf."+realm)
	ksNAF := make([]byte, 32)
	ksNAF[3] = 9
	good := diameter.BootstrappingInfoAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, User: nai0, Key: ksNAF, Expires: start.Add(10 * time.Minute)}
	for name, c := range map[string]struct {
		bsf     func(a *diameter.BootstrappingInfoAnswer)
		happens func(n *network)
		want    diameter.ResultCode
	}{
		"nothing": {want: diameter.Success},
		"a B-TID that is not known": {bsf: func(a *diameter.BootstrappingInfoAnswer) {
			*a = diameter.BootstrappingInfoAnswer{Outcome: diameter.Outcome{Result: diameter.TransactionIdentifierInvalid}}
		}, want: diameter.UnknownSessionID},
		"a NAF that is not authorised": {bsf: func(a *diameter.BootstrappingInfoAnswer) {
			*a = diameter.BootstrappingInfoAnswer{Outcome: diameter.Outcome{Result: diameter.NotAuthorized}}
		},
			want: diameter.UnknownSessionID},
		"a key that has expired":        {bsf: func(a *diameter.BootstrappingInfoAnswer) { a.Expires = start.Add(-time.Second) }, want: diameter.UnknownSessionID},
		"a key of one octet":            {bsf: func(a *diameter.BootstrappingInfoAnswer) { a.Key = []byte{1} }, want: diameter.UnableToComply},
		"another key":                   {bsf: func(a *diameter.BootstrappingInfoAnswer) { a.Key = make([]byte, 32) }, want: diameter.AuthenticationRejected},
		"nobody's key":                  {bsf: func(a *diameter.BootstrappingInfoAnswer) { a.User = "" }, want: diameter.UnableToComply},
		"a user who is not the HSS's":   {bsf: func(a *diameter.BootstrappingInfoAnswer) { a.User = "fixed@home.example" }, want: diameter.AuthorizationRejected},
		"a user whom the HSS knows not": {bsf: func(a *diameter.BootstrappingInfoAnswer) { a.User = "0001010000000009@" + naiReal }, want: diameter.AuthorizationRejected},
		"no key":                        {happens: func(n *network) { n.spoil = dropping(diameter.MEKeyMaterial) }, want: diameter.UnableToComply},
		"a BSF that is too busy": {bsf: func(a *diameter.BootstrappingInfoAnswer) {
			*a = diameter.BootstrappingInfoAnswer{Outcome: diameter.Outcome{Result: diameter.TooBusy}}
		}, want: diameter.UnableToDeliver},
		"a BSF that is silent":           {happens: func(n *network) { n.silent["bsf."+realm] = true }, want: diameter.UnableToDeliver},
		"a BSF that is gone":             {happens: func(n *network) { n.hear(n.m.Step(n.now, closed(n.from("bsf."+realm)))); n.silent["bsf."+realm] = true }, want: diameter.UnableToDeliver},
		"an HSS that is silent":          {happens: func(n *network) { n.silent["hss."+realm] = true }, want: diameter.UnableToDeliver},
		"a subscriber who is barred":     {happens: func(n *network) { n.bar() }, want: diameter.AuthorizationRejected},
		"a subscriber who has been gone": {happens: func(n *network) { n.hss.Remove(imsi) }, want: diameter.AuthorizationRejected},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, "mip-options", "gba")
			n.bsf = func(r *diameter.BootstrappingInfoRequest) *diameter.BootstrappingInfoAnswer {
				if want := string(bootstrap.NAFID("aaa." + realm)); r.Transaction != btid || string(r.NAFID) != want {
					t.Errorf("asked %q of %q", r.Transaction, r.NAFID)
				}
				a := good
				if c.bsf != nil {
					c.bsf(&a)
				}
				return &a
			}
			if c.happens != nil {
				c.happens(n)
			}
			before := len(n.to)
			a, r := n.proven("1", btid, ksNAF)
			if r == 0 {
				n.pass(10 * time.Second)
				if len(n.to) == before {
					t.Fatal("no answer")
				}
				o, _, _ := diameter.ParseError(n.to[before])
				r = o.Result
			}
			if r != c.want {
				t.Fatalf("%v, want %v; told %q", r, c.want, n.told)
			}
			if sessions := n.m.Counts().Sessions; (sessions == 1) != (c.want == diameter.Success) || n.left() != 0 {
				t.Errorf("%d sessions, %d left", sessions, n.left())
			}
			if r == diameter.Success && (a.User != nai0 || a.MSA.Lifetime != 10*time.Minute) {
				t.Errorf("%s for %v: what is made of a key lasts no longer than it", a.User, a.MSA.Lifetime)
			}
		})
	}
}

func closed(conn uint64) diampeer.Closed { return diampeer.Closed{Conn: conn, Reason: "reset"} }

func dropping(code diameter.Code) func(request, answer *diameter.Message) *diameter.Message {
	return func(_, answer *diameter.Message) *diameter.Message { return without(answer, code) }
}

// bar bars the subscriber in the HSS, which has nobody to tell yet.
func (n *network) bar() {
	n.Helper()
	s := subscription()
	s.BarredNon3GPP = true
	if _, err := n.hss.Put(s); err != nil {
		n.Fatal(err)
	}
}

// zn asks for the key of a bootstrapping.
func (n *network) zn(btid, fqdn string) (*diameter.BootstrappingInfoAnswer, diameter.ResultCode) {
	n.Helper()
	m := n.send(pgw, &diameter.BootstrappingInfoRequest{Session: pgw + ";1;9", Identity: diameter.Identity{Host: pgw, Realm: realm}, DestinationRealm: realm, Transaction: btid, NAFID: bootstrap.NAFID(fqdn)})
	if m == nil {
		return nil, 0
	}
	o, _, err := diameter.ParseError(m)
	if err != nil {
		n.Fatal(err)
	}
	a, _ := diameter.ParseBootstrappingInfoAnswer(m)
	if a != nil && o.Result != diameter.Success && a.Key != nil {
		n.Errorf("%v with a key", o.Result)
	}
	return a, o.Result
}

func TestAHomeAgentHasTheKeyThatPartialGBAMakesForItAndNoOther(t *testing.T) {
	n := newNetwork(t, "partial-gba", "")
	u := newMobile(t)
	n.admitted(u, "1")
	p := n.proof(heldBy(u))
	a, r := n.zn(p.Identifier, pgw)
	if r != diameter.Success || a.User != nai0 || len(a.Key) != 32 || string(a.Key[:16]) != string(p.Key.Value) {
		t.Fatalf("%v, %+v; told %q", r, a, n.told)
	}
	for name, c := range map[string]struct {
		btid, fqdn string
		happens    func()
		want       diameter.ResultCode
	}{
		"another's name":            {p.Identifier, "pgw-2." + realm, nil, diameter.NotAuthorized},
		"no name":                   {p.Identifier, "", nil, diameter.NotAuthorized},
		"a B-TID that is not known": {keys.BTID([16]byte{1}, "aaa."+realm), pgw, nil, diameter.TransactionIdentifierInvalid},
		"an NAI":                    {nai0, pgw, nil, diameter.TransactionIdentifierInvalid},
	} {
		if _, r := n.zn(c.btid, c.fqdn); r != c.want {
			t.Errorf("%s: %v, want %v", name, r, c.want)
		}
	}
	barred := diameter.Non3GPPBarred
	n.push(&diameter.PushProfileRequest{Session: "hss;1;2", Identity: diameter.Identity{Host: "hss." + realm, Realm: realm}, DestinationHost: "aaa." + realm, DestinationRealm: realm, User: imsi,
		Data: &diameter.Non3GPPUserData{Access: &barred}})
	if _, r := n.zn(p.Identifier, pgw); r != diameter.NotAuthorized {
		t.Errorf("%v for one who is barred", r)
	}
	n.restart()
	if _, r := n.zn(p.Identifier, pgw); r != diameter.TransactionIdentifierInvalid {
		t.Errorf("%v after a restart", r)
	}
}

func TestWhoOnlyVouchesForOptionsGivesNoKeys(t *testing.T) {
	n := newNetwork(t, "mip-options", "emsk")
	n.admitted(newMobile(t), "1")
	if m := n.send(pgw, &diameter.BootstrappingInfoRequest{Session: pgw + ";1;9", Identity: diameter.Identity{Host: pgw, Realm: realm}, DestinationRealm: realm,
		Transaction: n.m.records.byNAI[nai0].btid, NAFID: bootstrap.NAFID(pgw)}); m != nil {
		if o, _, _ := diameter.ParseError(m); o.Result.Succeeded() {
			t.Errorf("%v", o.Result)
		}
	}
}

func TestKeysOfAnAccessProveABindingUpdateUntilTheServerForgetsThem(t *testing.T) {
	n := newNetwork(t, "mip-options", "emsk")
	u := newMobile(t)
	n.admitted(u, "1")
	p := n.proof(heldBy(u))
	a, r := n.proven("2", p.Identifier, p.Key.Value)
	if r != diameter.Success || a.MSA == nil {
		t.Fatal(r)
	}
	if _, r := n.proven("3", p.Identifier, append([]byte{1}, p.Key.Value[1:]...)); r != diameter.AuthenticationRejected {
		t.Errorf("%v for another key", r)
	}
	if _, r := n.proven("3", "0001010000000002@"+naiReal, p.Key.Value); r != diameter.UnknownSessionID {
		t.Errorf("%v for one who has not been on an access", r)
	}
	if _, r := n.proven("3", p.Identifier, p.Key.Value, func(r *diameter.MIP6Request) { r.Mode = diameter.AuthAKA }); r != diameter.ErrorMIP6AuthMode {
		t.Errorf("%v for another mode", r)
	}
	n.restart()
	if _, r := n.proven("4", p.Identifier, p.Key.Value); r != diameter.UnknownSessionID || n.m.Counts().Sessions != 0 {
		t.Errorf("%v after a restart", r)
	}
}

func TestAnHSSThatDoesNotTakeTheGatewayIsNoReasonToRefuse(t *testing.T) {
	n := newNetwork(t, "mip-options", "emsk")
	u := newMobile(t)
	n.admitted(u, "1")
	if n.hss.Assign(hss.AssignmentRequest{Server: "aaa." + realm, IMSI: imsi, Type: diameter.UserDeregistration}).Result != diameter.Success {
		t.Fatal("still registered")
	}
	p := n.proof(heldBy(u))
	if _, r := n.proven("2", p.Identifier, p.Key.Value); r != diameter.Success {
		t.Error(r)
	}
	n.mustSee("hss-failed " + nai0 + " pgw-update identity-not-registered")
}
