package routability

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The figures were computed by Python's hmac and hashlib from RFC 6275, sections
// 5.2.5 and 6.2.7: no RFC has any.
func TestTokensAndAuthenticatorsAreThoseOfAnIndependentCalculation(t *testing.T) {
	n := nonce{octets: [8]byte(octets(t, "3031323334353637")), kcn: keys.NewMAC(octets(t, "000102030405060708090a0b0c0d0e0f10111213"))}
	home, careOf := n.token(homeAddress, forHome), n.token(wlan, forCareOf)
	if want := octets(t, "ac878af54bd64804"); !bytes.Equal(home[:], want) {
		t.Errorf("home keygen token %x, want %x", home, want)
	}
	if want := octets(t, "f8d9f4bb382970da"); !bytes.Equal(careOf[:], want) {
		t.Errorf("care-of keygen token %x, want %x", careOf, want)
	}
	l := letter{src: wlan, dst: peerAddress, option: homeAddress, kbm: bindingKey(home, &careOf), careOf: wlan, peer: peerAddress}
	packet := l.packet(&mh.BindingUpdate{Seq: 0x0102, Flags: mh.AckRequested, Lifetime: maxBindingLifetime,
		Options: []mh.Option{mh.NonceIndices{Home: 7, CareOf: 9}, unsigned()}})
	want := octets(t, "3b0305000000010280000069040400070009050c"+"f114b6d0b4695f1aa1c84ab5")
	got := bytes.Clone(packet[len(packet)-len(want):])
	got[4], got[5] = 0, 0 // the checksum is not covered
	if !bytes.Equal(got, want) {
		t.Errorf("binding update %x, want %x", got, want)
	}
}

// A forger makes packets to the correspondent node of a world.
type forger struct {
	*world
	seq            uint16
	home, careOf   Token
	homeAt, careAt uint16
}

// tokens have the tests run from a home address and a care-of address.
func (w *world) tokens(home, careOf netip.Addr) *forger {
	w.t.Helper()
	f := &forger{world: w, seq: 1}
	for _, o := range w.correspondent.Received(w.now, (&letter{src: home, dst: peerAddress}).packet(&mh.HomeTestInit{})) {
		m := w.parse(o)
		f.home, f.homeAt = m.(*mh.HomeTest).KeygenToken, m.(*mh.HomeTest).NonceIndex
	}
	for _, o := range w.correspondent.Received(w.now, (&letter{src: careOf, dst: peerAddress}).packet(&mh.CareOfTestInit{})) {
		m := w.parse(o)
		f.careOf, f.careAt = m.(*mh.CareOfTest).KeygenToken, m.(*mh.CareOfTest).NonceIndex
	}
	return f
}

