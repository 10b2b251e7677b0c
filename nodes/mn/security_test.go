package mn

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/wire/mh"
)

func TestWithoutIntegrityThereAreNoAuthenticationOptions(t *testing.T) {
	cfg := config()
	cfg.MobileNode.Security.Integrity = "none"
	s := begin(t, cfg)
	s.key = nil
	s.visit("wlan", wlanPrefix)
	u := s.last()
	if _, ok := mh.Find[mh.Authentication](u.Options); ok {
		t.Error("an authentication option")
	}
	if _, ok := mh.Find[mh.ReplayProtection](u.Options); ok {
		t.Error("a replay protection option")
	}
	s.answer(0)
	if !s.m.registration.bound {
		t.Error("not bound")
	}
}

func TestWithReplaySequenceThereIsNoTimestamp(t *testing.T) {
	for _, c := range []*control.Config{config(), bootstrapped()} {
		c.MobileNode.Security.Replay = "sequence"
		s := begin(t, c)
		s.visit("wlan", wlanPrefix)
		if timestampOf(s.last()) != 0 {
			t.Error("a timestamp")
		}
		s.answer(0)
		if !s.m.registration.bound {
			t.Errorf("%s: not bound", c.MobileNode.Security.Bootstrap)
		}
	}
}

func TestTheFirstBindingIsProvenByMNAAAAndLaterOnesByMNHA(t *testing.T) {
	s := begin(t, bootstrapped())
	s.visit("wlan", wlanPrefix)
	if a := authOf(s.last()); a.Subtype != mh.MNAAA || a.SPI != 3 {
		t.Fatalf("first: %+v", a)
	}
	s.bootstrap()
	if !s.m.registration.bound {
		t.Fatal("the derived key did not verify the acknowledgement")
	}
	s.until(5 * time.Second)
	s.visit("wimax", wimaxPrefix)
	if a := authOf(s.last()); a.Subtype != mh.MNHA || a.SPI != 1000 {
		t.Fatalf("second: %+v", a)
	}
	if err := association.Verify(s.last().header, s.key, careOfWiMAX, homeAddress); err != nil {
		t.Error(err)
	}
	s.answer(0)
	s.until(10 * time.Second)
	s.visit("lte", homePrefix)
	if a := authOf(s.last()); a.Subtype != mh.MNHA {
		t.Errorf("de-registration: %+v", a)
	}
	s.answer(0)
	s.mustHappen("returned-home")
}

func TestTheAssociationOf3GPP2EndsAtHome(t *testing.T) { // RFC 5419, section 6.2
	cfg := bootstrapped()
	cfg.MobileNode.Security.Profile = "3gpp2"
	s := begin(t, cfg)
	spi5 := func(u sent) *association.Association {
		r, _ := mh.Find[mh.ReplayProtection](u.Options)
		key := keys.ThreeGPP2SessionKey(cfg.MobileNode.MNAAAKey, cfg.MobileNode.NAI, [8]byte(binary.BigEndian.AppendUint64(nil, r.Timestamp)))
		return association.New(bootstrap.ThreeGPP2SPI, key[:])
	}
	for range 2 {
		s.visit("wlan", wlanPrefix)
		if a := authOf(s.last()); a.Subtype != mh.MNAAA {
			t.Fatalf("proven by %+v", a)
		}
		s.key = spi5(s.last())
		s.answer(0)
		if !s.m.registration.bound {
			t.Fatal("the session key did not verify the acknowledgement")
		}
		s.until(s.now.Add(5 * time.Second).Sub(start))
		s.visit("lte", homePrefix)
		if a := authOf(s.last()); a.Subtype != mh.MNHA || a.SPI != bootstrap.ThreeGPP2SPI {
			t.Fatalf("de-registration: %+v", a)
		}
		s.answer(0)
		s.mustHappen("returned-home")
		s.until(s.now.Add(5 * time.Second).Sub(start))
	}
}

func TestAfterTwoSilencesTheKindsOfProofTakeTurns(t *testing.T) {
	s := begin(t, bootstrapped())
	s.visit("wlan", wlanPrefix)
	s.bootstrap()
	s.until(5 * time.Second)
	s.visit("wimax", wimaxPrefix)
	s.until(40 * time.Second)
	var kinds []string
	for _, u := range s.sent[1:] {
		kinds = append(kinds, map[uint8]string{1: "ha", 2: "aaa"}[uint8(authOf(u).Subtype)])
	}
	want := "ha ha aaa ha aaa ha"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// A home agent that was restarted makes a new association.
	s.until(68 * time.Second)
	s.bootstrap()
	if !s.m.registration.bound || s.m.tunnel.Local != careOfWiMAX {
		t.Error("not bound by the new association")
	}
}

