package launch

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/netns"
	"s2clab/nodes/netns/netnstest"
)

func init() { runtime.LockOSThread() }

// TestMain makes this test a node process too, with roles of its own.
func TestMain(m *testing.M) {
	if len(os.Args) != 3 || os.Args[1] != "node" {
		os.Exit(m.Run())
	}
	conn, cfg, err := control.OpenNode()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	name, _ := os.Hostname()
	conn.Event("ready", map[string]any{"host": name, "role": os.Args[2], "seed": cfg.Seed})
	switch os.Args[2] {
	case "good":
		for range conn.Commands() {
		}
		conn.Event("goodbye", nil)
		conn.Close()
	case "dying":
		conn.Close()
		fmt.Fprintln(os.Stderr, "the disk is on fire")
		os.Exit(3)
	case "deaf":
		time.Sleep(time.Hour) // with nothing else to do a select for ever would be a deadlock, which ends it
	}
	os.Exit(0)
}

func start(t *testing.T, role string) (*Process, <-chan control.Event) {
	t.Helper()
	space, err := netns.New("ue", "")
	if errors.Is(err, unix.EPERM) {
		netnstest.Lacking(t, "netns", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(space.Close)
	events := make(chan control.Event, 10)
	p, err := Start(space, &control.Config{Node: "ue", Role: role, Seed: 7}, nil, func(e control.Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	return p, events
}

func TestANodeProcessRunsInItsSpaceAndEndsWhenTold(t *testing.T) {
	p, events := start(t, "good")
	e := <-events
	if e.Node != "ue" || e.Fields["host"] != "ue" || e.Fields["role"] != "good" || e.Fields["seed"] != float64(7) {
		t.Errorf("got event %+v", e)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if p.Exit() != nil {
		t.Errorf("exit %v, want none", p.Exit())
	}
}

func TestTheEndOfADeadNodesLogIsKept(t *testing.T) {
	p, _ := start(t, "dying")
	<-p.Done()
	if p.Exit() == nil || !strings.Contains(p.Exit().Error(), "3") {
		t.Errorf("exit %v, want exit status 3", p.Exit())
	}
	if !strings.Contains(p.Log(), "on fire") {
		t.Errorf("log %q", p.Log())
	}
	if err := p.Ask("anything", nil, nil); !errors.Is(err, control.ErrGone) {
		t.Errorf("a question to a dead node: %v, want ErrGone", err)
	}
}

func TestEachLineThatANodeWritesIsToldBeforeItsEnd(t *testing.T) {
	p, events := start(t, "dying")
	<-p.Done()
	for {
		select {
		case e := <-events:
			if e.Name != "node-logged" {
				continue
			}
			if e.Node != "ue" || e.Fields["role"] != "dying" || e.Fields["text"] != "the disk is on fire" || e.At == 0 {
				t.Errorf("got event %+v", e)
			}
			return
		default:
			t.Fatal("it has ended, and what it wrote was not told")
		}
	}
}

func TestLinesAreToldWhole(t *testing.T) {
	var told []string
	log := &tail{line: func(text string) { told = append(told, text) }}
	long := strings.Repeat("x", mostLine+10)
	for _, part := range []string{"one\ntw", "o\n", "\n", long + "\nthe", " end"} {
		if n, err := log.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("%d octets of %d, %v", n, len(part), err)
		}
	}
	log.end()
	log.end()
	if want := []string{"one", "two", "", long[:mostLine], long[mostLine:], "the end"}; !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
}

func TestWhoWritesWithoutEndIsNotToldWithoutEnd(t *testing.T) {
	told, last := 0, ""
	log := &tail{line: func(text string) { told, last = told+1, text }}
	for range mostLines + 100 {
		log.Write([]byte("again\n"))
	}
	if told != mostLines+1 || !strings.Contains(last, "more than 10000 lines") {
		t.Errorf("%d lines, the last %q; want %d and a word that this is not all", told, last, mostLines+1)
	}
	if !strings.HasSuffix(log.String(), "again\n") || len(log.String()) > tailOctets {
		t.Errorf("the end kept is %q", log.String())
	}
}

func TestANodeThatDoesNotEndIsKilled(t *testing.T) {
	p, events := start(t, "deaf")
	<-events
	if err := p.Stop(); err == nil {
		t.Error("a node that does not listen ended by itself")
	}
	<-p.Done()
}
