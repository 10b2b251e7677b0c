package nat

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"

	"s2clab/nodes/control"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/translate"
)

const patience = 10 * time.Second

// fake is a kernel in memory.
type fake struct {
	did      []string
	ports    translate.Ports
	mappings []translate.Mapping
	fails    error
	babbled  int
}

func (f *fake) Babble(uint64) (func() int, error) {
	if f.fails != nil {
		return nil, f.fails
	}
	f.did = append(f.did, "babble")
	return func() int { f.did = append(f.did, "behave"); return f.babbled }, nil
}

func (f *fake) Start(t translate.Translation) error {
	f.did, f.ports = append(f.did, "start "+t.Ports.String()), t.Ports
	return f.fails
}
func (f *fake) Mappings() ([]translate.Mapping, error) { return f.mappings, f.fails }
func (f *fake) Forget() error {
	f.did, f.mappings = append(f.did, "forget"), nil
	return f.fails
}

func config() *control.Config {
	return &control.Config{
		Node: "nat", Role: "nat", NAT: &control.NAT{Inside: []string{"lan"}, Ports: control.Ports{First: 1024, Last: 65535}, UDPTimeout: time.Minute},
		Interfaces: []control.Interface{
			{Name: "lan", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.1/24")}},
			{Name: "wan", Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("203.0.113.1/24")}},
		},
	}
}

func TestRenumberingTakesTheHalfOfThePortsThatWasNotInUse(t *testing.T) {
	k := &fake{}
	b := newBox(config(), k)
	if err := b.start(); err != nil {
		t.Fatal(err)
	}
	used := []translate.Ports{k.ports}
	for range 3 {
		event, fields, err := b.do("renumber")
		if err != nil || event != "nat-renumbered" || fields["ports"] != k.ports.String() {
			t.Fatalf("told %s %v: %v", event, fields, err)
		}
		used = append(used, k.ports)
	}
	want := []translate.Ports{{First: 1024, Last: 33279}, {First: 33280, Last: 65535}, {First: 1024, Last: 33279}, {First: 33280, Last: 65535}}
	if !reflect.DeepEqual(used, want) {
		t.Errorf("ports %v, want %v", used, want)
	}
}

// The ports change before mappings are lost: no packet in between may make one
// with an old port.
func TestPortsChangeBeforeMappingsAreLost(t *testing.T) {
	k := &fake{}
	newBox(config(), k).do("renumber")
	if want := []string{"start 33280-65535", "forget"}; !reflect.DeepEqual(k.did, want) {
		t.Errorf("did %q, want %q", k.did, want)
	}
}

func TestWhatIsLostIsTold(t *testing.T) {
	m := translate.Mapping{Protocol: "udp", Inside: netip.MustParseAddrPort("192.168.1.10:5000"), Outside: netip.MustParseAddrPort("203.0.113.1:5000"), Remote: netip.MustParseAddrPort("192.0.2.1:4191")}
	k := &fake{}
	for range 2 * toldMappings {
		k.mappings = append(k.mappings, m)
	}
	event, fields, err := newBox(config(), k).do("forget")
	were, _ := fields["were"].([]string)
	if err != nil || event != "nat-forgot" || fields["mappings"] != 2*toldMappings || len(were) != toldMappings || were[0] != "udp 192.168.1.10:5000 as 203.0.113.1:5000 to 192.0.2.1:4191" {
		t.Errorf("told %s %v: %v", event, fields, err)
	}
	if k.mappings != nil {
		t.Error("nothing was lost")
	}
}

func TestWhatCannotBeDoneIsRefused(t *testing.T) {
	if _, _, err := newBox(config(), &fake{}).do("dance"); err == nil || !strings.Contains(err.Error(), `"dance"`) {
		t.Errorf("dance: %v", err)
	}
	broken := errors.New("broken")
	for _, command := range []string{"forget", "renumber", "babble"} {
		if _, _, err := newBox(config(), &fake{fails: broken}).do(command); !errors.Is(err, broken) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

type told struct {
	events  chan string
	replies chan error
}

func (t *told) Event(name string, _ map[string]any) { t.events <- name }
func (t *told) Reply(_ uint64, _ any, err error)    { t.replies <- err }

func next[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

func TestANATDoesWhatTheLabAsks(t *testing.T) {
	space := netnstest.New(t)
	netnstest.In(t, space, func() error {
		if err := translate.Probe(); err != nil {
			netnstest.Lacking(t, "nat", err)
		}
		return nil
	})
	r, commands, ended := &told{make(chan string, 10), make(chan error, 10)}, make(chan control.Command), make(chan error, 1)
	go space.Do(func(ns.NetNS) error {
		ended <- run(context.Background(), r, commands, config())
		return nil
	})
	if got := next(t, r.events); got != "ready" {
		t.Fatalf("told %s", got)
	}
	for _, c := range []struct {
		command, event string
	}{{"forget", "nat-forgot"}, {"renumber", "nat-renumbered"}, {"babble", "nat-babbles"}, {"behave", "nat-behaves"}, {"babble", "nat-babbles"}} {
		commands <- control.Command{ID: 1, Name: c.command}
		if event, err := next(t, r.events), next(t, r.replies); event != c.event || err != nil {
			t.Errorf("%s: told %s, answered %v", c.command, event, err)
		}
	}
	commands <- control.Command{ID: 2, Name: "dance"}
	if err := next(t, r.replies); err == nil {
		t.Error("it dances")
	}
	close(commands)
	if err := next(t, ended); err != nil {
		t.Errorf("ended with %v", err)
	}
}
