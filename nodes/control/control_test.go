package control

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// joined returns both ends of a control socket: the lab's, and a node's.
func joined(t *testing.T, cfg *Config, sink func(Event)) (*Node, *Conn, *Config) {
	t.Helper()
	here, there := net.Pipe()
	type opened struct {
		conn *Conn
		cfg  *Config
		err  error
	}
	node := make(chan opened)
	go func() {
		c, cfg, err := Open(there)
		node <- opened{c, cfg, err}
	}()
	lab, err := Dial(here, cfg, sink)
	if err != nil {
		t.Fatal(err)
	}
	o := <-node
	if o.err != nil {
		t.Fatal(o.err)
	}
	t.Cleanup(func() { lab.Close() })
	return lab, o.conn, o.cfg
}

func TestAConfigurationArrivesAsItWasSent(t *testing.T) {
	want := &Config{
		Node: "ue", Role: "mn", Seed: 7, Clock: time.Hour,
		Interfaces: []Interface{{Name: "lte", Index: 2, Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8::1/64")}}},
		MobileNode: &MobileNode{HomeAddress: netip.MustParseAddr("2001:db8::10"), MNAAAKey: []byte{1, 2}, Lifetime: time.Minute},
	}
	_, _, got := joined(t, want, func(Event) {})
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("configuration differs (-sent +received):\n%s", d)
	}
}

func TestEventsArriveInOrderAndCommandsAreAnswered(t *testing.T) {
	events := make(chan Event, 10)
	lab, node, _ := joined(t, &Config{Node: "ha"}, func(e Event) { events <- e })
	node.EventAt(1, "ready", nil)
	node.EventAt(2, "binding-accepted", map[string]any{"seq": 5})
	go func() {
		cmd := <-node.Commands()
		if cmd.Name == "bindings" {
			node.Reply(cmd.ID, []string{"one"}, nil)
		}
		cmd = <-node.Commands()
		node.Reply(cmd.ID, nil, errors.New("no such thing"))
	}()
	var got []string
	if err := lab.Ask("bindings", nil, &got); err != nil || len(got) != 1 || got[0] != "one" {
		t.Errorf("bindings: got %v, %v", got, err)
	}
	if err := lab.Ask("other", nil, nil); err == nil || err.Error() != "no such thing" {
		t.Errorf("a refused command: got error %v", err)
	}
	first, second := <-events, <-events
	if first.Name != "ready" || second.Name != "binding-accepted" || second.Node != "ha" || second.At != 2 {
		t.Errorf("got events %v, %v", first, second)
	}
}

func TestANodeThatDiesAnswersEveryQuestionWithErrGone(t *testing.T) {
	here, there := net.Pipe()
	go func() {
		buf := make([]byte, 1<<16)
		there.Read(buf) // the configuration
		there.Read(buf) // the question
		there.Close()
	}()
	lab, err := Dial(here, &Config{}, func(Event) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.Ask("bindings", nil, nil); !errors.Is(err, ErrGone) {
		t.Errorf("a question to a dying node: got %v, want ErrGone", err)
	}
	<-lab.Closed()
	if err := lab.Ask("bindings", nil, nil); !errors.Is(err, ErrGone) {
		t.Errorf("a question to a dead node: got %v, want ErrGone", err)
	}
}
