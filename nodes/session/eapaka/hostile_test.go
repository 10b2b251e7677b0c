package eapaka

import (
	"testing"

	"pgregory.net/rapid"

	"s2clab/nodes/wire/eap"
)

// FuzzMachines has somebody on the way between a server and a peer who knows no key.
// Octets say what becomes of each packet: it arrives, is lost, comes twice, late, in
// another's place, changed, or cut. Others inject packets, and have the home answer
// wrongly. No machine panics, and where both succeed they have the same keys.
func FuzzMachines(f *testing.F) {
	for _, seed := range [][]byte{
		{0}, {1, 0, 0, 0, 0, 0}, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2}, {3, 0, 3, 0, 3}, {4, 9, 1, 4, 9, 2, 4, 9, 3}, {0, 5, 40, 5, 12},
		{16, 0, 0, 0, 0, 0, 0}, {32, 0, 6, 1, 12, 1, 6, 2, 9, 7}, {255, 4, 20, 128, 4, 24, 1}, {64, 2, 3, 2, 3, 2, 3}, {1, 4, 4, 4, 5, 5, 5}, {9, 0, 0, 7, 3, 0, 0},
	} {
		f.Add(seed, []byte(nil))
	}
	f.Add([]byte{0, 6, 6, 6}, golden9048())
	f.Fuzz(func(t *testing.T, script, injected []byte) { play(t, script, injected) })
}

// golden9048 is a Challenge that is right for nobody here.
func golden9048() []byte {
	return plain(&eap.Message{Code: eap.Request, Identifier: 41, Type: eap.TypeAKAPrime, Subtype: eap.Challenge, Attributes: []eap.Attribute{
		{Type: eap.ATRAND, Value: make([]byte, 16)}, {Type: eap.ATAUTN, Value: make([]byte, 16)}, eap.Number(eap.ATKDF, 1),
		{Type: eap.ATKDFINPUT, Value: []byte("WLAN")}, {Type: eap.ATMAC, Value: make([]byte, 16)}}})
}

func TestWhateverComesBetweenThemKeysAreTheSameOrNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		play(t, rapid.SliceOfN(rapid.Byte(), 1, 60).Draw(t, "script"), rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "injected"))
	})
}

func play(t interface {
	Helper()
	Fatalf(string, ...any)
}, script, injected []byte) {
	next := func() int {
		if len(script) == 0 {
			return 0
		}
		b := script[0]
		script = script[1:]
		return int(b)
	}
	s := newStory()
	how := next()
	s.policy.AskIdentity, s.policy.ResultInd = how&1 != 0, how&2 != 0
	if how&4 != 0 {
		s.policy.Methods = onlyAKA
	}
	if how&8 != 0 {
		s.peer.Methods = onlyAKA
	}
	if how&16 != 0 {
		s.card.sqn = 1000
	}
	if how&32 != 0 {
		s.policy.KDFs = []uint16{9, KDFPrime}
	}
	if how&64 != 0 {
		s.policy.Authorize, s.decide = true, func(Authenticated) Input {
			if next()%4 == 3 {
				return Denied{uint16(next()) << 8, "barred"}
			}
			return Authorized{}
		}
	}
	var kept [][]byte
	s.pass = func(toPeer bool, packet []byte) [][]byte {
		kept = append(kept, packet)
		changed := append([]byte(nil), packet...)
		switch next() % 8 {
		case 1:
			return nil
		case 2:
			return [][]byte{packet, packet}
		case 3: // in an earlier one's place
			return [][]byte{kept[next()%len(kept)], packet}
		case 4:
			changed[next()%len(changed)] ^= byte(next() | 1)
			return [][]byte{changed, packet}
		case 5:
			return [][]byte{changed[:next()%len(changed)], packet}
		case 6: // with an identifier that fits
			changed = append([]byte(nil), injected...)
			if len(changed) > 1 {
				changed[1] = packet[1]
			}
			return [][]byte{changed, packet}
		case 7: // changed, and the true one lost
			changed[next()%len(changed)] ^= byte(next() | 1)
			return [][]byte{changed}
		}
		return [][]byte{packet}
	}
	for range 3 { // so that a pseudonym and a context come to be used
		s.begin()
		for range 100 {
			if s.step() {
				continue
			}
			if next() == 0 || s.server.Outstanding() == nil {
				break
			}
			s.toPeer = append(s.toPeer, s.server.Outstanding()) // the pass-through's timer
		}
		if s.serverEnd != nil && s.ueEnds != nil && *s.serverEnd != *s.ueEnds {
			t.Fatalf("server has %+v, peer %+v, or other keys", s.serverEnd, s.ueEnds)
		}
		if s.serverEnd != nil && s.serverFail != "" || s.ueEnds != nil && s.ueFail != "" {
			t.Fatalf("success and failure: %q, %q", s.serverFail, s.ueFail)
		}
	}
}
