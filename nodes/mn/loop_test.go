package mn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"s2clab/nodes/control"
)

// A recorder is hands and teller, and remembers what it was asked for, when.
type recorder struct {
	began   time.Time
	did     []string
	replies []string
	fail    func(o Output) error
}

func (r *recorder) note(what string) {
	r.did = append(r.did, fmt.Sprintf("%v %s", time.Since(r.began), what))
}

func (r *recorder) do(o Output) error {
	r.note(names([]Output{o})[0])
	if r.fail != nil {
		return r.fail(o)
	}
	return nil
}

func (r *recorder) Event(name string, fields map[string]any) { r.note(name) }

func (r *recorder) Reply(id uint64, value any, err error) {
	b, _ := json.Marshal(value)
	r.replies = append(r.replies, fmt.Sprintf("%d %s %v", id, b, err))
}

// playing runs a loop in a bubble of time of its own.
func playing(t *testing.T, cfg *control.Config, f func(r *recorder, inputs chan<- Input, commands chan<- control.Command)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{began: time.Now()}
		l := &loop{machine: m, offset: cfg.Clock, hands: r, teller: r}
		ctx, cancel := context.WithCancel(t.Context())
		inputs, commands := make(chan Input), make(chan control.Command)
		ended := make(chan error, 1)
		go func() { ended <- l.run(ctx, inputs, commands) }()
		f(r, inputs, commands)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

func advertised(dev string, p netip.Prefix) RouterAdvertised {
	return RouterAdvertised{Dev: dev, Router: routerLL, LinkLayer: routerMAC, Lifetime: time.Hour,
		Prefixes: []Prefix{{Prefix: netip.PrefixFrom(join(p, 1), 64), OnLink: true, Autonomous: true, Router: true, Valid: Forever, Preferred: Forever}}}
}

func TestTheLoopLosesNoTimeBetweenAdvertisementAndBindingUpdate(t *testing.T) {
	for _, clock := range []time.Duration{0, time.Hour, -time.Hour} {
		cfg := config()
		cfg.Clock = clock
		playing(t, cfg, func(r *recorder, inputs chan<- Input, _ chan<- control.Command) {
			time.Sleep(time.Second)
			inputs <- CarrierChanged{Dev: "wlan", Up: true}
			time.Sleep(10 * time.Millisecond)
			inputs <- advertised("wlan", wlanPrefix)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			want := []string{"1s carrier-gained", "1s SolicitRouter", "1.01s router-found", "1.01s EnterAccess", "1.01s AdvertiseNeighbor", "1.01s address-configured",
				"1.01s attached", "1.01s key-made", "1.01s SendMobility", "1.01s binding-update-sent", "1.01s ExpectTunnel", "2.51s SendMobility", "2.51s binding-update-sent"}
			if !slices.Equal(r.did, want) {
				t.Errorf("clock wrong by %v: got %q", clock, r.did)
			}
		})
	}
}

func TestAnAddressThatTheKernelDoesNotTakeIsReplaced(t *testing.T) {
	playing(t, config(), func(r *recorder, inputs chan<- Input, _ chan<- control.Command) {
		first := true
		r.fail = func(o Output) error {
			if _, ok := o.(EnterAccess); ok && first {
				first = false
				return errors.New("no")
			}
			return nil
		}
		inputs <- CarrierChanged{Dev: "wlan", Up: true}
		inputs <- advertised("wlan", wlanPrefix)
		synctest.Wait()
		if n := slices.Index(r.did, "0s action-failed"); n < 0 || !slices.Contains(r.did[n:], "0s EnterAccess") {
			t.Errorf("got %q", r.did)
		}
	})
}

func TestTheLabMayAskForTheState(t *testing.T) {
	playing(t, config(), func(r *recorder, inputs chan<- Input, commands chan<- control.Command) {
		commands <- control.Command{ID: 1, Name: "state"}
		inputs <- CarrierChanged{Dev: "wlan", Up: true}
		inputs <- advertised("wlan", wlanPrefix)
		commands <- control.Command{ID: 2, Name: "state"}
		commands <- control.Command{ID: 3, Name: "dance"}
		synctest.Wait()
		if len(r.replies) != 3 {
			t.Fatalf("got %q", r.replies)
		}
		t.Log(r.replies[1])
	})
}

func TestTheLabTellsWhatTheRadioHears(t *testing.T) {
	playing(t, config(), func(r *recorder, inputs chan<- Input, commands chan<- control.Command) {
		for i, args := range []string{`{"dev": "wlan", "level": -71.5}`, `{"dev": "wlan", "level": null}`, `{"dev": "nowhere", "level": -1}`, `{"level": "loud"}`} {
			commands <- control.Command{ID: uint64(i), Name: "signal", Args: json.RawMessage(args)}
			if i == 0 {
				commands <- control.Command{ID: 9, Name: "state"}
			}
		}
		synctest.Wait()
		if want := []string{"0s signal-changed", "0s signal-changed"}; !slices.Equal(r.did, want) {
			t.Errorf("did %q, want %q", r.did, want)
		}
		if len(r.replies) != 5 || !strings.Contains(r.replies[1], `"signal":-71.5`) || !strings.HasSuffix(r.replies[2], "<nil>") ||
			!strings.Contains(r.replies[3], `no device "nowhere"`) || !strings.Contains(r.replies[4], "signal: json") {
			t.Errorf("answered %q", r.replies)
		}
	})
}

func TestTheLoopEndsWhenTheLabHasGone(t *testing.T) {
	m, err := New(config())
	if err != nil {
		t.Fatal(err)
	}
	commands := make(chan control.Command)
	close(commands)
	l := &loop{machine: m}
	if err := l.run(t.Context(), nil, commands); err != nil {
		t.Error(err)
	}
}
