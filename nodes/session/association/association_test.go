package association

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

func sealed(t testing.TB) []byte {
	t.Helper()
	b, err := SealMNHA(nil, update(), New(spi, mnHAKey), careOf, home, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMNHACoversTheHeaderButForItsChecksum(t *testing.T) {
	b, a := sealed(t), New(spi, mnHAKey)
	for i := range b {
		b[i] ^= 1
		err := Verify(b, a, careOf, home)
		if checksum := i == 4 || i == 5; (err == nil) != checksum {
			t.Errorf("octet %d altered: %v", i, err)
		}
		b[i] ^= 1
	}
}

func TestMNHACoversBothAddressesAndTheKey(t *testing.T) {
	b := sealed(t)
	for what, err := range map[string]error{
		"care-of address": Verify(b, New(spi, mnHAKey), careOf.Next(), home),
		"home address":    Verify(b, New(spi, mnHAKey), careOf, home.Next()),
		"both, exchanged": Verify(b, New(spi, mnHAKey), home, careOf),
		"key":             Verify(b, New(spi, mnAAAKey), careOf, home),
	} {
		if !errors.Is(err, ErrAuth) {
			t.Errorf("another %s: %v, want ErrAuth", what, err)
		}
	}
}

func TestMNAAACoversTheHeaderUpToItsSPIButForItsChecksum(t *testing.T) {
	b, data, err := SealMNAAA(nil, update(), mh.HMACSHA1SPI, mnAAAKey, careOf, home, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 1
		got, spi, authenticator, err := MobilityData(b, careOf, home)
		if err == nil {
			err = VerifyMNAAA(mnAAAKey, spi, got, authenticator)
		}
		if checksum := i == 4 || i == 5; (err == nil) != checksum {
			t.Errorf("octet %d altered: %v", i, err)
		}
		if after := i >= len(b)-keys.MNAAASize; after && got != data {
			t.Errorf("octet %d, in the authenticator, changed what it covers", i)
		}
		b[i] ^= 1
	}
	if err := VerifyMNAAA(mnHAKey, mh.HMACSHA1SPI, data, b[len(b)-20:]); !errors.Is(err, ErrAuth) {
		t.Errorf("another key: %v", err)
	}
	if err := VerifyMNAAA(mnAAAKey, 5, data, b[len(b)-20:]); !errors.Is(err, ErrSPI) {
		t.Errorf("another algorithm: %v", err)
	}
	if err := VerifyMNAAA(mnAAAKey, mh.HMACSHA1SPI, data, b[len(b)-20:len(b)-8]); !errors.Is(err, ErrAuth) {
		t.Errorf("12 octets of 20: %v", err)
	}
}

func TestWhyAMessageIsNotBelievedIsTold(t *testing.T) {
	a := New(spi, mnHAKey)
	bare, err := mh.Append(nil, update(), home, agent)
	if err != nil {
		t.Fatal(err)
	}
	forAAA, _, err := SealMNAAA(nil, update(), mh.HMACSHA1SPI, mnAAAKey, careOf, home, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	failure, err := mh.Append(nil, &mh.BindingError{Status: mh.UnknownBinding, HomeAddress: home,
		Options: []mh.Option{mh.Authentication{Subtype: mh.MNHA, SPI: spi, Data: make([]byte, 12)}}}, agent, careOf)
	if err != nil {
		t.Fatal(err)
	}
	truncated := update()
	truncated.Options = append(truncated.Options, mh.Authentication{Subtype: mh.MNHA, SPI: spi, Data: sealed(t)[116:124]})
	eight, err := mh.Append(nil, truncated, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ err, want error }{
		"no option":               {Verify(bare, a, careOf, home), ErrNone},
		"only MN-AAA":             {Verify(forAAA, a, careOf, home), ErrNone},
		"another SPI":             {Verify(sealed(t), New(257, mnHAKey), careOf, home), ErrSPI},
		"another kind of message": {Verify(failure, a, careOf, home), ErrNone},
		"8 octets of 12":          {Verify(eight, a, careOf, home), ErrAuth},
		"cut off":                 {Verify(bare[:12], a, careOf, home), mh.ErrMalformed},
		"nothing":                 {Verify(nil, a, careOf, home), mh.ErrMalformed},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", what, c.err, c.want)
		}
	}
	if got, err := SPI(sealed(t)); got != spi || err != nil {
		t.Errorf("SPI %d, %v", got, err)
	}
	if _, err := SPI(forAAA); !errors.Is(err, ErrNone) {
		t.Errorf("SPI of MN-AAA: %v", err)
	}
	if _, _, _, err := MobilityData(sealed(t), careOf, home); !errors.Is(err, ErrNone) {
		t.Errorf("mobility data of MN-HA: %v", err)
	}
}

// Not what is sent here, but what others may send: RFC 4285 has the option
// last, and a header is a multiple of 8 octets long.
func TestPaddingAfterTheOptionIsLetThrough(t *testing.T) {
	a := New(spi, mnHAKey)
	u := update()
	u.Options = append(u.Options, mh.Authentication{Subtype: mh.MNHA, SPI: spi, Data: make([]byte, 12)})
	b, err := mh.Append(nil, u, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	end := len(b) - 12
	b = append(b, 1, 6, 0, 0, 0, 0, 0, 0)
	b[1]++ // the length is covered, so it is final before the computation
	s := new(scratch)
	authenticator := keys.MNHA(keys.NewMAC(mnHAKey), s.mobilityData(b[:end], careOf, home))
	copy(b[end:], authenticator[:])
	if err := Verify(b, a, careOf, home); err != nil {
		t.Error(err)
	}
	if err := mh.CheckOctets(b); err != nil {
		t.Error(err)
	}
	b = append(b, "after the header"...)
	if err := Verify(b, a, careOf, home); err != nil {
		t.Error(err)
	}
}

func TestMNAAACoversAnMNHAOptionBeforeIt(t *testing.T) {
	u := update()
	u.Options = append(u.Options, mh.Authentication{Subtype: mh.MNHA, SPI: spi, Data: make([]byte, 12)})
	b, data, err := SealMNAAA(nil, u, mh.HMACSHA1SPI, mnAAAKey, careOf, home, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	if err := mh.CheckOctets(b); err != nil {
		t.Error(err)
	}
	at := bytes.Index(b, []byte{9, 17, 1}) + 7
	b[at] ^= 1
	other, _, _, err := MobilityData(b, careOf, home)
	if err != nil || other == data {
		t.Errorf("the authenticator of MN-HA is not covered: %v", err)
	}
}

func TestSealAppendsBehindWhatIsThere(t *testing.T) {
	got, err := SealMNHA([]byte("before"), update(), New(spi, mnHAKey), careOf, home, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, append([]byte("before"), sealed(t)...))
}

func TestSealEndsTheHeaderWithTheOptionWhateverComesBefore(t *testing.T) {
	a := New(spi, mnHAKey)
	for n := range 64 {
		u := &mh.BindingUpdate{Options: []mh.Option{mh.MNIdentifier{Subtype: mh.NAI, Identifier: nai[:n%len(nai)]}}}
		b, err := SealMNHA(nil, u, a, careOf, home, home, agent)
		if err != nil {
			t.Fatal(err)
		}
		if len(b)%8 != 0 || b[len(b)-19] != 9 || (len(b)-19)%4 != 1 {
			t.Fatalf("an identifier of %d octets: the option does not end the header: %x", n, b)
		}
		if err := Verify(b, a, careOf, home); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSealRefusesWhatNoMNHAOptionProtects(t *testing.T) {
	a := New(spi, mnHAKey)
	for _, m := range []mh.Message{&mh.BindingError{HomeAddress: home}, &mh.HomeTestInit{}, &mh.BindingRefreshRequest{}} {
		if _, err := SealMNHA(nil, m, a, careOf, home, agent, home); err == nil {
			t.Errorf("a %v was sealed", m.Type())
		}
	}
}

func TestRevocationsAndSwitchesAreProtectedAsUpdatesAre(t *testing.T) {
	a := New(spi, mnHAKey)
	for _, m := range []mh.Message{
		&mh.BindingRevocationIndication{Trigger: mh.RevokeAdministrative, Seq: 7, Options: []mh.Option{mh.ReplayProtection{Timestamp: 1}}},
		&mh.BindingRevocationAcknowledgement{Seq: 7},
		&mh.HomeAgentSwitch{Addresses: []netip.Addr{agent}},
	} {
		b, err := SealMNHA(nil, m, a, careOf, home, agent, home)
		if err != nil {
			t.Fatalf("%s: %v", mh.Name(m), err)
		}
		back, err := mh.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(mh.Check(back), mh.CheckOctets(b)); err != nil {
			t.Errorf("%s: %v", mh.Name(m), err)
		}
		if err := Verify(b, a, careOf, home); err != nil {
			t.Errorf("%s: %v", mh.Name(m), err)
		}
		if err := Verify(b, a, agent, home); !errors.Is(err, ErrAuth) {
			t.Errorf("%s at another care-of address: %v", mh.Name(m), err)
		}
		b[7] ^= 1 // trigger, status or number of addresses
		if err := Verify(b, a, careOf, home); err == nil {
			t.Errorf("%s was altered unseen", mh.Name(m))
		}
	}
}

func TestTheCareOfAddressIsTheAlternateOneThenTheIPv4OneThenTheSource(t *testing.T) {
	source := netip.MustParseAddr("2001:db8:300::1")
	v4 := netip.MustParseAddr("192.0.2.99")
	mapped := netip.MustParseAddr("::ffff:192.0.2.99")
	for want, opts := range map[netip.Addr][]mh.Option{
		source: {mh.ReplayProtection{}},
		careOf: {mh.IPv4CareOf{Address: v4}, mh.AlternateCareOf{Address: careOf}},
		mapped: {mh.IPv4CareOf{Address: v4}},
	} {
		b, err := mh.Append(nil, &mh.BindingUpdate{Options: opts}, home, agent)
		if err != nil {
			t.Fatal(err)
		}
		var v mh.BindingUpdateView
		if err := v.Decode(b); err != nil || v.CareOf(source) != want {
			t.Errorf("%v: %v (%v), want %v", opts, v.CareOf(source), err, want)
		}
	}
}

func TestFreshnessIsTheTimestampOrElseTheMobilityData(t *testing.T) {
	u, data := update(), [20]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}
	if got := Freshness(u, data); got != [8]byte{0xca, 0xcc, 0x68, 0, 0x80, 0, 0, 0} {
		t.Errorf("with a timestamp: %x", got)
	}
	u.Options = u.Options[:3]
	if got := Freshness(u, data); got != [8]byte{1, 2, 3, 4, 5, 6, 7, 8} {
		t.Errorf("without: %x", got)
	}
}

// No octets make Verify and MobilityData panic, nor are they believed but for
// those that were sealed.
func FuzzVerify(f *testing.F) {
	for _, s := range []string{updateMNHA, updateMNAAA, acknowledgement} {
		f.Add(unhex(f, s))
	}
	a := New(spi, mnHAKey)
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = Verify(b, a, careOf, home)
		_, _ = SPI(b)
		if _, _, authenticator, err := MobilityData(b, careOf, home); err == nil && len(authenticator) > 250 {
			t.Errorf("%d octets of authenticator", len(authenticator))
		}
	})
}

// An agent does for each update what a home agent does with codec and keys,
// and reuses what it can.
type hotPath struct {
	view    mh.BindingUpdateView
	answer  mh.BindingAcknowledgement
	nai     mh.MNIdentifier
	stamp   mh.ReplayProtection
	options [2]mh.Option
	out     []byte
}

func (h *hotPath) do(b []byte, a *Association) error {
	v := &h.view
	if !mh.ChecksumOK(b, home, agent) {
		return errors.New("checksum")
	}
	if err := v.Decode(b); err != nil {
		return err
	}
	if err := mh.CheckOctets(v.Octets); err != nil {
		return err
	}
	if err := Verify(v.Octets, a, v.CareOf(careOf), home); err != nil {
		return err
	}
	h.stamp.Timestamp = v.Timestamp
	h.answer = mh.BindingAcknowledgement{Seq: v.Seq, Lifetime: v.Lifetime, Options: h.options[:]}
	var err error
	h.out, err = SealMNHA(h.out[:0], &h.answer, a, v.CareOf(careOf), home, agent, home)
	return err
}

func newHotPath() *hotPath {
	h := &hotPath{nai: mh.MNIdentifier{Subtype: mh.NAI, Identifier: nai}}
	h.options = [2]mh.Option{&h.nai, &h.stamp}
	return h
}

func TestVerifyingAndAnsweringDoesNotAllocate(t *testing.T) {
	h, b, a := newHotPath(), sealed(t), New(spi, mnHAKey)
	if err := h.do(b, a); err != nil {
		t.Fatal(err)
	}
	same(t, h.out, unhex(t, acknowledgement))
	if n := testing.AllocsPerRun(100, func() { h.do(b, a) }); n >= 1 {
		t.Errorf("%v allocations an update, want none", n)
	}
}

func BenchmarkVerifyAndAnswer(b *testing.B) {
	h, octets, a := newHotPath(), sealed(b), New(spi, mnHAKey)
	b.ReportAllocs()
	for b.Loop() {
		if err := h.do(octets, a); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	octets, a := sealed(b), New(spi, mnHAKey)
	b.ReportAllocs()
	for b.Loop() {
		if err := Verify(octets, a, careOf, home); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeAndCheck(b *testing.B) {
	octets := sealed(b)
	var v mh.BindingUpdateView
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Decode(octets); err != nil {
			b.Fatal(err)
		}
		if err := mh.CheckOctets(octets); err != nil {
			b.Fatal(err)
		}
	}
}
