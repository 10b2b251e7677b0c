package mn

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/eapol"
	"s2clab/nodes/wire/mh"
)

// TestWhateverHappensTheMachineHoldsItsInvariants lets a mobile node meet random
// links, routers, kernels, home agents and strangers.
func TestWhateverHappensTheMachineHoldsItsInvariants(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		cfg := config()
		if rapid.Bool().Draw(r, "bootstrap") {
			cfg = bootstrapped()
		}
		if rapid.Bool().Draw(r, "card") {
			how := rapid.SampledFrom([][2]string{{"mip-options", "emsk"}, {"mip-options", "gba"}, {"mip-options", "aka"}, {"gba-rfc3957", ""}, {"gba", ""}, {"partial-gba", ""}}).Draw(r, "method")
			open := [2]bool{rapid.Bool().Draw(r, "open wlan"), rapid.Bool().Draw(r, "open wimax")}
			cfg = withBSF(how[0], how[1])
			for i, auth := range []string{"eap-aka-prime", "eap-aka"} {
				if !open[i] {
					cfg.Interfaces[1+i].Auth = auth
				}
			}
		}
		unknown := rapid.Bool().Draw(r, "no home address")
		if unknown {
			cfg = homeless(cfg)
		}
		if rapid.Bool().Draw(r, "dual stack") {
			cfg.MobileNode.HomeAgent4, cfg.MobileNode.IPv4Home = agent4, true
			if !unknown {
				cfg.MobileNode.HomeAddress4, cfg.MobileNode.HomePrefix4 = home4, home4Net
			}
			cfg.MobileNode.ForceUDP = rapid.Bool().Draw(r, "force UDP")
		}
		cfg.MobileNode.Policy = control.Policy{Kind: rapid.SampledFrom([]string{"newest", "keep", "preferred", "signal"}).Draw(r, "policy"),
			Prefer: []string{"wlan", "lte"}, Threshold: -75, Hysteresis: 2, TimeToTrigger: rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(r, "trigger")}
		sec := &cfg.MobileNode.Security
		if !unknown {
			sec.Integrity = rapid.SampledFrom([]string{"none", "auth-options"}).Draw(r, "integrity")
		}
		sec.Replay = rapid.SampledFrom([]string{"timestamp", "sequence"}).Draw(r, "replay")
		cfg.MobileNode.DAD = rapid.SampledFrom([]string{"none", "optimistic", "full"}).Draw(r, "dad")
		if rapid.Bool().Draw(r, "another home agent") {
			cfg.MobileNode.HomeAgent = netip.MustParseAddr("2001:db8:999::1") // not on the home link
		}
		s := begin(t, cfg)
		w := &world{story: s, added: map[string]bool{}}
		if cfg.MobileNode.USIM != nil {
			w.bsf, w.links = s.bsf(time.Minute), map[string]*link{}
			for _, dev := range []string{"wlan", "wimax"} {
				w.links[dev] = s.link(dev, &w.bsf.sqn, newPolicy())
			}
		}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			w.random(r)
			w.check(r)
		}
	})
}

// A world is a story with what the kernel would hold.
type world struct {
	*story
	added    map[string]bool // device and address
	tunnel   netip.Addr
	expected netip.Addr
	home     string // the device that has the home address
	byHome   bool   // applications send through the home link
	taken    bool   // the home address was assigned
	checked  int    // of s.sent
	runs     []AskBSF

	bsf   *bsf // nil: there is no card
	links map[string]*link
}

