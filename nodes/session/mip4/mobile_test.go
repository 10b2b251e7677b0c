package mip4

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	wire "s2clab/nodes/wire/mip4"
)

// What a mobile node makes of one Reply: RFC 5944, sections 3.4 and 3.6.2.
func TestAReplyIsHeededByTheRules(t *testing.T) {
	const fine = "registered 192.0.2.10 at 198.51.100.99 for 10m0s"
	for _, c := range []struct {
		what   string
		change func(r *wire.RegistrationReply)
		want   string
	}{
		{"as it should be", func(*wire.RegistrationReply) {}, fine},
		{"with simultaneous bindings", func(r *wire.RegistrationReply) { r.Code = wire.Accepted }, fine},
		{"a longer lifetime", func(r *wire.RegistrationReply) { r.Lifetime = time.Hour }, fine},
		{"a shorter one", func(r *wire.RegistrationReply) { r.Lifetime = time.Minute }, "registered 192.0.2.10 at 198.51.100.99 for 1m0s"},
		{"another identification", func(r *wire.RegistrationReply) { r.Identification++ }, "ignored another-request"},
		{"no lifetime", func(r *wire.RegistrationReply) { r.Lifetime = 0 }, "ignored lifetime-0"},
		{"no home address", func(r *wire.RegistrationReply) { r.Home = none }, "ignored another-home-address"},
		{"another home address", func(r *wire.RegistrationReply) { r.Home = careOf2 }, "ignored another-home-address"},
		{"of a foreign agent", func(r *wire.RegistrationReply) { r.Code = 67 }, "ignored from-a-foreign-agent"},
		{"two authentications", func(r *wire.RegistrationReply) {
			r.Extensions = append(r.Extensions, wire.Authentication{Kind: wire.MobileHome, SPI: 301, Authenticator: make([]byte, 16)})
		}, "ignored authentication-extensions"},
		{"denied", func(r *wire.RegistrationReply) { r.Code = wire.Prohibited }, "refused administratively-prohibited"},
		{"denied for now", func(r *wire.RegistrationReply) { r.Code = wire.InsufficientResources }, "refused insufficient-resources"},
	} {
		w := newWorld(t, MobileOptions{Home: home, Association: static})
		w.lose = func(wire.Message) bool { return true }
		w.mobile(Attached{careOf})
		asked := last[*wire.RegistrationRequest](w)
		r := &wire.RegistrationReply{Code: wire.AcceptedNoSimultaneous, Lifetime: 10 * time.Minute, Home: home, HomeAgent: agent, Identification: asked.Identification}
		c.change(r)
		b, err := seal(r, wire.MobileHome, static.ToMobile, static.Transform, static.Key)
		if err != nil {
			t.Fatal(err)
		}
		w.mobile(ReplyReceived{From: netip.AddrPortFrom(careOf2, wire.Port), Octets: b})
		w.want("ignored not-from-the-home-agent")
		for i := range b { // any octet
			broken := append([]byte(nil), b...)
			broken[i] ^= 0x40
			w.mobile(ReplyReceived{From: netip.AddrPortFrom(agent, wire.Port), Octets: broken})
		}
		for _, line := range w.told {
			if !strings.HasPrefix(line, "ignored ") {
				t.Errorf("%s, broken: %s", c.what, line)
			}
		}
		w.told = nil
		w.mobile(ReplyReceived{From: netip.AddrPortFrom(agent, wire.Port), Octets: b})
		w.want(c.want)
		if again := !w.m.retry.IsZero(); again != (strings.HasPrefix(c.want, "ignored") || c.what == "denied for now") {
			t.Errorf("%s: asks again: %v", c.what, again)
		}
	}
}

