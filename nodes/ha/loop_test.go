package ha

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// A recorder is hands and teller, and remembers what it was asked for.
type recorder struct {
	mu      sync.Mutex // no clock of a bubble orders accesses for the race detector
	did     []string
	sent    [][]byte
	asks    []*AskAAA
	replies []string
	fail    error
}

func (r *recorder) do(o Output) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did = append(r.did, actionName(o))
	return r.fail
}

func (r *recorder) sendUDP(to netip.AddrPort, packet []byte) error {
	return r.send(to.String(), packet)
}

func (r *recorder) send(dev string, packets ...[]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did = append(r.did, fmt.Sprintf("send %d %s", len(packets), dev))
	for _, p := range packets {
		r.sent = append(r.sent, slices.Clone(p))
	}
	return r.fail
}

func (r *recorder) ask(a *AskAAA) { r.asks = append(r.asks, a) }

func (r *recorder) counters() any { return "counters" }

func (r *recorder) Event(name string, fields map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did = append(r.did, name)
}

func (r *recorder) Reply(id uint64, value any, err error) {
	b, _ := json.Marshal(value)
	r.replies = append(r.replies, fmt.Sprintf("%d %s %v", id, b, err))
}

// A bench is a loop in a bubble of time of its own.
type bench struct {
	*recorder
	s        *story // makes packets; its machine is not the loop's
	bursts   chan burst
	inputs   chan Input
	commands chan control.Command
}

func playing(t *testing.T, cfg *control.Config, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{recorder: &recorder{}, s: tell(t, cfg), bursts: make(chan burst), inputs: make(chan Input), commands: make(chan control.Command)}
		l := &loop{machine: m, hands: b, teller: b}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.run(ctx, b.bursts, b.inputs, b.commands) }()
		f(b)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// receive gives the loop Binding Updates that have come in together.
func (b *bench) receive(list ...announcement) {
	done := make(chan struct{}, 1)
	in := burst{done: done}
	for _, a := range list {
		in.packets = append(in.packets, host.Datagram{Dev: "core", Packet: b.s.packet(a)})
	}
	b.bursts <- in
	<-done
	synctest.Wait()
}

func (b *bench) wantDid(t *testing.T, want ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if diff := cmp.Diff(want, b.did); diff != "" {
		t.Error(diff)
	}
	b.did = nil
}

func TestTheLoopDoesWhatTheMachineSaysInItsOrder(t *testing.T) {
	playing(t, configuration(), func(b *bench) {
		b.s.now = time.Now()
		b.receive(b.s.of(1))
		b.wantDid(t, "set-tunnel", "send 1 ", "set-proxy", "advertise-neighbor", "binding-accepted", "key-made")
		time.Sleep(time.Second)
		synctest.Wait()
		b.wantDid(t, "advertise-neighbor")
		b.s.now = time.Now()
		b.receive(b.s.homecoming(2))
		b.wantDid(t, "clear-tunnel", "clear-proxy", "binding-deleted", "send 1 home")
		time.Sleep(time.Minute)
		synctest.Wait()
		b.wantDid(t)
	})
}

func TestAnswersToABurstAreSentTogether(t *testing.T) {
	playing(t, configuration(), func(b *bench) {
		b.s.now = time.Now()
		b.receive(b.s.of(1), b.s.ofB(1))
		b.did, b.sent = nil, nil
		time.Sleep(time.Millisecond)
		b.s.now = time.Now()
		b.receive(b.s.of(2), b.s.ofB(2))
		b.wantDid(t, "binding-accepted", "binding-accepted", "send 2 ")
		if slices.Equal(b.sent[0], b.sent[1]) {
			t.Error("the same packet twice")
		}
	})
}

func TestALongBurstIsSentInQueuesOfBoundedLength(t *testing.T) {
	playing(t, configuration(), func(b *bench) {
		b.s.now = time.Now()
		var list []announcement
		for range 70 {
			a := b.s.of(1)
			a.mnha = association.New(spiA, keyB)
			list = append(list, a)
		}
		b.receive(list...)
		b.did = slices.DeleteFunc(b.did, func(s string) bool { return s == "binding-refused" })
		b.wantDid(t, "send 64 ", "send 6 ")
	})
}

