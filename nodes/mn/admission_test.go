package mn

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/eapaka"
	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/eap"
	"s2clab/nodes/wire/eapol"
	"s2clab/nodes/wire/mh"
)

const (
	imsi     = "001010000000001"
	naiUSIM  = "0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	aaaRealm = "epc.mnc001.mcc001.3gppnetwork.org"
	haHost   = "pgw." + aaaRealm
)

var (
	// K and OPc of TS 35.208, test set 1.
	cardK   = [16]byte{0x46, 0x5b, 0x5c, 0xe8, 0xb1, 0x99, 0xb4, 0x9f, 0xaa, 0x5f, 0x0a, 0x2e, 0xe2, 0x38, 0xa6, 0xbc}
	cardOPc = [16]byte{0xcd, 0x63, 0xcb, 0x71, 0x95, 0x4a, 0x9f, 0x4e, 0x48, 0xa5, 0x99, 0x4e, 0x37, 0xa0, 0x2b, 0xaf}
)

// carded is config with a card, and a WLAN and a WiMAX that authenticate mobile nodes.
func carded(how, source string) *control.Config {
	c := config()
	n := c.MobileNode
	n.NAI, n.MNHAKey, n.MNHASPI, n.MNAAAKey = naiUSIM, nil, 0, nil
	n.Security.Bootstrap, n.Security.KeySource = how, source
	n.USIM = &control.USIM{IMSI: imsi, K: cardK[:], OPc: cardOPc[:]}
	n.AAARealm, n.HomeAgents = aaaRealm, []control.NamedAgent{{Address: homeAgent, Host: haHost}}
	c.Interfaces[1].Auth, c.Interfaces[2].Auth = "eap-aka-prime", "eap-aka"
	return c
}

// A link is the router of an access, with an AAA server and an HSS behind it, which
// answer at once.
type link struct {
	*story
	dev       string
	mac       [6]byte
	policy    *eapaka.Policy
	server    *eapaka.Server // of the present conversation; nil: none
	sqn       *keys.SQN
	decide    func(eapaka.Authenticated) eapaka.Input
	spoiled   bool                // the HSS has another key
	heard     func(octets []byte) // what the mobile is told; nil: nobody listens
	lose      int                 // frames to the mobile that do not come
	vectors   int
	succeeded []eapaka.Succeeded
	failed    []string
}

func (s *story) link(dev string, sqn *keys.SQN, policy *eapaka.Policy) *link {
	l := &link{story: s, dev: dev, mac: [6]byte{2, 0, 0, 0, 9, byte(len(dev))}, policy: policy, sqn: sqn}
	return l
}

func newPolicy() *eapaka.Policy {
	return &eapaka.Policy{Aliases: eapaka.NewAliasTable(10), Pseudonyms: true, Reauths: 3, Authorize: true, Rand: rand.NewChaCha8([32]byte{4})}
}

// serve answers what the mobile has said on the link, until it says no more. All that
// came out besides is what came out of the last step then.
func (l *link) serve() {
	l.t.Helper()
	var rest []Output
	for range 20 {
		var frames []SendEAPOL
		for _, o := range l.out {
			if f, ok := o.(SendEAPOL); ok && f.Dev == l.dev {
				frames = append(frames, f)
			} else {
				rest = append(rest, o)
			}
		}
		l.out = nil
		if len(frames) == 0 {
			l.out = rest
			return
		}
		for _, f := range frames {
			l.hear(f.Octets)
		}
	}
	l.t.Fatal("they go on for ever")
}

func (l *link) hear(octets []byte) {
	l.t.Helper()
	f, err := eapol.Parse(octets)
	if err != nil {
		l.t.Fatal(err)
	}
	switch f.Type {
	case eapol.Start:
		l.asks()
	case eapol.EAPPacket:
		if l.server != nil {
			l.do(l.server.Step(eapaka.Received{Packet: f.Body}))
		}
	}
}

// asks begins a conversation.
func (l *link) asks() {
	l.t.Helper()
	network := "WLAN"
	l.server = eapaka.NewServer(l.policy, network)
	l.do(l.server.Step(eapaka.Start{}))
}

func (l *link) do(out []eapaka.Output) {
	l.t.Helper()
	for _, o := range slices.Clone(out) {
		switch o := o.(type) {
		case eapaka.Send:
			l.tells(o.Packet)
		case eapaka.WantVectors:
			l.do(l.server.Step(l.vector(o)))
		case eapaka.Authenticated:
			if l.decide != nil {
				l.do(l.server.Step(l.decide(o)))
			} else {
				l.do(l.server.Step(eapaka.Authorized{}))
			}
		case eapaka.Succeeded:
			l.succeeded = append(l.succeeded, o)
		case eapaka.Failed:
			l.failed = append(l.failed, o.Reason)
		}
	}
}