func (w *world) random(r *rapid.T) {
	devs := []string{"lte", "wlan", "wimax"}
	dev := rapid.SampledFrom(devs).Draw(r, "device")
	prefix := rapid.SampledFrom([]netip.Prefix{homePrefix, wlanPrefix, wimaxPrefix}).Draw(r, "prefix")
	w.out = nil
	most := 12
	if w.bsf != nil {
		most = 17
	}
	switch rapid.IntRange(0, most).Draw(r, "what") {
	case 13, 14: // a whole authentication, or where it ends
		if l := w.links[dev]; l != nil && w.m.access(dev).port != nil {
			l.lose = rapid.SampledFrom([]int{0, 0, 0, 1, 3}).Draw(r, "lost")
			l.spoiled = rapid.IntRange(0, 4).Draw(r, "another key") == 0
			l.asks()
			l.serve()
			l.lose = 0
		}
	case 15:
		octets := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(r, "octets")
		if rapid.Bool().Draw(r, "EAP") && len(octets) > 4 {
			body := append([]byte{uint8(rapid.IntRange(1, 4).Draw(r, "code")), octets[1], 0, byte(len(octets))}, octets[4:]...)
			octets, _ = eapol.Append(nil, &eapol.Frame{Type: eapol.EAPPacket, Body: body})
		}
		w.step(EAPOLReceived{Dev: dev, From: [6]byte{2, 0, 0, 0, 9, byte(len(dev))}, Octets: octets})
	case 16: // a whole run of Ub, or where it ends
		if len(w.runs) > 0 {
			w.out = []Output{w.runs[len(w.runs)-1]}
			w.runs = nil
			w.bsf.spoil = rapid.IntRange(0, 4).Draw(r, "another key") == 0
			w.bsf.serve()
		}
	case 17:
		id := w.bsf.id + uint64(rapid.IntRange(-2, 2).Draw(r, "id"))
		in := []ub.Input{ub.Failed{ID: id, Reason: "time-out"}, ub.Responded{ID: id, Response: ub.Response{Status: rapid.SampledFrom([]int{0, 200, 401, 403, 503}).Draw(r, "status"),
			Challenges: []string{rapid.String().Draw(r, "challenge")}, Body: rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(r, "body")}}}
		w.step(UbAnswered{rapid.SampledFrom(in).Draw(r, "answer")})
	case 0, 1:
		w.carrier(dev, rapid.Bool().Draw(r, "up"))
	case 2, 3:
		w.carrier(dev, true)
		w.apply(r)
		w.advertise(dev, prefix, func(in *RouterAdvertised) {
			in.Router = rapid.SampledFrom([]netip.Addr{routerLL, netip.MustParseAddr("fe80::2"), netip.MustParseAddr("fe80::3")}).Draw(r, "router")
			in.Lifetime = rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour}).Draw(r, "lifetime")
			in.Interval = rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second}).Draw(r, "interval")
			if rapid.Bool().Draw(r, "managed") {
				managed(in)
			}
			p := &in.Prefixes[0]
			p.Router = rapid.Bool().Draw(r, "router address")
			p.Valid = rapid.SampledFrom([]time.Duration{0, 10 * time.Second, 3 * time.Hour, Forever}).Draw(r, "valid")
			p.Preferred = min(p.Valid, rapid.SampledFrom([]time.Duration{0, 5 * time.Second, Forever}).Draw(r, "preferred"))
		})
	case 4:
		a := w.m.access(dev).address.prefix.Addr()
		if rapid.Bool().Draw(r, "home address") {
			a = homeAddress
		}
		w.step(AddressChanged{Dev: dev, Address: a, State: AddressState(rapid.IntRange(0, 2).Draw(r, "state"))})
	case 5:
		target := rapid.SampledFrom([]netip.Addr{routerLL, homeAddress}).Draw(r, "target")
		w.step(NeighborAdvertised{Dev: dev, Target: target, Solicited: true, LinkLayer: routerMAC})
	case 6, 7:
		if len(w.sent) == 0 {
			return
		}
		u := w.sent[rapid.IntRange(max(0, len(w.sent)-3), len(w.sent)-1).Draw(r, "which")]
		status := mh.Status(rapid.SampledFrom([]int{0, 0, 0, 1, 128, 129, 130, 133, 134, 135, 144, 145, 146, 255}).Draw(r, "status"))
		w.key = nil
		if a := authOf(u); a.Subtype == mh.MNAAA {
			w.key = w.derive(u)
		} else if a.Subtype == mh.MNHA {
			w.key = w.m.security.association
			if u := w.m.registration.waiting; u != nil {
				w.key = u.proof.association
			}
		}
		w.answerTo(u, status, func(a *answer) {
			a.packet.Src = w.m.cfg.HomeAgent
			if k := rapid.IntRange(0, 5).Draw(r, "material"); k < 2 && w.bsf != nil {
				v := w.vector(&w.bsf.sqn, nil, false, "")
				v.AUTN[15] += byte(k)
				a.ba.Options = append(a.ba.Options, mh.KeyMaterial{Kind: mh.AKAChallenge, Data: append(v.RAND[:], v.AUTN[:]...)})
			}
			a.ba.Lifetime = rapid.SampledFrom([]time.Duration{0, 4 * time.Second, time.Minute}).Draw(r, "granted")
			if n := rapid.SampledFrom([]mh.NATDetection{{}, noNAT, behindNAT}).Draw(r, "NAT"); a.from.IsValid() && status.Accepts() {
				a.ba.Options = append(a.ba.Options, n)
			}
			if status.Accepts() && rapid.Bool().Draw(r, "IPv4 home address") {
				a.ba.Options = append(a.ba.Options, given4)
			}
			if rapid.Bool().Draw(r, "unproven") {
				a.key = nil
			}
		})
	case 12:
		w.step(SignalChanged{Dev: dev, Level: rapid.Float64Range(-90, -60).Draw(r, "level"), Heard: rapid.Bool().Draw(r, "heard")})
	case 8:
		w.until(w.now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(r, "wait"))).Sub(start))
		w.out = nil // applied on the way
	case 10:
		w.lease(dev, rapid.SampledFrom([]netip.Prefix{wlan4, private4, netip.PrefixFrom(home4, 24)}).Draw(r, "lease"))
	case 11:
		if rapid.Bool().Draw(r, "claimed") {
			w.step(AddressClaimed{Dev: dev, Address: wlan4.Addr(), LinkLayer: [6]byte{9}})
		} else {
			w.lease6(dev, prefix.Addr().Next())
		}
	case 9:
		switch rapid.IntRange(0, 2).Draw(r, "message") {
		case 0:
			w.message(&mh.BindingError{Status: mh.UnknownBinding, HomeAddress: homeAddress}, w.m.cfg.HomeAgent, careOfWLAN)
		case 1:
			w.message(&mh.BindingRefreshRequest{}, w.m.cfg.HomeAgent, homeAddress)
		case 2:
			w.step(Received{Dev: dev, Octets: rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(r, "octets")})
		}
	}
	w.apply(r)
}

