package traffic

import (
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"s2clab/nodes/control"
)

// told keeps the events of an agent.
type told struct {
	mu     sync.Mutex
	events []control.Event
}

func (k *told) Event(name string, fields map[string]any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, control.Event{Name: name, Fields: fields})
}

// last gives the last event of a name; nil: there was none.
func (k *told) last(name string) map[string]any {
	if all := k.of(name); all != nil {
		return all[len(all)-1]
	}
	return nil
}

// wait waits for an event of a name.
func (k *told) wait(t *testing.T, name string) map[string]any {
	t.Helper()
	await(t, name, func() bool { return k.last(name) != nil })
	return k.last(name)
}

// of gives the events of that name, as they are by now.
func (k *told) of(name string) (found []map[string]any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.events {
		if e.Name == name {
			found = append(found, e.Fields)
		}
	}
	return found
}

// samples are all samples of that name, in the order in which they were told.
func (k *told) samples(name string) (all [][]float64) {
	for _, fields := range k.of(name) {
		for _, one := range fields["samples"].([]any) {
			var numbers []float64
			for _, n := range one.([]any) {
				numbers = append(numbers, n.(float64))
			}
			all = append(all, numbers)
		}
	}
	return all
}

// newAgent is one node's traffic; it ends with the test.
func newAgent(t *testing.T) (*agent, *told) {
	t.Helper()
	k := &told{}
	a := &agent{ctx: t.Context(), tell: k, flows: map[string]*flow{}}
	t.Cleanup(a.stopAll)
	return a, k
}

// do asks the agent what a lab would ask, in its words.
func do(t *testing.T, a *agent, command string, args any) {
	t.Helper()
	if err := ask(t, a, command, args); err != nil {
		t.Fatalf("%s %+v: %v", command, args, err)
	}
}

func ask(t *testing.T, a *agent, command string, args any) error {
	t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	return a.do(control.Command{Name: command, Args: raw})
}

// counted is what a flow's end has counted by now.
func counted(a *agent, name string) (now counts) {
	a.flows[name].count(func(c *counts) { now = *c })
	return now
}

// await waits until it is so; the test fails where that does not come about.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

var loopback = netip.IPv6Loopback()