// tells sends the mobile an EAP packet.
func (l *link) tells(packet []byte) {
	l.t.Helper()
	if l.lose > 0 {
		l.lose--
		return
	}
	octets, err := eapol.Append(nil, &eapol.Frame{Type: eapol.EAPPacket, Body: packet})
	if err != nil {
		l.t.Fatal(err)
	}
	if l.heard != nil {
		l.heard(octets)
	}
	before := l.out
	l.step(EAPOLReceived{Dev: l.dev, From: l.mac, Octets: octets})
	l.out = append(before, l.out...)
}

func (l *link) vector(w eapaka.WantVectors) eapaka.Input {
	l.t.Helper()
	v := l.story.vector(l.sqn, w.Resync, w.Method == eap.TypeAKAPrime, w.Network)
	if l.spoiled {
		v.AUTN[15]++
	}
	l.vectors++
	return eapaka.Vectors{Vector: v}
}

// vector is one of an HSS that has the card's key.
func (s *story) vector(sqn *keys.SQN, resync *eapaka.Resync, prime bool, network string) keys.Vector {
	s.t.Helper()
	a := keys.NewMilenage(cardK, cardOPc)
	if resync != nil {
		at, err := keys.OpenAUTS(a, resync.RAND, resync.AUTS)
		if err != nil {
			s.t.Fatal(err)
		}
		*sqn = at
	}
	*sqn += 1 << 5
	var r [16]byte
	r[0], r[1], r[2] = byte(*sqn>>5), byte(*sqn>>13), 1
	amf := [2]byte{}
	if prime {
		amf[0] = 0x80
	}
	v, err := keys.NewVector(a, r, *sqn, amf)
	if err != nil {
		s.t.Fatal(err)
	}
	if prime {
		v.CK, v.IK = keys.BindToNetwork(v.CK, v.IK, network, [6]byte(v.AUTN[:6]))
	}
	return v
}

// attaches lets the mobile on a link by its carrier, and has the router advertise itself.
func (l *link) attaches(p netip.Prefix) {
	l.t.Helper()
	l.carrier(l.dev, true)
	l.serve()
	l.advertise(l.dev, p)
}

func (s *story) opened(dev string) bool { a := s.m.access(dev); return a.port.open }

func TestAnAccessThatAuthenticatesIsUsedOnceItHasAndItsKeysProveTheBinding(t *testing.T) {
	for _, dev := range []string{"wlan", "wimax"} {
		s := begin(t, carded("mip-options", "emsk"))
		var sqn keys.SQN
		l := s.link(dev, &sqn, newPolicy())
		s.carrier(dev, true)
		s.advertise(dev, wlanPrefix) // the port is shut: nothing of it is heard
		if len(s.sent) > 0 || s.m.here != nil || s.count("address-configured") != 0 {
			t.Fatalf("%s: used before it was let on", dev)
		}
		s.until(3 * time.Second) // it starts again
		l.serve()
		if !s.opened(dev) || len(l.succeeded) != 1 {
			t.Fatalf("%s: not open; %v", dev, l.failed)
		}
		e := s.mustHappen("access-authenticated")
		if e.Fields["fast"] != false || e.Fields["identity"] != "permanent" || e.Fields["link"] != dev {
			t.Errorf("%v", e.Fields)
		}
		held := s.m.security.held.Access
		if held.EMSK != l.succeeded[0].Keys.EMSK || held.RAND != l.succeeded[0].RAND || held.CK != l.succeeded[0].Keys.CK || held.Identity != naiUSIM {
			t.Errorf("%s: other keys", dev)
		}
		s.advertise(dev, wlanPrefix)
		u := s.last()
		method, _ := bootstrap.Of("", "mip-options", "emsk")
		root, _ := method.Server.MNAAA(&bootstrap.Found{Access: &keys.Access{EMSK: l.succeeded[0].Keys.EMSK}})
		data, _, authenticator, err := association.MobilityData(u.header, careOfIn(u), u.packet.UpperSrc())
		if want := keys.MNAAA(root.Value, data); err != nil || !bytes.Equal(authenticator, want[:]) {
			t.Errorf("%s: not proven by the EMSK", dev)
		}
	}
}