func TestTheLoopAsksAndTakesAnswers(t *testing.T) {
	playing(t, with(fromAAA), func(b *bench) {
		b.s.now = time.Now()
		b.receive(b.s.asking(1))
		ask := b.asks[0]
		b.wantDid(t, "aaa-asked")
		key := session(ask, 300)
		b.inputs <- outcome(ask.ID, diampeer.Outcome{
			Result: diameter.Success, Host: "aaa.example.org", Message: message(t, &diameter.MIP6Answer{
				Outcome: diameter.Outcome{Result: diameter.Success}, Homes: []netip.Addr{homeA}, MSA: &diameter.MSA{Key: key.Key, Lifetime: time.Hour, SPI: 300, Algorithm: diameter.HMACSHA1, Replay: diameter.ReplayTimestamp},
			})})
		synctest.Wait()
		b.wantDid(t, "aaa-answered", "association-made", "key-made", "set-tunnel", "send 1 ", "set-proxy", "advertise-neighbor", "binding-accepted")
	})
}

// message is an answer as a client gives it.
func message(t *testing.T, a *diameter.MIP6Answer) *diameter.Message {
	t.Helper()
	a.Session, a.Identity, a.State = "ha;1;1", diameter.Identity{Host: "aaa.example.org", Realm: "example.org"}, diameter.NoStateMaintained
	octets, err := a.AppendTo(nil, diameter.Header{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := diameter.Parse(octets)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOutcomesOfTheClientAreAnswersOrFailures(t *testing.T) {
	for name, c := range map[string]struct {
		outcome diampeer.Outcome
		want    Input
	}{
		"nobody": {diampeer.Outcome{Reason: "no-peer"}, AAAFailed{ID: 7, Reason: "no-peer"}},
		"rejected": {diampeer.Outcome{Reason: "authentication-rejected", Result: 4001, Peer: "relay", Host: "p",
			Message: message(t, &diameter.MIP6Answer{Outcome: diameter.Outcome{Result: 4001}})}, &AAAAnswered{ID: 7, Peer: "p", Result: 4001, Name: "authentication-rejected"}},
		"no answer": {diampeer.Outcome{Result: 2001, Message: message(t, &diameter.MIP6Answer{Outcome: diameter.Outcome{Result: 2001}})}, AAAFailed{ID: 7, Reason: "malformed-answer"}},
		"another algorithm": {diampeer.Outcome{Result: 2001, Message: message(t, &diameter.MIP6Answer{Outcome: diameter.Outcome{Result: 2001}, MSA: &diameter.MSA{Algorithm: 9}, Homes: []netip.Addr{homeB}})},
			&AAAAnswered{ID: 7, Result: 2001, Name: "success", HomeAddress: homeB}},
	} {
		if diff := cmp.Diff(c.want, outcome(7, c.outcome), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestFailuresAreToldAndDoNotEndTheLoop(t *testing.T) {
	playing(t, configuration(), func(b *bench) {
		b.fail = errors.New("no such device")
		b.s.now = time.Now()
		b.receive(b.s.of(1))
		n := 0
		for _, did := range b.did {
			if did == "action-failed" {
				n++
			}
		}
		if n != 4 {
			t.Errorf("%d failures told: %v", n, b.did)
		}
		b.fail, b.did = nil, nil
		time.Sleep(time.Millisecond)
		b.s.now = time.Now()
		b.receive(b.s.of(2))
		b.wantDid(t, "binding-accepted", "send 1 ")
	})
}

func TestTheLabCanReadTheBindingCache(t *testing.T) {
	playing(t, configuration(), func(b *bench) {
		b.s.now = time.Now()
		b.receive(b.s.of(5))
		time.Sleep(10 * time.Second)
		for i, name := range []string{"bindings", "counts", "dance"} {
			b.commands <- control.Command{ID: uint64(i), Name: name}
		}
		synctest.Wait()
		want := []string{
			`0 [{"home-address":"2001:db8:100::10","care-of":"2001:db8:200::99","nai":"a@example.org","state":"bound","seq":5,"spi":256,"lifetime":60,"remaining":50,"since":10}] <nil>`,
			`1 {"machine":{"bindings":1,"invalid":0,"subscribers":2,"questions":0,"timers":1},"tunnel":"counters"} <nil>`,
			`2 null a home agent has no command "dance": want bindings, counts, revoke or switch`,
		}
		if diff := cmp.Diff(want, b.replies); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheLoopEndsWhenTheLabHasGone(t *testing.T) {
	m, err := New(configuration())
	if err != nil {
		t.Fatal(err)
	}
	commands := make(chan control.Command)
	close(commands)
	l := &loop{machine: m, hands: &recorder{}, teller: &recorder{}}
	if err := l.run(t.Context(), nil, nil, commands); err != nil {
		t.Error(err)
	}
}