// apply does what a kernel does, and sees that it can be done.
func (w *world) apply(r *rapid.T) {
	for _, o := range w.out {
		switch o := o.(type) {
		case AskBSF:
			if !w.holds(o.Source) {
				r.Fatalf("asks the BSF from %v, which no device has", o.Source)
			}
			w.runs = append(w.runs, o)
		case OpenPort:
			if a := w.m.access(o.Dev); a.port == nil || !a.port.open || w.m.security.held.Access == nil {
				r.Fatalf("%s is open without an authentication", o.Dev)
			}
		case EnterAccess:
			w.added[o.Dev+" "+o.Address.String()] = true
			if o.Address.Addr() == homeAddress {
				r.Fatalf("the home address is a care-of address")
			}
		case TakeHome:
			if w.taken || o.Address.Addr() != homeAddress {
				r.Fatalf("took %v, and had one: %v", o.Address, w.taken)
			}
			w.taken = true
		case LeaveAccess:
			key := o.Dev + " " + o.Address.String()
			if !w.added[key] {
				r.Fatalf("left %s, which was not entered", key)
			}
			delete(w.added, key)
			if w.tunnel == o.Address.Addr() || w.expected == o.Address.Addr() {
				r.Fatalf("a tunnel still ends at %v", o.Address)
			}
		case EnterHome:
			if o.Address.Addr() != homeAddress {
				r.Fatalf("%v on the home link", o.Address)
			}
			if w.home != "" && w.home != o.Dev {
				r.Fatalf("the home address is on %s and goes to %s", w.home, o.Dev)
			}
			w.home = o.Dev
		case UseHome:
			if w.home != o.Dev {
				r.Fatalf("sends through %s, where the home address is not", o.Dev)
			}
			w.byHome = true
		case QuitHome:
			w.byHome = false
		case LeaveHome:
			w.home = ""
		case ExpectTunnel:
			if !w.holds(o.Local) {
				r.Fatalf("a tunnel from %v is expected, which no device has", o.Local)
			}
		case SetTunnel:
			if !w.holds(o.Local) {
				r.Fatalf("a tunnel from %v, which no device has", o.Local)
			}
		}
		w.tunnels(o)
	}
	w.out = nil
}