// The mobile told why, and no half-made association stays.
func TestFaultsOfAccessAuthentication(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(l *link)
		reason  string
	}{
		"a network with another key": {func(l *link) { l.spoiled = true }, "autn-invalid"},
		"a subscriber who is barred": {func(l *link) {
			l.decide = func(eapaka.Authenticated) eapaka.Input {
				return eapaka.Denied{Notification: eap.TemporarilyDenied, Reason: "barred"}
			}
		}, "temporarily-denied"},
		"an APN that is not his": {func(l *link) {
			l.decide = func(eapaka.Authenticated) eapaka.Input {
				return eapaka.Denied{Notification: eap.NotSubscribed, Reason: "apn"}
			}
		}, "not-subscribed"},
		"an HSS that gives no vector": {func(l *link) { l.sqn = nil }, "general-failure"},
		"no authenticator":            {func(l *link) { l.lose = 1000 }, "no-authenticator"},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, carded("mip-options", "emsk"))
			var sqn keys.SQN
			l := s.link("wlan", &sqn, newPolicy())
			c.happens(l)
			s.carrier("wlan", true)
			l.serveOr()
			s.until(9 * time.Second)
			e := s.mustHappen("access-refused")
			if e.Fields["reason"] != c.reason || e.Fields["link"] != "wlan" {
				t.Errorf("%v, want %s", e.Fields, c.reason)
			}
			s.advertise("wlan", wlanPrefix)
			if s.opened("wlan") || s.m.security.held.Access != nil || len(s.sent) > 0 || s.count("key-made") != 0 {
				t.Error("something stays")
			}
		})
	}
}

// serveOr is serve where an HSS may give nothing.
func (l *link) serveOr() {
	if l.sqn != nil {
		l.serve()
		return
	}
	for _, o := range slices.Clone(l.out) {
		if f, ok := o.(SendEAPOL); ok {
			l.hear(f.Octets)
		}
	}
	for range 5 {
		out := l.out
		l.out = nil
		for _, o := range slices.Clone(out) {
			f, ok := o.(SendEAPOL)
			if !ok || l.server == nil {
				continue
			}
			frame, err := eapol.Parse(f.Octets)
			if err != nil || frame.Type != eapol.EAPPacket {
				continue
			}
			for _, o := range slices.Clone(l.server.Step(eapaka.Received{Packet: frame.Body})) {
				switch o := o.(type) {
				case eapaka.Send:
					l.tells(o.Packet)
				case eapaka.WantVectors:
					l.do(l.server.Step(eapaka.Refused{Reason: "hss-unreachable"}))
				}
			}
		}
	}
}

func TestACardThatIsAheadIsLetOnAfterOneRoundMore(t *testing.T) {
	cfg := carded("mip-options", "emsk")
	cfg.MobileNode.USIM.SQN = 9000 << 5
	s := begin(t, cfg)
	var sqn keys.SQN
	l := s.link("wlan", &sqn, newPolicy())
	s.carrier("wlan", true)
	l.serve()
	if !s.opened("wlan") || l.vectors != 2 || sqn <= 9000<<5 {
		t.Errorf("%d vectors, sequence number %d", l.vectors, sqn)
	}
}

func TestAnAuthenticationThatIsRepeatedIsAFastOneAndKeepsThePort(t *testing.T) {
	s := begin(t, carded("partial-gba", ""))
	var sqn keys.SQN
	l := s.link("wlan", &sqn, newPolicy())
	l.attaches(wlanPrefix)
	first := *s.m.security.held.Access
	sent := len(s.sent)
	s.now = s.now.Add(time.Second)
	l.asks()
	l.serve()
	if len(l.succeeded) != 2 || !l.succeeded[1].Fast || l.vectors != 1 {
		t.Fatalf("%d succeeded, %d vectors; %v", len(l.succeeded), l.vectors, l.failed)
	}
	held := s.m.security.held.Access
	if held.EMSK != l.succeeded[1].Keys.EMSK || held.EMSK == first.EMSK || held.RAND != first.RAND || held.CK != first.CK {
		t.Error("keys are not those of a re-authentication")
	}
	if e := s.mustHappen("access-authenticated"); e.Fields["fast"] != true || e.Fields["identity"] != "re-authentication" {
		t.Errorf("%v", e.Fields)
	}
	if !s.opened("wlan") || s.count("access-shut") != 0 || len(s.sent) != sent {
		t.Error("the port was shut meanwhile, or the binding made anew")
	}
	// The identity that was used is gone, and the one that was handed out is used next.
	s.carrier("wlan", false)
	l.attaches(wlanPrefix)
	if len(l.succeeded) != 3 || !l.succeeded[2].Fast || l.succeeded[2].Counter != 2 {
		t.Errorf("%+v; %v", l.succeeded, l.failed)
	}
	// What the server has forgotten is done in full.
	l.policy = newPolicy()
	s.carrier("wlan", false)
	l.attaches(wlanPrefix)
	if len(l.succeeded) != 4 || l.succeeded[3].Fast || s.m.security.held.Access.RAND != l.succeeded[3].RAND {
		t.Errorf("%d; %v", len(l.succeeded), l.failed)
	}
}