func TestAHomeAgentThatHasLostTheKeyIsBootstrappedAgainOnce(t *testing.T) {
	s := begin(t, bootstrapped())
	s.visit("wlan", wlanPrefix)
	s.bootstrap()
	s.until(5 * time.Second)
	s.visit("wimax", wimaxPrefix)
	s.answer(mh.AuthFail, func(a *answer) { a.key = nil }) // it has no key to prove anything with
	if len(s.sent) != 3 || authOf(s.last()).Subtype != mh.MNAAA {
		t.Fatalf("%d sent", len(s.sent))
	}
	s.answer(mh.AuthFail, func(a *answer) { a.key = nil })
	s.until(10 * time.Minute)
	if len(s.sent) != 3 {
		t.Errorf("sent at %v: RFC 4285, section 5.3", sentAt(s))
	}
	if e := s.mustHappen("binding-refused"); e.Fields["authenticated"] != false {
		t.Errorf("got %v", e.Fields)
	}
}

func TestABindingErrorToAnMNHAOptionBootstrapsAgainOnce(t *testing.T) {
	unknown := &mh.BindingError{Status: mh.UnknownBinding, HomeAddress: homeAddress}
	s := begin(t, bootstrapped())
	s.visit("wlan", wlanPrefix)
	s.bootstrap()
	s.until(45 * time.Second) // the home agent was restarted; this is the refresh
	if authOf(s.last()).Subtype != mh.MNHA {
		t.Fatal("want MN-HA")
	}
	s.bindingError(unknown, careOfWiMAX)
	if len(s.sent) != 2 {
		t.Error("believed a stranger")
	}
	s.bindingError(unknown, homeAgent)
	if len(s.sent) != 3 || authOf(s.last()).Subtype != mh.MNAAA {
		t.Fatalf("%d sent, the last with %v", len(s.sent), authOf(s.last()).Subtype)
	}
	s.bindingError(unknown, homeAgent)
	if len(s.sent) != 3 {
		t.Error("again for one error more")
	}
	s.bootstrap()
	if !s.m.registration.bound {
		t.Error("not bound")
	}
}

func TestWithAStaticKeyStatus146EndsTheRegistrationButNotTheHopeForAnAnswer(t *testing.T) {
	s := begin(t, config())
	s.visit("wlan", wlanPrefix)
	s.answer(mh.AuthFail, func(a *answer) { a.key = association.New(256, []byte("fedcba9876543210")) })
	s.answer(0) // the 146 was provoked by somebody else
	if !s.m.registration.bound {
		t.Error("the true acknowledgement was not heard")
	}
}

func TestARefusalWithoutProofIsToldOnceAndChangesNothing(t *testing.T) {
	s := begin(t, bootstrapped())
	s.visit("wlan", wlanPrefix)
	for range 5 {
		s.answer(mh.Prohibited)
	}
	if n := s.count("binding-refused"); n != 1 {
		t.Errorf("told %d times", n)
	}
	s.until(2 * time.Second)
	if len(s.sent) != 2 {
		t.Error("gave up because of what anybody can say")
	}
	s.bootstrap()
	if !s.m.registration.bound {
		t.Error("not bound")
	}
}

func TestAClockThatIsWrongIsSetByTheHomeAgentInOneRoundTrip(t *testing.T) {
	for _, cfg := range []func() *story{
		func() *story { return begin(t, config()) },
		func() *story { return begin(t, bootstrapped()) },
	} {
		for _, wrong := range []time.Duration{time.Hour, -time.Hour, 40 * 365 * 24 * time.Hour} {
			s := cfg()
			s.visit("wlan", wlanPrefix)
			first := s.last()
			there := timestampOf(first) - uint64(int64(wrong/time.Second))<<32
			if s.key == nil {
				s.key = s.derive(first)
			}
			s.answer(mh.IDMismatch, func(a *answer) { a.ba.Options[1] = mh.ReplayProtection{Timestamp: there} })
			if len(s.sent) != 2 {
				t.Fatalf("%v: %d sent, want the second at once", wrong, len(s.sent))
			}
			if got := timestampOf(s.last()) >> 32; got != there>>32 {
				t.Errorf("%v: second timestamp %d s, want %d s", wrong, got, there>>32)
			}
			if e := s.mustHappen("clock-resynchronised"); e.Fields["offset"] != -wrong.Seconds() {
				t.Errorf("got %v", e.Fields)
			}
			if kind := authOf(s.last()).Subtype; kind != mh.MNHA {
				t.Errorf("%v: the second is proven by %v: the home agent has shown that it has the key", wrong, kind)
			}
			s.answer(0)
			if !s.m.registration.bound {
				t.Errorf("%v: not bound", wrong)
			}
			s.until(45 * time.Second)
			if got := timestampOf(s.last())>>32 - there>>32; got != 45 {
				t.Errorf("%v: the refresh is %d s later, want 45 s", wrong, got)
			}
		}
	}
}