// tunnels does what o says of tunnels.
func (w *world) tunnels(o Output) {
	switch o := o.(type) {
	case ExpectTunnel:
		w.expected = o.Local
	case ForsakeTunnel:
		w.expected = netip.Addr{}
	case SetTunnel:
		w.tunnel = o.Local
		if w.expected == o.Local {
			w.expected = netip.Addr{}
		}
	case ClearTunnel:
		w.tunnel = netip.Addr{}
	}
}

func (w *world) holds(a netip.Addr) bool {
	for key := range w.added {
		var dev, prefix string
		fmt.Sscan(key, &dev, &prefix)
		if netip.MustParsePrefix(prefix).Addr() == a {
			return true
		}
	}
	return false
}

// until is that of story, which applies what each Tick brings.
func (w *world) until(d time.Duration) {
	end := start.Add(d)
	for n := 0; ; n++ {
		next := w.m.Deadline()
		if next.IsZero() || next.After(end) {
			break
		}
		if next.After(w.now) {
			w.now, n = next, 0
		}
		if n > 10 {
			w.t.Fatalf("deadline stays at %v", next.Sub(start))
		}
		w.take(w.m.Tick(w.now))
		for _, o := range w.out {
			if l, ok := o.(LeaveAccess); ok {
				delete(w.added, l.Dev+" "+l.Address.String())
			}
		}
		w.applyQuietly()
	}
	if end.After(w.now) {
		w.now = end
	}
}

func (w *world) applyQuietly() {
	for _, o := range w.out {
		switch o := o.(type) {
		case EnterAccess:
			w.added[o.Dev+" "+o.Address.String()] = true
		case EnterHome:
			w.home = o.Dev
		case UseHome:
			w.byHome = true
		case QuitHome:
			w.byHome = false
		case LeaveHome:
			w.home = ""
		}
		w.tunnels(o)
	}
	w.out = nil
}