// What comes with a nonce has to fit: RFC 3957, sections 3 and 6.4.
func TestAnAssociationIsMadeOnlyOfANonceThatFits(t *testing.T) {
	for what, change := range map[string]func(r *wire.RegistrationReply, k *wire.KeyGenerationReply){
		"ignored no-nonce":                func(r *wire.RegistrationReply, k *wire.KeyGenerationReply) { k.Foreign, k.Replay = true, 0 },
		"ignored unusable-association":    func(r *wire.RegistrationReply, k *wire.KeyGenerationReply) { k.Replay = wire.Nonces },
		"ignored unusable-association ":   func(r *wire.RegistrationReply, k *wire.KeyGenerationReply) { k.AAASPI++ },
		"ignored unusable-association  ":  func(r *wire.RegistrationReply, k *wire.KeyGenerationReply) { k.SPI = FirstSPI - 1 },
		"ignored unusable-association   ": func(r *wire.RegistrationReply, k *wire.KeyGenerationReply) { k.Transform = 9 },
		"ignored authentication":          func(r *wire.RegistrationReply, k *wire.KeyGenerationReply) { k.Nonce[0]++ },
	} {
		w := newWorld(t, MobileOptions{})
		var asked *wire.RegistrationRequest
		w.lose = func(m wire.Message) bool { asked, _ = m.(*wire.RegistrationRequest); return true }
		w.mobile(Attached{careOf})
		nonce := []byte("a nonce of 128 b")
		key, err := keys.GeneratedKey(aaaKey, nonce, []byte(nai))
		if err != nil {
			t.Fatal(err)
		}
		told := wire.KeyGenerationReply{Lifetime: time.Hour, AAASPI: aaaSPI, SPI: 1000, Transform: wire.Transform(keys.HMACSHA1), Replay: wire.Timestamps, Nonce: nonce}
		wanted, _ := wire.Find[wire.KeyGenerationRequest](asked.Extensions)
		reply := func() []byte {
			r := &wire.RegistrationReply{Code: wire.AcceptedNoSimultaneous, Lifetime: 10 * time.Minute, Home: home, HomeAgent: agent, Identification: asked.Identification, Extensions: []wire.Extension{told}}
			b, err := seal(r, wire.MobileHome, wanted.SPI, keys.HMACSHA1, key[:])
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		good := reply()
		r, _ := wire.ParseReply(good)
		change(r, &told)
		w.mobile(ReplyReceived{From: netip.AddrPortFrom(agent, wire.Port), Octets: reply()})
		w.want(strings.TrimSpace(what))
		w.mobile(ReplyReceived{From: netip.AddrPortFrom(agent, wire.Port), Octets: good})
		w.want("made MN-HA key", "registered 192.0.2.10 at 198.51.100.99 for 10m0s")
	}
}

func TestANonceAfterTheAuthenticatorIsNotBelieved(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.lose = func(m wire.Message) bool { return m.Type() == wire.TypeReply }
	w.mobile(Attached{careOf})
	b := w.sent[1]
	r, err := wire.ParseReply(b)
	if err != nil {
		t.Fatal(err)
	}
	r.Extensions[1], r.Extensions[2] = r.Extensions[2], r.Extensions[1]
	if b, err = r.AppendTo(nil); err != nil {
		t.Fatal(err)
	}
	w.told = nil
	w.mobile(ReplyReceived{From: netip.AddrPortFrom(agent, wire.Port), Octets: b})
	w.want("ignored no-nonce")
}

func TestALostReplyIsMadeUpForByTheNextRequest(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	lost := 0
	w.lose = func(m wire.Message) bool { lost++; return m.Type() == wire.TypeReply && lost < 4 }
	w.mobile(Attached{careOf})
	w.want("bound 192.0.2.10 to 198.51.100.99")
	w.tick()
	w.want("bound 192.0.2.10 to 198.51.100.99", "made MN-HA key", "registered 192.0.2.10 at 198.51.100.99 for 10m0s")
	w.now = w.now.Add(time.Minute)
	w.mobile(Attached{careOf2}) // both have the second key
	w.want("bound 192.0.2.10 to 203.0.113.77", "not 198.51.100.99 any more", "registered 192.0.2.10 at 203.0.113.77 for 10m0s")
}

func TestAMobileNodeAtHomeSaysNothingOfABindingThatThereIsNot(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.mobile(AtHome{})
	w.mobile(KeysChanged{})
	if len(w.sent) > 0 || !w.m.Deadline().IsZero() {
		t.Errorf("%d requests", len(w.sent))
	}
}

// A lacking method has nothing until it is given something.
type lacking struct {
	bootstrap.Mobile
	need bootstrap.Need
}

func (l *lacking) Lacks(*bootstrap.Held, time.Time) bootstrap.Need { return l.need }

func TestWithoutKeysNothingIsAskedUntilThereAreSome(t *testing.T) {
	m, err := bootstrap.Of("mipv4", "", "")
	if err != nil {
		t.Fatal(err)
	}
	l := &lacking{m.Mobile, bootstrap.GBAKeys}
	w := newWorld(t, MobileOptions{NAI: nai, Method: l, Held: &bootstrap.Held{NAI: nai, MNAAASPI: aaaSPI, MNAAAKey: aaaKey}})
	w.mobile(Attached{careOf})
	w.want("lacking gba-keys")
	if !w.m.Deadline().IsZero() || len(w.sent) > 0 {
		t.Error("it asks nevertheless")
	}
	l.need = bootstrap.Nothing
	w.mobile(KeysChanged{})
	w.want(registered...)
	w.mobile(KeysChanged{}) // of which there is no need
	w.want()
}

func TestAMobileNodeIsToldWhatItCanDo(t *testing.T) {
	good := MobileOptions{Home: none, Agent: bootstrap.Agent{Address: agent}, Lifetime: time.Minute, Association: static, Rand: rand.New(rand.NewPCG(1, 1))}
	if _, err := NewMobile(good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(o *MobileOptions){
		"an IPv6 home agent":       func(o *MobileOptions) { o.Agent.Address = netip.IPv6Loopback() },
		"no home address":          func(o *MobileOptions) { o.Home = netip.Addr{} },
		"no lifetime":              func(o *MobileOptions) { o.Lifetime = 0 },
		"parts of a second":        func(o *MobileOptions) { o.Lifetime = 1500 * time.Millisecond },
		"nothing to prove with":    func(o *MobileOptions) { o.Association = nil },
		"an association that ends": func(o *MobileOptions) { o.Association = &Association{Ends: start} },
		"no NAI with a method":     func(o *MobileOptions) { o.Association, o.Method = nil, &lacking{} },
	} {
		o := good
		change(&o)
		if _, err := NewMobile(o); err == nil {
			t.Errorf("%s passed", what)
		}
	}
}

// Whatever comes, in whatever order, neither side panics, no Request is sent sooner
// than 1 s after another but for a move, and a binding is only where its mobile node
// was.
func FuzzWorld(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08"))
	f.Add([]byte("\x00\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0"))
	f.Fuzz(func(t *testing.T, script []byte) {
		w := newWorld(t, MobileOptions{Lifetime: time.Minute})
		r := rand.New(rand.NewPCG(uint64(len(script)), 3))
		w.lose = func(wire.Message) bool { return r.IntN(4) == 0 }
		var asked time.Time
		been := map[netip.Addr]bool{}
		for i, c := range script {
			if i > 200 {
				return
			}
			before, moved := len(w.sent), false
			switch c % 8 {
			case 0, 1:
				at := netip.AddrFrom4([4]byte{198, 51, 100, c})
				been[at], moved = true, true
				w.mobile(Attached{at})
			case 2:
				moved = true
				w.mobile(AtHome{})
			case 3:
				switch c / 8 % 3 {
				case 0:
					w.mobile(Detached{})
				case 1:
					moved = true
					w.mobile(Unwanted{})
				case 2:
					moved = true
					w.mobile(Wanted{})
				}
			case 4, 5:
				if !w.m.Deadline().IsZero() && !w.m.Deadline().Before(w.now) {
					w.tick()
				}
			case 6:
				if len(w.sent) > 0 { // damaged, or again
					b := append([]byte(nil), w.sent[int(c)%len(w.sent)]...)
					if c&0x10 != 0 {
						b[int(c)*7%len(b)] ^= c
					}
					w.agent(RequestReceived{From: netip.AddrPortFrom(careOf, 5), To: agent, Octets: b})
					w.mobile(ReplyReceived{From: netip.AddrPortFrom(agent, wire.Port), Octets: b})
				}
			case 7:
				w.now = w.now.Add(time.Duration(c) * 100 * time.Millisecond)
				if at := w.a.Deadline(); !at.IsZero() && !w.now.Before(at) {
					w.doAgent(w.a.Tick(w.now))
				}
				w.doMobile(w.m.Tick(w.now))
			}
			for _, b := range w.sent[before:] {
				if wire.Type(b[0]) != wire.TypeRequest {
					continue
				}
				if !moved && !asked.IsZero() && w.now.Sub(asked) < time.Second {
					t.Errorf("a request %v after another", w.now.Sub(asked))
				}
				asked = w.now
			}
			for _, m := range w.a.mobile {
				if m.binding != nil && !been[m.binding.careOf] {
					t.Errorf("bound to %v", m.binding.careOf)
				}
			}
		}
	})
}

func TestABindingThatIsNotWantedAnyMoreIsEndedWhereverTheMobileNodeIs(t *testing.T) {
	w := newWorld(t, MobileOptions{})
	w.mobile(Attached{careOf})
	w.told = nil
	w.mobile(Unwanted{})
	w.want("unbound 192.0.2.10: deregistered", "deregistered")
	if r := last[*wire.RegistrationRequest](w); r.Lifetime != 0 || r.CareOf != careOf || r.Flags&wire.CoLocated == 0 {
		t.Errorf("last request %+v", r)
	}
	w.mobile(Attached{careOf2})
	w.want()
	if !w.m.Deadline().IsZero() {
		t.Errorf("it awaits something at %v", w.m.Deadline())
	}
	w.mobile(Wanted{})
	w.want("bound 192.0.2.10 to 203.0.113.77", "registered 192.0.2.10 at 203.0.113.77 for 10m0s")
}

func TestABindingWhoseReplyWasLostIsEndedAtHomeToo(t *testing.T) {
	w := newWorld(t, MobileOptions{Home: home, Lifetime: time.Minute})
	w.lose = func(m wire.Message) bool { return m.Type() == wire.TypeReply }
	w.mobile(Attached{careOf})
	w.mobile(AtHome{})
	w.want("bound 192.0.2.10 to 198.51.100.99", "unbound 192.0.2.10: deregistered")
	w.lose = nil
	w.tick()
	w.want("made MN-HA key", "deregistered")

	w = newWorld(t, MobileOptions{Home: home, Lifetime: time.Minute})
	w.lose = func(wire.Message) bool { return true }
	w.mobile(Attached{careOf})
	w.mobile(AtHome{})
	for !w.m.Deadline().IsZero() { // the home agent is not there at all
		w.tick()
	}
	w.want("expired")
	if w.now != start.Add(time.Minute) {
		t.Errorf("it gave up after %v", w.now.Sub(start))
	}
}