func (w *world) parse(o Output) mh.Message {
	w.t.Helper()
	p, err := ipv6.Parse(o.(Send).Octets)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := mh.Parse(p.Payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// update is a Binding Update with the tokens.
func (f *forger) update(home, careOf netip.Addr, lifetime time.Duration) []byte {
	f.seq++
	token := &f.careOf
	if lifetime == 0 {
		token = nil
	}
	l := letter{src: careOf, dst: peerAddress, option: home, kbm: bindingKey(f.home, token), careOf: careOf, peer: peerAddress}
	return l.packet(&mh.BindingUpdate{Seq: f.seq, Flags: mh.AckRequested, Lifetime: lifetime,
		Options: []mh.Option{mh.NonceIndices{Home: f.homeAt, CareOf: f.careAt}, unsigned()}})
}

// answer is the status that a packet is answered with, and whether it is.
func (w *world) answer(packet []byte) (mh.Status, bool) {
	w.t.Helper()
	for _, o := range w.correspondent.Received(w.now, packet) {
		if _, ok := o.(Send); ok {
			return w.parse(o).(*mh.BindingAcknowledgement).Status, true
		}
	}
	return 0, false
}

func (w *world) wantAnswer(what string, packet []byte, want mh.Status) {
	w.t.Helper()
	if got, ok := w.answer(packet); !ok || got != want {
		w.t.Errorf("%s: answered %v with %v, want %v", what, ok, got, want)
	}
}

func (w *world) wantSilence(what string, packet []byte) {
	w.t.Helper()
	if out := w.correspondent.Received(w.now, packet); len(out) != 0 {
		w.t.Errorf("%s brings about %+v", what, out)
	}
}

func TestWhatIsNotProvenIsDiscarded(t *testing.T) {
	w := newWorld(t)
	f := w.tokens(homeAddress, wlan)
	w.wantSilence("another care-of address than was tested", f.update(homeAddress, wimax, time.Minute))
	w.wantSilence("another home address than was tested", f.update(wimax, wlan, time.Minute))
	changed := f.update(homeAddress, wlan, time.Minute)
	changed[len(changed)-1]++
	w.wantSilence("a wrong checksum", changed)
	p, _ := ipv6.Parse(changed)
	mh.SetChecksum(p.Payload, homeAddress, peerAddress)
	w.wantSilence("a wrong authenticator", changed)
	short := letter{src: wlan, dst: peerAddress, option: homeAddress}
	w.wantSilence("an authenticator of 4 octets", short.packet(&mh.BindingUpdate{Seq: 9, Lifetime: time.Minute,
		Options: []mh.Option{mh.NonceIndices{Home: f.homeAt, CareOf: f.careAt}, mh.BindingAuthorization{Authenticator: make([]byte, 4)}}}))
	w.wantSilence("no nonce indices", short.packet(&mh.BindingUpdate{Seq: 9, Lifetime: time.Minute}))
	w.wantSilence("a test with a Home Address option", short.packet(&mh.HomeTestInit{}))
	w.wantSilence("a test from an address that is not routable", (&letter{src: netip.MustParseAddr("fe80::1"), dst: peerAddress}).packet(&mh.CareOfTestInit{}))
	w.wantSilence("an address that is not ours", (&letter{src: wlan, dst: wimax}).packet(&mh.CareOfTestInit{}))
	w.wantAnswer("what is proven", f.update(homeAddress, wlan, time.Minute), mh.Accepted)
}

func TestARecordedBindingUpdateMakesNoBindingAgain(t *testing.T) {
	w := newWorld(t)
	f := w.tokens(homeAddress, wlan)
	first := f.update(homeAddress, wlan, time.Minute)
	w.wantAnswer("the first", first, mh.Accepted)
	w.wantAnswer("the first once more", first, mh.SequenceOutOfWindow)
	w.wantAnswer("the end", f.update(homeAddress, wlan, 0), mh.Accepted)
	w.wantAnswer("the first after the end", first, mh.SequenceOutOfWindow)
	w.now = w.now.Add(maxNonceLifetime - time.Second)
	w.act("correspondent", w.correspondent.Tick(w.now))
	if status, ok := w.answer(first); !ok || status.Accepts() {
		t.Errorf("the first, late: %v, %v", status, ok)
	}
	w.now = w.now.Add(time.Second)
	w.act("correspondent", w.correspondent.Tick(w.now))
	if len(w.correspondent.bindings) != 0 {
		t.Error("what remains of a binding stays for ever")
	}
	w.wantAnswer("the first, when its nonces are gone", first, mh.ExpiredNonces)
}

func TestOldNoncesAreNamed(t *testing.T) {
	w := newWorld(t)
	old := w.tokens(homeAddress, wlan)
	w.now = w.now.Add(maxNonceLifetime)
	new := w.tokens(homeAddress, wlan)
	w.wantAnswer("both old", old.update(homeAddress, wlan, time.Minute), mh.ExpiredNonces)
	mixed := *new
	mixed.home, mixed.homeAt = old.home, old.homeAt
	w.wantAnswer("the home nonce old", mixed.update(homeAddress, wlan, time.Minute), mh.ExpiredHomeNonce)
	mixed = *new
	mixed.careOf, mixed.careAt = old.careOf, old.careAt
	w.wantAnswer("the care-of nonce old", mixed.update(homeAddress, wlan, time.Minute), mh.ExpiredCareOfNonce)
	w.wantAnswer("a deletion does not look at it", mixed.update(homeAddress, wlan, 0), mh.Accepted)
}

func TestACorrespondentIsNoHomeAgent(t *testing.T) {
	w := newWorld(t)
	l := letter{src: wlan, dst: peerAddress, option: homeAddress}
	w.wantAnswer("a home registration", l.packet(&mh.BindingUpdate{Seq: 1, Flags: mh.HomeRegistration | mh.AckRequested, Lifetime: time.Minute}), mh.HomeRegUnsupported)
}

func TestBindingErrorsAreFew(t *testing.T) {
	w := newWorld(t)
	sent := 0
	for range 100 {
		sent += len(w.correspondent.Stranger(w.now, peerAddress, homeAddress, wlan))
		w.now = w.now.Add(time.Millisecond)
	}
	if sent != 1 {
		t.Errorf("%d Binding Errors in 100 ms, want 1", sent)
	}
}

func TestTheMobileTakesOnlyWhatItAskedFor(t *testing.T) {
	for what, forge := range map[string]func(home, careOf *test) ([]byte, bool){
		"another home init cookie": func(home, _ *test) ([]byte, bool) {
			return (&letter{src: peerAddress, dst: homeAddress}).packet(&mh.HomeTest{Cookie: [8]byte{1}}), true
		},
		"a Home Test that came directly": func(home, _ *test) ([]byte, bool) {
			return (&letter{src: peerAddress, dst: homeAddress}).packet(&mh.HomeTest{Cookie: home.cookie}), false
		},
		"a Care-of Test that came by the tunnel": func(_, careOf *test) ([]byte, bool) {
			return (&letter{src: peerAddress, dst: wlan}).packet(&mh.CareOfTest{Cookie: careOf.cookie}), true
		},
		"a Care-of Test to another address": func(_, careOf *test) ([]byte, bool) {
			return (&letter{src: peerAddress, dst: wimax}).packet(&mh.CareOfTest{Cookie: careOf.cookie}), false
		},
		"a test of a stranger": func(home, _ *test) ([]byte, bool) {
			return (&letter{src: wimax, dst: homeAddress}).packet(&mh.HomeTest{Cookie: home.cookie}), true
		},
	} {
		w := newWorld(t)
		w.lose = func(mh.Message) bool { return true }
		w.bound(wlan)
		p := w.mobile.peers[0]
		packet, tunnelled := forge(&p.home, &p.careOf)
		w.mobile.Received(w.now, packet, tunnelled)
		if p.home.good(w.now) || p.careOf.good(w.now) {
			t.Errorf("%s was taken", what)
		}
	}
}

func TestForgedRefusalsEndAfterAFew(t *testing.T) {
	w := newWorld(t)
	w.lose = func(m mh.Message) bool { return m.Type() == mh.TypeBindingAcknowledgement }
	w.bound(wlan)
	tests := 0
	for range 20 {
		w.sent = nil
		forged := letter{src: peerAddress, dst: wlan, routing: homeAddress}
		w.act("mobile", w.mobile.Received(w.now, forged.packet(&mh.BindingAcknowledgement{Status: mh.ExpiredNonces, Seq: w.mobile.peers[0].seq}), false))
		if len(w.sent) > 0 {
			tests++
		}
	}
	if tests != maxROFailure {
		t.Errorf("forged refusals had the tests run %d times, want %d", tests, maxROFailure)
	}
}

// Nothing that arrives makes either end panic, or bind what was not proven.
func FuzzReceived(f *testing.F) {
	f.Add((&letter{src: wlan, dst: peerAddress}).packet(&mh.CareOfTestInit{}))
	f.Add((&letter{src: peerAddress, dst: homeAddress}).packet(&mh.HomeTest{}))
	f.Add((&letter{src: peerAddress, dst: wlan, routing: homeAddress}).packet(&mh.BindingAcknowledgement{}))
	f.Add((&letter{src: peerAddress, dst: homeAddress}).packet(&mh.BindingError{Status: mh.UnknownBinding, HomeAddress: homeAddress}))
	f.Add((&letter{src: wlan, dst: peerAddress, option: homeAddress}).packet(&mh.BindingUpdate{Seq: 1, Lifetime: time.Minute,
		Options: []mh.Option{mh.NonceIndices{}, unsigned()}}))
	f.Fuzz(func(t *testing.T, packet []byte) {
		c := NewCorrespondent(1, 1, peerAddress)
		c.Received(start, packet)
		if len(c.bindings) != 0 {
			t.Error("a binding was made by what nobody proved")
		}
		m := NewMobile(1, peerAddress)
		m.Bound(start, homeAddress, wlan, never)
		for _, tunnelled := range []bool{false, true} {
			for _, o := range m.Received(start, packet, tunnelled) {
				if _, ok := o.(SetRoute); ok {
					t.Error("a route was made by what nobody proved")
				}
			}
		}
	})
}