func (w *world) check(r *rapid.T) {
	m := w.m
	reg := &m.registration
	for i := 0; ; i++ {
		d := m.Deadline()
		if d.IsZero() || d.After(w.now) {
			break
		}
		if i > 10 {
			r.Fatalf("the deadline stays in the past, at %v", d.Sub(start))
		}
		w.take(m.Tick(w.now))
		w.apply(r)
	}
	if m.tunnel.Local != w.tunnel {
		r.Fatalf("tunnel from %v, the kernel's from %v", m.tunnel, w.tunnel)
	}
	if m.expected != w.expected || m.expected.IsValid() && m.expected == m.tunnel.Local {
		r.Fatalf("a tunnel from %v is expected, by the kernel from %v; there is one from %v", m.expected, w.expected, m.tunnel)
	}
	if m.here == nil && (reg.waiting != nil || !reg.retryAt.IsZero()) {
		r.Fatal("a registration without an attachment")
	}
	if m.here != nil && !m.here.open() {
		r.Fatal("attached by a port that is shut")
	}
	if c := m.bootstrapper.client; c != nil && c.Running() && m.here == nil {
		r.Fatal("bootstraps without an attachment")
	}
	if m.here != nil {
		if reg.waiting != nil && reg.waiting.careOf != m.careOf {
			r.Fatalf("waits for an answer for %v while at %v", reg.waiting.careOf, m.careOf)
		}
		if home := m.here.home; home != (m.homecoming.access != nil) {
			r.Fatalf("home %v, homecoming %v", home, m.homecoming.access)
		}
		if !m.here.home && !w.holds(m.careOf) {
			r.Fatalf("at %v, which no device has", m.careOf)
		}
	}
	if (m.homecoming.access != nil && m.homecoming.told) != (w.home != "") || (m.homecoming.used || m.departing != nil) != w.byHome {
		r.Fatalf("home on %q, used %v, machine: %+v", w.home, w.byHome, m.homecoming)
	}
	if m.homecoming.access != nil && m.homecoming.told && !m.tunnel.Local.IsValid() && !w.byHome {
		r.Fatal("at home, no tunnel, and applications do not send through the home link")
	}
	if a := m.departing; a != nil && (!a.carrier || m.here == nil || m.here.home || m.tunnel.Local.IsValid()) {
		r.Fatalf("sends through the home link that it left by %s, with a tunnel from %v", a.dev, m.tunnel.Local)
	}
	for i := w.checked; i < len(w.sent); i++ {
		if i == 0 {
			continue
		}
		if i >= 3 && w.sent[i].at-w.sent[i-3].at < time.Second {
			r.Fatalf("four binding updates in a second, the last at %v", w.sent[i].at)
		}
		if w.sent[i].Seq == w.sent[i-1].Seq {
			r.Fatal("a sequence number was used twice in a row")
		}
	}
	w.checked = len(w.sent)
	for _, a := range m.accesses {
		if len(a.routers) > maxRouters || !a.carrier && (a.router != nil || len(a.routers) > 0 || a.address.prefix.IsValid()) {
			r.Fatalf("access: %+v", a)
		}
	}
	if len(w.added) > 2*len(m.accesses) {
		r.Fatalf("%d care-of addresses", len(w.added))
	}
}

// FuzzReceived gives octets to a mobile node that waits for an acknowledgement.
func FuzzReceived(f *testing.F) {
	s := begin(&testing.T{}, config())
	s.visit("wlan", wlanPrefix)
	f.Add(s.last().header)
	s.answerTo(s.last(), 0, func(a *answer) { a.afterwards = func(b []byte) { f.Add(b) } })
	s = begin(&testing.T{}, everywhere())
	s.visit("wlan", wlanPrefix)
	s.answerTo(s.last(), mh.MCoANotComplete, func(a *answer) {
		a.ba.Options = append(a.ba.Options, mh.BindingIdentifier{BID: 2}, mh.FlowIdentification{FID: 1, Status: mh.FlowMalformed})
		a.afterwards = func(b []byte) { f.Add(b) }
	})
	var sqn keys.SQN
	s = begin(&testing.T{}, onlyCard())
	s.visit("wlan", wlanPrefix)
	v := s.vector(&sqn, nil, false, "")
	s.answerTo(s.last(), mh.Unspecified, func(a *answer) {
		a.key = nil
		a.ba.Options = append(a.ba.Options, mh.KeyMaterial{Kind: mh.AKAChallenge, Data: append(v.RAND[:], v.AUTN[:]...)})
		a.afterwards = func(b []byte) { f.Add(b) }
	})
	for _, status := range []mh.Status{mh.Accepted, mh.InsufficientResources} {
		s = begin(&testing.T{}, homeless(config()))
		s.visit("wlan", wlanPrefix)
		s.answerTo(s.last(), status, func(a *answer) { a.afterwards = func(b []byte) { f.Add(b) } })
	}
	s = begin(&testing.T{}, dual())
	s.visit4("wlan", private4)
	s.answerTo(s.last(), mh.Accepted, func(a *answer) {
		a.ba.Options = append(a.ba.Options, given4, behindNAT)
		a.afterwards = func(b []byte) { f.Add(b) }
	})
	f.Fuzz(func(t *testing.T, octets []byte) {
		for _, cfg := range []*control.Config{config(), bootstrapped(), homeless(config()), homeless(bootstrapped()), everywhere(), onlyCard()} {
			s := begin(t, cfg)
			s.visit("wlan", wlanPrefix)
			s.step(Received{Dev: "wlan", Octets: octets})
			s.until(10 * time.Second)

			// The same from a NAT, or whoever is behind its address and port.
			cfg.MobileNode.HomeAgent4, cfg.MobileNode.HomeAddress4, cfg.MobileNode.HomePrefix4 = agent4, home4, home4Net
			s = begin(t, cfg)
			s.visit4("wlan", private4)
			s.step(Received{Dev: "wlan", Octets: octets, From: agentPort})
			s.until(10 * time.Second)
		}
	})
}