func TestAPortThatIsShutWhileAttachedSendsTheMobileToAnotherAccess(t *testing.T) {
	s := begin(t, carded("mip-options", "emsk"))
	var sqn keys.SQN
	wlan, wimax := s.link("wlan", &sqn, newPolicy()), s.link("wimax", &sqn, newPolicy())
	wimax.attaches(wimaxPrefix)
	s.now = s.now.Add(time.Second)
	wlan.attaches(wlanPrefix)
	if s.m.here == nil || s.m.here.dev != "wlan" {
		t.Fatal("not on the newest")
	}
	s.now = s.now.Add(time.Second)
	wlan.decide = func(eapaka.Authenticated) eapaka.Input {
		return eapaka.Denied{Notification: eap.TemporarilyDenied, Reason: "barred"}
	}
	wlan.asks()
	wlan.serve()
	if s.opened("wlan") || s.m.here == nil || s.m.here.dev != "wimax" || s.m.careOf != careOfWiMAX {
		t.Fatalf("on %v", s.m.here)
	}
	s.mustHappen("access-shut")
	if u := s.last(); careOfIn(u) != careOfWiMAX {
		t.Errorf("told %v", careOfIn(u))
	}
	if a := s.m.access("wlan"); a.address.prefix.IsValid() || a.dhcp.running4 || len(a.routers) > 0 {
		t.Error("something of the link stays")
	}
}

func TestAMobileThatMovesWhileItIsAuthenticatedBeginsAnew(t *testing.T) {
	s := begin(t, carded("mip-options", "emsk"))
	var sqn keys.SQN
	l := s.link("wlan", &sqn, newPolicy())
	s.carrier("wlan", true)
	frames := s.out
	l.out = frames
	f, _ := find[SendEAPOL](frames)
	l.out = nil
	l.hear(f.Octets) // EAP-Request/Identity, and its answer is on the way
	s.carrier("wlan", false)
	late := l.out
	l.out = late
	l.serve() // what comes late has no effect
	if s.opened("wlan") || s.m.security.held.Access != nil {
		t.Fatal("let on without a carrier")
	}
	s.now = s.now.Add(time.Second)
	l.attaches(wlanPrefix)
	if !s.opened("wlan") || len(s.sent) != 1 {
		t.Errorf("open %v, %d sent", s.opened("wlan"), len(s.sent))
	}
}

func TestWithoutKeysOfAnAccessNoBindingUpdateIsSentAndWhyIsTold(t *testing.T) {
	cfg := carded("partial-gba", "")
	cfg.Interfaces[2].Auth = ""
	s := begin(t, cfg)
	s.visit("wimax", wimaxPrefix)
	s.until(60 * time.Second)
	if len(s.sent) > 0 {
		t.Fatal("sent")
	}
	if e := s.mustHappen("bootstrap-failed"); e.Fields["reason"] != "no access has authenticated this node" || s.count("bootstrap-failed") > 3 {
		t.Errorf("%v, %d times", e.Fields, s.count("bootstrap-failed"))
	}
	var sqn keys.SQN
	s.link("wlan", &sqn, newPolicy()).attaches(wlanPrefix)
	if len(s.sent) != 1 || authOf(s.last()).Subtype != mh.MNHA {
		t.Errorf("%d sent once there are keys", len(s.sent))
	}
}