func TestAClockIsNotSetByWhoDoesNotHaveTheKey(t *testing.T) {
	for name, spoil := range map[string]func(*answer){
		"another key": func(a *answer) { a.key = association.New(256, []byte("fedcba9876543210")) },
		"no key":      func(a *answer) { a.key = nil },
		"another low half": func(a *answer) {
			r, _ := mh.Find[mh.ReplayProtection](a.ba.Options)
			a.ba.Options[1] = mh.ReplayProtection{Timestamp: r.Timestamp ^ 1}
		},
		"no timestamp":      func(a *answer) { a.ba.Options = a.ba.Options[:1] },
		"another SPI value": func(a *answer) { a.key = association.New(300, haKey) },
	} {
		s := begin(t, config())
		s.visit("wlan", wlanPrefix)
		u := s.last()
		s.answer(mh.IDMismatch, func(a *answer) {
			a.ba.Options[1] = mh.ReplayProtection{Timestamp: timestampOf(u) + 1000<<32}
			spoil(a)
		})
		if s.m.security.offset != 0 || len(s.sent) != 1 {
			t.Errorf("%s: set the clock", name)
		}
	}
}

func TestAKeyThatIsEndingIsRenewedBeforeItHasEnded(t *testing.T) {
	s := begin(t, bootstrapped())
	s.visit("wlan", wlanPrefix)
	s.bootstrap()
	s.until(45 * time.Second) // refresh
	if authOf(s.last()).Subtype != mh.MNHA {
		t.Fatal("want MN-HA")
	}
	s.answer(0, func(a *answer) { a.ba.Lifetime = 20 * time.Second }) // all the key has left
	s.until(60 * time.Second)
	if len(s.sent) != 3 || authOf(s.last()).Subtype != mh.MNAAA {
		t.Fatalf("%d sent, the last with %+v", len(s.sent), authOf(s.last()))
	}
	s.bootstrap()
	s.until(105 * time.Second)
	if authOf(s.last()).Subtype != mh.MNHA {
		t.Error("the renewed key is not used")
	}
}

func TestAfterABindingHasExpiredTheKeyIsNotReliedOn(t *testing.T) {
	s := begin(t, bootstrapped())
	s.visit("wlan", wlanPrefix)
	s.bootstrap()
	s.carrier("wlan", false)
	s.until(2 * time.Minute)
	s.visit("wimax", wimaxPrefix)
	if authOf(s.last()).Subtype != mh.MNAAA {
		t.Error("MN-HA after the binding has expired")
	}
}

func TestAWrongKeyOnPurposeIsUsedAfterTheFirstBinding(t *testing.T) {
	cfg := bootstrapped()
	cfg.MobileNode.MNHAKey = []byte("fedcba9876543210")
	s := begin(t, cfg)
	s.key = nil
	s.visit("wlan", wlanPrefix)
	s.bootstrap()
	if !s.m.registration.bound {
		t.Fatal("not bound")
	}
	s.until(5 * time.Second)
	s.visit("wimax", wimaxPrefix)
	if err := association.Verify(s.last().header, s.key, careOfWiMAX, homeAddress); err == nil {
		t.Error("the right key was used")
	}
	s.answer(mh.AuthFail)
	if authOf(s.last()).Subtype != mh.MNAAA {
		t.Error("no fallback")
	}
	s.bootstrap()
	if s.m.tunnel.Local != careOfWiMAX {
		t.Error("not bound")
	}
}

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	cfg := config()
	cfg.MobileNode.MNHAKey = nil
	if _, err := New(cfg); err == nil {
		t.Error("static without a key")
	}
	cfg = bootstrapped()
	cfg.MobileNode.MNAAAKey = nil
	if _, err := New(cfg); err == nil {
		t.Error("mip-options without a key")
	}
	cfg = config()
	cfg.MobileNode.Security.Integrity = "ipsec"
	if _, err := New(cfg); err == nil {
		t.Error("ipsec")
	}
	cfg = config()
	cfg.MobileNode.Security.Replay = ""
	if _, err := New(cfg); err == nil {
		t.Error("no replay mode")
	}
	cfg = config()
	cfg.Interfaces[0].MAC = "nonsense"
	if _, err := New(cfg); err == nil {
		t.Error("no hardware address")
	}
	cfg.MobileNode = nil
	if _, err := New(cfg); err == nil {
		t.Error("no mobile node")
	}
}
