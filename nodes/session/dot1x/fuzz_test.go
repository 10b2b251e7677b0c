package dot1x

import (
	"math/rand/v2"
	"testing"
	"time"

	"s2clab/nodes/wire/eapol"
)

// Scripts that lead into the states; the fuzzer makes more. Each step is an octet that
// says what happens, one that says to whom or how, and so many octets of a frame as a
// third says.
var scripts = [][]byte{
	{0, 0, 0, 1, 0, 4, 2, 1, 0, 0},
	{0, 0, 0, 2, 0, 9, 2, 0, 0, 5, 2, 1, 0, 5, 1, 3, 1, 0, 4, 200, 0, 5, 0, 0},
	{1, 0, 4, 2, 1, 0, 0, 2, 0, 9, 2, 0, 0, 5, 2, 2, 0, 5, 1, 3, 0, 5, 1, 7, 0, 5, 4},
	{0, 0, 0, 1, 0, 9, 2, 0, 0, 5, 1, 7, 0, 5, 1, 2, 2, 6, 2, 7, 0, 6, 200, 1, 1, 0, 8, 2, 0, 0, 4, 3, 7, 0, 4},
	{0, 0, 0, 4, 255, 0, 4, 255, 0, 4, 255, 0, 6, 0, 0, 7, 0, 0},
}

// A script is read step by step.
type script []byte

func (s *script) next() (what, how byte, octets []byte, ok bool) {
	b := *s
	if len(b) < 3 {
		return 0, 0, nil, false
	}
	n := min(int(b[2]), len(b)-3)
	*s = b[3+n:]
	return b[0], b[1], b[3 : 3+n], true
}

// Whatever happens, an Authenticator authorises only whom the server has accepted in
// the conversation that goes on, shuts out only who was authorised, holds no more
// stations than it may, and comes to rest.
func FuzzAuthenticator(f *testing.F) {
	for _, s := range scripts {
		f.Add(s)
	}
	macs := [][6]byte{alice, bob, mallet, {}, eapol.Group}
	f.Fuzz(func(t *testing.T, b []byte) {
		a := NewAuthenticator(AuthenticatorOptions{Most: 2, ReauthPeriod: time.Minute, Rand: rand.New(rand.NewPCG(1, 2))})
		now := start
		on := map[[6]byte]bool{}
		var last ToServer
		check := func(in Input, out []Output) {
			for _, o := range out {
				switch o := o.(type) {
				case Send:
					if _, err := eapol.Parse(o.Octets); err != nil {
						t.Fatal(err)
					}
				case ToServer:
					last = o
				case Authorize:
					in, ok := in.(FromServer)
					if !ok || in.Verdict != Accept || in.Conversation != last.Conversation || in.Station != o.Station || o.Again != on[o.Station] {
						t.Fatalf("%+v made %+v", in, o)
					}
					on[o.Station] = true
				case Unauthorize:
					if !on[o.Station] {
						t.Fatalf("%+v made %+v", in, o)
					}
					delete(on, o.Station)
				}
			}
			if len(a.stations) > 2 || len(a.Authorized()) != len(on) {
				t.Fatalf("%d stations, %d authorised, want 2 or fewer and %d", len(a.stations), len(a.Authorized()), len(on))
			}
		}
		s := script(b)
		for {
			what, how, octets, ok := s.next()
			if !ok {
				return
			}
			mac := macs[int(how)%len(macs)]
			var in Input
			switch what % 10 {
			case 0:
				in = CarrierUp{}
			case 1:
				in = Received{From: mac, Octets: octets}
			case 2: // with the identifier that is waited for
				octets = append([]byte(nil), octets...)
				if s := a.station(mac); s != nil && len(octets) > 5 {
					octets[5] = s.id
				}
				in = Received{From: mac, Octets: octets}
			case 3:
				in = FromServer{Station: last.Station, Conversation: last.Conversation - uint64(how/128), EAP: octets, Verdict: Verdict(how % 3), SessionTimeout: time.Duration(how) * time.Second}
			case 4:
				now = now.Add(time.Duration(how) * 250 * time.Millisecond)
				for range 1000 {
					at := a.Deadline()
					if at.IsZero() || at.After(now) {
						break
					}
					check(nil, a.Tick(at))
					if next := a.Deadline(); !next.IsZero() && !next.After(at) {
						t.Fatalf("at %v it is to be called again at %v", at, next)
					}
				}
				continue
			case 5:
				in = Heard{mac}
			case 6:
				in = Revoke{mac, "so"}
			case 7:
				in = Reauthenticate{mac}
			case 8:
				in = Left{mac}
			case 9:
				in = CarrierDown{}
			}
			check(in, a.Step(now, in))
		}
	})
}

// Whatever happens, the port of a Supplicant opens only by a Success after its method
// was content, and shuts only when it was open.
func FuzzSupplicant(f *testing.F) {
	for _, s := range scripts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := NewSupplicant(SupplicantOptions{})
		now, open := start, false
		var last ToMethod
		var progress Progress
		check := func(in Input, out []Output) {
			for _, o := range out {
				switch o := o.(type) {
				case Send:
					if _, err := eapol.Parse(o.Octets); err != nil {
						t.Fatal(err)
					}
				case ToMethod:
					last = o
					if o.Fresh {
						progress = Continuing
					}
				case Open:
					if in, ok := in.(Received); !ok || in.Octets[4] != eapSuccess || progress != Content && progress != Assured || o.Again != open {
						t.Fatalf("with progress %d, %+v made %+v", progress, in, o)
					}
					open = true
				case Shut:
					if !open {
						t.Fatalf("%+v made %+v", in, o)
					}
					open = false
				}
			}
			if p.Authorized() != open {
				t.Fatalf("authorised %v after %+v", p.Authorized(), in)
			}
		}
		s := script(b)
		for {
			what, how, octets, ok := s.next()
			if !ok {
				return
			}
			var in Input
			switch what % 7 {
			case 0:
				in = LinkUp{}
			case 1:
				in = Received{From: [][6]byte{router, mallet}[how%2], Octets: octets}
			case 2:
				octets = append([]byte(nil), octets...)
				if len(octets) > 1 && last.EAP != nil {
					octets[1] = last.EAP[1]
				}
				m := FromMethod{Exchange: last.Exchange, EAP: octets, Progress: Progress(how % 5)}
				if out := p.Step(now, m); len(out) > 0 {
					if _, sent := out[0].(Send); sent {
						progress = m.Progress
					}
					check(m, out)
				}
				continue
			case 3:
				in = Logoff{}
			case 4:
				now = now.Add(time.Duration(how) * 250 * time.Millisecond)
				for range 1000 {
					at := p.Deadline()
					if at.IsZero() || at.After(now) {
						break
					}
					check(nil, p.Tick(at))
					if next := p.Deadline(); !next.IsZero() && !next.After(at) {
						t.Fatalf("at %v it is to be called again at %v", at, next)
					}
				}
				continue
			case 5:
				in = Logon{}
			case 6:
				in = LinkDown{}
			}
			check(in, p.Step(now, in))
		}
	})
}
