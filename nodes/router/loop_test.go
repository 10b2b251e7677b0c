package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"s2clab/nodes/wire/eap"
	"s2clab/nodes/wire/eapol"
)

// fake is hands and teller. It has no AAA server: what is asked is kept.
type fake struct {
	did        []string
	asked      []Ask
	identifier uint8  // of the last Request that was sent
	fail       string // what cannot be done
}

func (f *fake) Event(name string, _ map[string]any) { f.did = append(f.did, name) }
func (f *fake) Reply(uint64, any, error)            {}
func (f *fake) do(o Output) error {
	what := strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", o), "router."))
	f.did = append(f.did, what)
	switch o := o.(type) {
	case Ask:
		f.asked = append(f.asked, o)
	case SendEAPOL:
		f.identifier = o.Octets[eapol.HeaderLen+1]
	}
	if what == f.fail {
		return errors.New("not now")
	}
	return nil
}

// looping runs a loop in a bubble of time of its own.
func looping(t *testing.T, play func(f *fake, l *loop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, err := New(configuration(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		f := &fake{}
		l := newLoop(m, f, f)
		ctx, cancel := context.WithCancel(t.Context())
		go l.run(ctx)
		play(f, l)
		cancel()
		synctest.Wait()
		l.give(CarrierChanged{Dev: "wlan"}) // and nobody waits for who has ended
		if got := l.stations(); got != nil {
			t.Errorf("stations %+v of a loop that has ended", got)
		}
	})
}

func frame(kind eapol.Type, body []byte) []byte {
	b, err := eapol.Append(nil, &eapol.Frame{Type: kind, Body: body})
	if err != nil {
		panic(err)
	}
	return b
}

func TestTheLoopKeepsTheMachinesTimes(t *testing.T) {
	looping(t, func(f *fake, l *loop) {
		l.give(EAPOLReceived{Dev: "wlan", From: alice, Octets: frame(eapol.Start, nil)})
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if want := []string{"sendeapol", "sendeapol", "sendeapol"}; !slices.Equal(f.did, want) {
			t.Errorf("did %q, want %q: an identity request each 3 s", f.did, want)
		}
		if got := l.stations(); got == nil || len(got) != 0 {
			t.Errorf("stations %+v", got)
		}
	})
}

func TestAStationThatCannotBeLetThroughIsToldSoAndTheFailureIsTold(t *testing.T) {
	looping(t, func(f *fake, l *loop) {
		f.fail = "admit"
		l.give(EAPOLReceived{Dev: "wlan", From: alice, Octets: frame(eapol.Start, nil)})
		synctest.Wait()
		l.give(EAPOLReceived{Dev: "wlan", From: alice, Octets: frame(eapol.EAPPacket, packet(eap.Response, f.identifier, append([]byte{1}, nai...)...))})
		synctest.Wait()
		if len(f.asked) != 1 {
			t.Fatalf("did %q", f.did)
		}
		f.did = nil
		s := &story{t: t}
		s.request(f.asked[0])
		q := s.asked[0]
		a := s.success(f.identifier)
		a.Session, a.Host, a.Realm, a.Type = q.session, "aaa.example", "epc.example", 3
		l.give(AAAAnswered{ID: q.id, Outcome: outcome(t, q, a)})
		synctest.Wait()
		want := []string{"aaa-answered", "admit", "action-failed", "key-made", "station-admitted", "sendeapol", "bar", "station-barred", "ask", "sendeapol"}
		if !slices.Equal(f.did, want) {
			t.Errorf("did %q, want %q", f.did, want)
		}
		if got := l.stations(); len(got) != 0 {
			t.Errorf("stations %+v", got)
		}
	})
}