func TestWhatIsMissingIsToldBeforeItBegins(t *testing.T) {
	for name, change := range map[string]func(*control.MobileNode){
		"a card":        func(n *control.MobileNode) { n.USIM = nil },
		"a K too short": func(n *control.MobileNode) { n.USIM.K = n.USIM.K[:15] },
		"no OPc":        func(n *control.MobileNode) { n.USIM.OPc = nil },
	} {
		cfg := carded("mip-options", "emsk")
		change(cfg.MobileNode)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	for _, how := range [][2]string{{"gba", ""}, {"mip-options", "gba"}, {"gba-rfc3957", ""}} {
		if _, err := New(carded(how[0], how[1])); err == nil {
			t.Errorf("%v without a BSF: made", how)
		}
	}
	cfg := carded("mip-options", "aka")
	cfg.MobileNode.USIM = nil
	cfg.Interfaces[1].Auth, cfg.Interfaces[2].Auth = "", ""
	if _, err := New(cfg); err == nil {
		t.Error("aka without a card: made")
	}
	cfg = carded("mip-options", "emsk")
	cfg.Interfaces[1].Auth = "eap-tls"
	if _, err := New(cfg); err == nil {
		t.Error("another method: made")
	}
}

// An AAA server that was restarted has lost what accesses have left: the mobile is told so
// by status 146, and has its access authenticate it again, once.
func TestKeysThatTheNetworkHasLostAreMadeAgainOnce(t *testing.T) {
	for _, how := range [][2]string{{"partial-gba", ""}, {"mip-options", "emsk"}} {
		s := begin(t, carded(how[0], how[1]))
		var sqn keys.SQN
		l := s.link("wlan", &sqn, newPolicy())
		l.attaches(wlanPrefix)
		first := *s.m.security.held.Access
		if len(s.sent) != 1 {
			t.Fatal("not sent")
		}
		l.policy = newPolicy()
		s.answer(mh.AuthFail, func(a *answer) { a.key = nil })
		if len(s.sent) != 1 || s.m.security.held.Access != nil || !s.opened("wlan") {
			t.Fatalf("%d sent, held %v", len(s.sent), s.m.security.held.Access != nil)
		}
		l.serve()
		if len(s.sent) != 2 || len(l.succeeded) != 2 || l.succeeded[1].Fast || s.m.security.held.Access.RAND == first.RAND || s.count("access-shut") > 0 {
			t.Fatalf("%v: %d sent, %d authentications; %v", how, len(s.sent), len(l.succeeded), l.failed)
		}
		s.answer(mh.AuthFail, func(a *answer) { a.key = nil })
		l.serve()
		s.until(10 * time.Minute)
		l.serve()
		if len(s.sent) != 2 || len(l.succeeded) != 2 {
			t.Errorf("%v: and again: %d sent, %d authentications", how, len(s.sent), len(l.succeeded))
		}
	}
}

// FuzzAdmission gives frames of 802.1X to a mobile node in the middle of an
// authentication, and responses of whoever is where it looks for its BSF: no port opens
// and no key is taken over, for nobody there has the card's key.
func FuzzAdmission(f *testing.F) {
	var sqn keys.SQN
	s := begin(&testing.T{}, carded("mip-options", "emsk"))
	l := s.link("wlan", &sqn, newPolicy())
	s.carrier("wlan", true)
	l.heard = func(octets []byte) {
		f.Add(octets, uint16(401), "Digest realm=\""+bsfHost+"\", nonce=\"AAAA\", algorithm=AKAv1-MD5, qop=\"auth-int\"", "")
	}
	l.spoiled = true
	l.serve()
	for _, packet := range [][]byte{{3, 7, 0, 4}, {4, 7, 0, 4}, {1, 7, 0, 5, 1}} {
		octets, err := eapol.Append(nil, &eapol.Frame{Type: eapol.EAPPacket, Body: packet})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(octets, uint16(200), "", "<BootstrappingInfo/>")
	}
	f.Fuzz(func(t *testing.T, octets []byte, status uint16, challenge, info string) {
		s := begin(t, carded("mip-options", "emsk"))
		var sqn keys.SQN
		l := s.link("wlan", &sqn, newPolicy())
		s.carrier("wlan", true)
		l.spoiled = true
		l.asks()
		for range 3 {
			s.step(EAPOLReceived{Dev: "wlan", From: l.mac, Octets: octets})
		}
		s.until(20 * time.Second)
		if s.opened("wlan") || s.m.security.held.Access != nil {
			t.Fatal("let on by a stranger")
		}

		s = begin(t, withBSF("gba", ""))
		s.visit("wlan", wlanPrefix)
		for id := range uint64(5) {
			s.step(UbAnswered{ub.Responded{ID: id, Response: ub.Response{Status: int(status), Challenges: []string{challenge}, AuthenticationInfo: info, ContentType: "application/vnd.3gpp.bsf+xml", Body: []byte(info)}}})
		}
		s.until(time.Minute)
		if s.m.security.held.GBA != nil || len(s.sent) > 0 {
			t.Fatal("bootstrapped by a stranger")
		}
	})
}