// FuzzStory lets octets say what happens and when.
func FuzzStory(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 0, 0, 6, 0, 0, 8, 9, 9})
	f.Add([]byte{64, 1, 0, 0, 1, 1, 1, 200, 3, 0, 0, 0, 0, 2, 0, 0, 1, 2, 2, 200, 3, 0, 4, 0, 0, 1, 1, 0, 3, 0, 0, 0})
	f.Add([]byte{128, 0, 0, 0, 1, 0, 0, 200, 3, 0, 0, 0, 3, 0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 200, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		cfg := bootstrapped()
		if len(script) > 0 && script[0]&128 != 0 {
			cfg = homeless(cfg)
		}
		if len(script) > 0 && script[0]&64 != 0 {
			cfg.MobileNode.AllAccesses, cfg.MobileNode.Flows = true, everywhere().MobileNode.Flows
		}
		s := begin(t, cfg)
		devs := []string{"lte", "wlan", "wimax"}
		for len(script) >= 4 {
			dev := devs[script[1]%3]
			x := script[2]
			arg := binary.BigEndian.Uint16(script[2:])
			switch script[0] % 8 {
			case 0:
				s.carrier(dev, x%2 == 0)
			case 1:
				s.advertise(dev, []netip.Prefix{homePrefix, wlanPrefix, wimaxPrefix}[x%3], func(in *RouterAdvertised) {
					in.Lifetime = time.Duration(script[3]) * time.Second
					in.Interval = time.Duration(x) * 100 * time.Millisecond
					in.Prefixes[0].Valid = time.Duration(script[3]) * time.Minute
					in.Prefixes[0].Preferred = time.Duration(script[3]) * time.Second
				})
			case 2:
				s.until(s.now.Add(time.Duration(arg) * time.Millisecond).Sub(start))
			case 3:
				if len(s.sent) > 0 {
					s.key = nil
					if authOf(s.last()).Subtype == mh.MNHA {
						s.key = s.m.security.association
					} else {
						s.key = s.derive(s.last())
					}
					s.answer(mh.Status(x))
				}
			case 4:
				s.step(AddressChanged{Dev: dev, Address: s.m.access(dev).address.prefix.Addr(), State: AddressState(x % 3)})
			case 5:
				s.step(NeighborAdvertised{Dev: dev, Target: homeAddress, LinkLayer: routerMAC})
			case 6:
				s.step(AddressChanged{Dev: dev, Address: homeAddress, State: AddressState(x % 3)})
			case 7:
				s.step(Received{Dev: dev, Octets: script})
			}
			script = script[4:]
		}
	})
}

// BenchmarkAdvertisementToBindingUpdate is what the machine adds between a Router
// Advertisement and the Binding Update that it causes.
func BenchmarkAdvertisementToBindingUpdate(b *testing.B) {
	m, err := New(config())
	if err != nil {
		b.Fatal(err)
	}
	now := start
	links := []struct {
		dev    string
		prefix netip.Prefix
	}{{"wlan", wlanPrefix}, {"wimax", wimaxPrefix}}
	for i := 0; b.Loop(); i++ {
		l, other := links[i%2], links[1-i%2]
		now = now.Add(time.Second)
		b.StopTimer()
		m.Step(now, CarrierChanged{Dev: other.dev})
		m.Step(now, CarrierChanged{Dev: l.dev, Up: true})
		b.StartTimer()
		m.Step(now, advertised(l.dev, l.prefix))
	}
}
