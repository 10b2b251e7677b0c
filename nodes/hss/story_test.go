package hss

import (
	"bytes"
	"errors"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/diameter"
)

// TestACardAndAnHSSThatAreOutOfStepComeTogetherInOneRound is the round of TS
// 33.102, section 6.3.5, from an HSS that is behind its card, and from one that is
// too far ahead.
func TestACardAndAnHSSThatAreOutOfStepComeTogetherInOneRound(t *testing.T) {
	for name, at := range map[string]struct{ card, hss keys.SQN }{
		"the HSS is behind":        {card: 5000 << 5, hss: 10 << 5},
		"the HSS is too far ahead": {card: 3 << 5, hss: 1 << 45},
	} {
		m, s := with(t, subscriber()), subscriber()
		algorithm, err := newAlgorithm(&s)
		if err != nil {
			t.Fatal(err)
		}
		card, err := usim.New(algorithm, usim.Profile2())
		if err != nil {
			t.Fatal(err)
		}
		if err := card.Restore(slices.Repeat([]uint64{uint64(at.card >> 5)}, 32)); err != nil {
			t.Fatal(err)
		}
		if err := m.store.SetSQN(imsi, at.hss); err != nil {
			t.Fatal(err)
		}
		v := m.Authenticate(aka).Vectors[0]
		var refused *usim.SyncError
		if _, err := card.Authenticate(v.RAND, v.AUTN); !errors.As(err, &refused) {
			t.Fatalf("%s: %v", name, err)
		}
		again := aka
		again.Resync = &diameter.Resync{RAND: v.RAND, AUTS: refused.AUTS}
		v = m.Authenticate(again).Vectors[0]
		if r, err := card.Authenticate(v.RAND, v.AUTN); err != nil || !bytes.Equal(r.RES, v.XRES) || r.CK != v.CK || r.IK != v.IK {
			t.Errorf("%s, second round: %v", name, err)
		}
	}
}

// TestARequestThatComesTwiceIsGivenTheSameVectors has a diampeer.Server between: an
// AAA server that sends again, since it heard no answer, spends no sequence number.
// One that was refused is asked about again.
func TestARequestThatComesTwiceIsGivenTheSameVectors(t *testing.T) {
	front := NewFront(with(t, subscriber()), here)
	server := diampeer.NewServer(diampeer.ServerOptions{Local: diampeer.Local{Identity: here, Product: "test", Applications: []diameter.Application{diameter.SWx},
		Serves: []diampeer.Service{{Application: diameter.SWx, Command: diameter.MultimediaAuth}}, Rand: mathrand.New(mathrand.NewPCG(1, 2))}})
	now, served := time.Unix(1e9, 0), 0
	var last []byte
	hear := func(out []diampeer.Output) {
		for _, o := range slices.Clone(out) {
			switch o := o.(type) {
			case diampeer.Write:
				last = slices.Clone(o.Octets)
			case diampeer.Deliver:
				served++
				a := front.Answer(o.Message)
				for _, o := range slices.Clone(server.Answer(now, o.ID, a.Octets, a.Final)) {
					if w, ok := o.(diampeer.Write); ok {
						last = slices.Clone(w.Octets)
					}
				}
			}
		}
	}
	send := func(r Request, endToEnd uint32, flags diameter.Flags) {
		t.Helper()
		b, err := r.AppendTo(nil, diameter.Header{HopByHop: 7, EndToEnd: endToEnd, Flags: flags})
		if err != nil {
			t.Fatal(err)
		}
		hear(server.Step(now, diampeer.Received{Conn: 1, Octets: b, At: now}))
	}
	hear(server.Step(now, diampeer.Accepted{Conn: 1, Local: netip.IPv6Loopback(), Remote: netip.AddrPortFrom(netip.IPv6Loopback(), 1)}))
	send(&diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{Identity: aaa, Addresses: []netip.Addr{netip.IPv6Loopback()}, Product: "test", VendorAuth: []diameter.Application{diameter.SWx}}}, 1, 0)
	send(mar(nil), 2, 0)
	first := last
	send(mar(nil), 2, diameter.Retransmitted)
	if served != 1 || !bytes.Equal(first, last) {
		t.Errorf("served %d times, answered\n%x and\n%x", served, first, last)
	}
	send(mar(nil), 3, 0)
	if served != 2 || bytes.Equal(first[20:], last[20:]) {
		t.Errorf("another request: served %d", served)
	}
	nobody := mar(func(r *diameter.MultimediaAuthRequest) { r.User = "001010000000009" })
	send(nobody, 4, 0)
	s := subscriber()
	s.IMSI = nobody.User
	if _, err := front.machine.Put(s); err != nil {
		t.Fatal(err)
	}
	send(nobody, 4, diameter.Retransmitted)
	m, err := diameter.Parse(last)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := diameter.ParseMultimediaAuthAnswer(m); err != nil || a.Result != diameter.Success || served != 4 {
		t.Errorf("one that is there now: %v, served %d", err, served)
	}
}
