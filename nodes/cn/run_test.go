package cn

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/routability"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

type told struct {
	events  []string
	replies []error
}

func (t *told) Event(name string, _ map[string]any) { t.events = append(t.events, name) }
func (t *told) Reply(_ uint64, _ any, err error)    { t.replies = append(t.replies, err) }

func TestACorrespondentIsReadyAndKnowsNoCommands(t *testing.T) {
	var r told
	commands := make(chan control.Command, 1)
	commands <- control.Command{Name: "dance"}
	close(commands)
	if err := (&loop{teller: &r}).run(context.Background(), nil, commands); err != nil {
		t.Error(err)
	}
	if len(r.events) != 1 || r.events[0] != "ready" {
		t.Errorf("told %v, want ready", r.events)
	}
	if len(r.replies) != 1 || !strings.Contains(r.replies[0].Error(), `"dance"`) {
		t.Errorf("replied %v", r.replies)
	}
}

func TestACorrespondentEndsWithItsContext(t *testing.T) {
	gone := errors.New("the lab has ended")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(gone)
	if err := (&loop{teller: &told{}}).run(ctx, nil, nil); !errors.Is(err, gone) {
		t.Error(err)
	}
}

var (
	own    = netip.MustParseAddr("2001:db8:2::2")
	home   = netip.MustParseAddr("2001:db8:100::10")
	careOf = netip.MustParseAddr("2001:db8:200::99")
)

// doings are hands that note what they were asked to do, and hand what is sent to
// the mobile node.
type doings struct {
	did    []routability.Output
	sent   chan []byte
	broken error
}

func (d *doings) do(o routability.Output) error {
	if s, ok := o.(routability.Send); ok {
		d.sent <- slices.Clone(s.Octets)
	}
	d.did = append(d.did, o)
	return d.broken
}

func TestARouteBeginsAndExpiresAndStrangersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r told
		d := &doings{sent: make(chan []byte, 10)}
		packets, commands := make(chan []byte), make(chan control.Command)
		l := &loop{correspondent: routability.NewCorrespondent(1, 10, own), hands: d, teller: &r, offset: time.Hour}
		ended := make(chan error)
		go func() { ended <- l.run(t.Context(), packets, commands) }()

		mobile := routability.NewMobile(2, own)
		for out := slices.Clone(mobile.Bound(time.Now(), home, careOf, time.Now().Add(time.Minute))); len(out) > 0; {
			var next []routability.Output
			for _, o := range out {
				if s, ok := o.(routability.Send); ok {
					packets <- slices.Clone(s.Octets)
					answer := <-d.sent
					p, err := ipv6.Parse(answer)
					if err != nil {
						t.Fatal(err)
					}
					next = append(next, mobile.Received(time.Now(), answer, p.Dst == home)...)
				}
			}
			out = slices.Clone(next)
		}
		synctest.Wait()
		if !slices.Contains(d.did, routability.Output(routability.SetRoute{Own: own, Peer: home, CareOf: careOf})) {
			t.Errorf("did %v, want a route", d.did)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if got := d.did[len(d.did)-1]; got != routability.Output(routability.ClearRoute{Own: own, Peer: home}) {
			t.Errorf("did %v, want that the route has ended", got)
		}

		stranger, err := ipv6.Append(nil, &ipv6.Packet{Src: careOf, Dst: own, HomeAddress: home, HopLimit: 64, Next: ipv6.UDP, Payload: make([]byte, 8)})
		if err != nil {
			t.Fatal(err)
		}
		packets <- stranger
		p, err := ipv6.Parse(<-d.sent)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mh.Parse(p.Payload)
		if e, ok := m.(*mh.BindingError); err != nil || !ok || e.HomeAddress != home || e.Status != mh.UnknownBinding || p.Dst != careOf {
			t.Errorf("a stranger was told %+v, %v", m, err)
		}
		packets <- []byte("rubbish")
		packets <- stranger[:50]

		d.broken = errors.New("no such device")
		time.Sleep(time.Second)
		packets <- stranger
		<-d.sent
		close(commands)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []string{"ready", "route-optimized", "route-optimization-ended", "action-failed"}
		if !slices.Equal(r.events, want) {
			t.Errorf("told %q, want %q", r.events, want)
		}
	})
}