// freePort is a port of the loopback that nobody has just now.
func freePort(t *testing.T, network string) netip.AddrPort {
	t.Helper()
	at := net.JoinHostPort(loopback.String(), "0")
	if network == "udp" {
		c, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// stopped is how a flow's end tells what it did.
func stopped(t *testing.T, a *agent, k *told, name string) map[string]any {
	t.Helper()
	do(t, a, "stop", control.StopFlow{Flow: name})
	all := k.of("flow-stopped")
	if len(all) == 0 || all[len(all)-1]["flow"] != name {
		t.Fatalf("stop of %s told %v", name, all)
	}
	return all[len(all)-1]
}

func TestWhatCannotBeDoneIsRefused(t *testing.T) {
	a, k := newAgent(t)
	at := freePort(t, "udp")
	do(t, a, "open", control.OpenFlow{Flow: "here", Kind: "voice", Listen: at})
	for _, c := range []struct {
		command string
		args    any
		says    string
	}{
		{"sing", nil, `no command "sing"`},
		{"open", 7, "cannot unmarshal"},
		{"open", control.OpenFlow{Flow: "x", Kind: "video"}, `kind "video": want voice, bulk or request`},
		{"start", control.StartFlow{Flow: "x", Kind: "video"}, `kind "video": want voice, bulk or request`},
		{"open", control.OpenFlow{Flow: "here", Kind: "voice", Listen: freePort(t, "udp")}, `flow "here" is here already`},
		{"open", control.OpenFlow{Flow: "here", Kind: "bulk", Listen: freePort(t, "tcp")}, `flow "here" is here already`},
		{"start", control.StartFlow{Flow: "here", Kind: "request", Rate: 1, Local: loopback, Remote: at}, `flow "here" is here already`},
		{"open", control.OpenFlow{Flow: "y", Kind: "voice", Listen: at}, "address already in use"},
		{"start", control.StartFlow{Flow: "x", Kind: "voice", Local: loopback, Remote: at}, "rate 0"},
		{"start", control.StartFlow{Flow: "x", Kind: "voice", Local: loopback, Remote: at, Rate: 1, Size: voiceMost + 1}, "at most 65000 octets"},
		{"start", control.StartFlow{Flow: "x", Kind: "bulk", Local: loopback, Remote: at}, "size 0: want 1 to 65521 octets"},
		{"start", control.StartFlow{Flow: "x", Kind: "request", Local: loopback, Remote: at, Rate: -1}, "rate -1"},
		{"start", control.StartFlow{Flow: "x", Kind: "request", Local: loopback, Remote: at, Rate: 1, Size: requestMost + 1}, "at most 1048576 octets"},
		{"pause", control.StopFlow{Flow: "x"}, `no flow "x" here`},
		{"stop", control.StopFlow{Flow: "x"}, `no flow "x" here`},
	} {
		if err := ask(t, a, c.command, c.args); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %+v: %v, want %q", c.command, c.args, err, c.says)
		}
	}
	if len(a.flows) != 1 || len(k.of("flow-started")) != 0 {
		t.Errorf("what was refused has left %d flows and was told to start: %v", len(a.flows)-1, k.of("flow-started"))
	}
	do(t, a, "stop", control.StopFlow{Flow: "here"})
	do(t, a, "open", control.OpenFlow{Flow: "here", Kind: "voice", Listen: at}) // name and port are free again
}

func TestAFlowTellsWhoItIsWhenItStarts(t *testing.T) {
	a, k := newAgent(t)
	far := freePort(t, "udp")
	do(t, a, "start", control.StartFlow{Flow: "talk", Kind: "voice", Local: loopback, Remote: far, Rate: 50, Size: 172, BothWays: true, From: "ue", To: "cn"})
	all := k.of("flow-started")
	if len(all) != 1 {
		t.Fatalf("told %v", all)
	}
	for field, want := range map[string]any{
		"flow": "talk", "kind": "voice", "proto": "udp", "size": 172.0, "rate": 50.0, "both-ways": true,
		"local": "::1", "remote": far.String(), "from": "ue", "to": "cn",
	} {
		if all[0][field] != want {
			t.Errorf("%s: %v, want %v", field, all[0][field], want)
		}
	}
}

func TestAProcessEndsItsFlowsWithTheLab(t *testing.T) {
	here, there := net.Pipe()
	events := make(chan control.Event, 100)
	ended := make(chan error, 1)
	go func() {
		conn, cfg, err := control.Open(there)
		if err == nil {
			err = Run(t.Context(), conn, cfg)
			conn.Close()
		}
		there.Close()
		ended <- err
	}()
	node, err := control.Dial(here, &control.Config{Node: "ue", Role: "traffic"}, func(e control.Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Name != "ready" || e.Node != "ue" {
		t.Fatalf("first %+v, want ready", e)
	}
	if err := node.Ask("open", control.OpenFlow{Flow: "talk", Kind: "voice", Listen: freePort(t, "udp")}, nil); err != nil {
		t.Fatal(err)
	}
	if err := node.Ask("flood", control.Flood{Protocol: "voice"}, nil); err == nil || !strings.Contains(err.Error(), `protocol "voice": want mh, diameter or icmp6`) {
		t.Errorf("flood of nothing: %v", err)
	}
	if err := node.Ask("flood", 7, nil); err == nil {
		t.Error("a flood that cannot be read was done")
	}
	node.Close()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestAFlowAtAnAddressThatIsNotThereIsToldWhy(t *testing.T) {
	absent := netip.MustParseAddr("2001:db8:dead::10")
	a, _ := newAgent(t)
	for _, kind := range []string{"voice", "bulk", "request"} {
		for end, err := range map[string]error{
			"far":  a.open(&control.OpenFlow{Flow: kind, Kind: kind, Listen: netip.AddrPortFrom(absent, 5001), Rate: 1, Size: 100}),
			"near": a.start(&control.StartFlow{Flow: kind, Kind: kind, Local: absent, Remote: netip.AddrPortFrom(absent, 5001), Rate: 1, Size: 100}),
		} {
			if err == nil || !strings.Contains(err.Error(), absent.String()) || !strings.Contains(err.Error(), "home-address-assigned") {
				t.Errorf("%s, %s end: %v", kind, end, err)
			}
		}
	}
	if len(a.flows) > 0 {
		t.Errorf("%d flows are left", len(a.flows))
	}
}
