package hss

import (
	"fmt"
	"net/netip"
	"testing"

	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
	"s2clab/nodes/wire/diameter"
)

// FuzzMachine plays what two AAA servers, a bootstrapping server and an operator
// may do, in any order, and wants after each step: no sequence number comes twice,
// only the server that is registered was given the profile, and who serves a
// subscriber is what a store may keep.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 0, 1, 1, 2, 3, 3, 4, 4, 13, 5, 0, 6, 1, 7, 2})
	f.Add([]byte{4, 1, 4, 13, 0, 0x10, 0, 0x90, 4, 1, 8, 0, 9, 1, 4, 5, 10, 0, 11, 0, 2, 255})
	f.Fuzz(func(t *testing.T, steps []byte) {
		other := subscriber()
		other.IMSI = "001010000000002"
		m := with(t, subscriber(), other)
		last := map[string]keys.SQN{}
		took := func(imsi string, v keys.Vector) {
			s := subscriber()
			sqn, _, _ := accept(t, s, v)
			if sqn <= last[imsi] {
				t.Fatalf("%s was given %v after %v", imsi, sqn, last[imsi])
			}
			last[imsi] = sqn
		}
		for ; len(steps) >= 2; steps = steps[2:] {
			what, with := steps[0]%12, steps[1]
			name := []string{imsi, other.IMSI, "001010000000003"}[with%3]
			server := fmt.Sprintf("aaa%d.example", with>>7)
			var resync *diameter.Resync
			switch what {
			case 0, 1, 2, 3:
				r := AuthenticationRequest{Server: server, IMSI: name, Scheme: []string{diameter.SchemeEAPAKA, diameter.SchemeEAPAKAPrime, "x"}[with/3%3], Network: "WLAN"[:with/9%2*4],
					Vectors: uint32(with), ServerFailed: what == 1}
				if what == 2 {
					resync = &diameter.Resync{}
					s := subscriber()
					card, _ := newAlgorithm(&s)
					resync.AUTS = keys.NewAUTS(card, resync.RAND, last[name]+keys.SQN(with)<<5)
				}
				if what == 3 {
					resync = &diameter.Resync{AUTS: [14]byte{with}}
				}
				r.Resync = resync
				a := m.Authenticate(r)
				for _, v := range a.Vectors {
					took(name, v)
				}
				if (a.Result == diameter.Success) != (len(a.Vectors) > 0) {
					t.Fatalf("%s with %d vectors", a.Result, len(a.Vectors))
				}
			case 4, 5, 6:
				r := AssignmentRequest{Server: server, IMSI: name, Type: diameter.ServerAssignmentType(with / 3 % 16), APN: []string{"internet", "IMS", "mms", "none", "*", ""}[with%6]}
				if what > 4 {
					r.Gateway = store.Gateway{Addresses: []netip.Addr{netip.AddrFrom4([4]byte{with % 240, 0, 0, 1})}}
				}
				if a := m.Assign(r); a.Profile != nil {
					if held, err := m.store.Registration(name); err != nil || held.Server != server {
						t.Fatalf("%s was given the profile that %v serves", server, held)
					}
				}
			case 7:
				if a := m.Bootstrap(BootstrapRequest{User: name + "@x"}); a.Result == diameter.Success {
					took(name, a.Vector)
				}
			case 8, 9:
				s := subscriber()
				s.IMSI, s.BarredNon3GPP = name, with&64 != 0
				s.APNs[0].Barred = with&32 != 0
				if with&16 != 0 {
					s.APNs, s.DefaultAPN = nil, ""
				}
				if _, err := m.Put(s); err != nil {
					t.Fatal(err)
				}
				if held, _ := m.store.Registration(name); held.Server != "" && (s.BarredNon3GPP || s.APNs == nil) {
					t.Fatalf("%v serves one who may not", held)
				}
			case 10:
				m.Remove(name)
				delete(last, name)
			case 11:
				if err := m.Pushed(server, name, diameter.UserUnknown); err != nil {
					t.Fatal(err)
				}
			}
			if held, err := m.store.Registration(name); err == nil {
				if err := held.Check(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
