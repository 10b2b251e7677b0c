package router

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/wire/icmp6"
)

const patience = 10 * time.Second

// told keeps what a role tells.
type told struct {
	events  chan string
	replies chan error
}

func (t *told) Event(name string, _ map[string]any) { t.events <- name }
func (t *told) Reply(_ uint64, _ any, err error)    { t.replies <- err }
func newTold() *told                                { return &told{make(chan string, 10), make(chan error, 10)} }
func next[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// device is the configuration of a device as it is.
func device(t *testing.T, space ns.NetNS, name string) (i control.Interface) {
	netnstest.In(t, space, func() error {
		dev, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		i = control.Interface{Name: name, Index: dev.Index, MAC: dev.HardwareAddr.String(), MTU: dev.MTU}
		return nil
	})
	return i
}

// hear sends the advertisements that the port receives.
func hear(port *host.NDPort) <-chan *icmp6.RouterAdvertisement {
	out := make(chan *icmp6.RouterAdvertisement, 100)
	go func() {
		for {
			messages, err := port.Receive()
			if err != nil {
				return
			}
			for _, m := range messages {
				if parsed, err := icmp6.Parse(m.Message); err == nil && icmp6.Check(parsed, m.Src, m.Dst, 255) == nil {
					if ra, ok := parsed.(*icmp6.RouterAdvertisement); ok {
						out <- ra
					}
				}
			}
		}
	}()
	return out
}

func TestARouterAdvertisesAnswersAndSaysGoodbye(t *testing.T) {
	space, mobile := netnstest.New(t), netnstest.New(t)
	netnstest.Pair(t, space, "wlan", mobile, "ue")
	var at *host.Host
	var port *host.NDPort
	netnstest.In(t, mobile, func() (err error) {
		if at, err = host.Open(&control.Config{Interfaces: []control.Interface{device(t, mobile, "ue")}}); err != nil {
			return err
		}
		port, err = at.NDPort()
		return err
	})
	defer at.Close()
	defer port.Close()
	heard := hear(port)

	dev := device(t, space, "wlan")
	dev.Advertise = &control.Advertise{
		Prefix: netip.MustParsePrefix("2001:db8:200::/64"), Address: netip.MustParseAddr("2001:db8:200::1"),
		MinInterval: time.Hour, MaxInterval: time.Hour, Lifetime: time.Hour,
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, commands, ended := newTold(), make(chan control.Command), make(chan error, 1)
	cfg := &control.Config{Node: "wlan-gw", Role: "router", Interfaces: []control.Interface{dev}}
	inside := make(chan struct{})
	go func() {
		defer close(inside)
		space.Do(func(ns.NetNS) error {
			ended <- run(ctx, r, commands, cfg)
			return nil
		})
	}()
	if got := next(t, r.events); got != "ready" {
		t.Fatalf("told %s", got)
	}
	first := next(t, heard)
	prefix, _ := icmp6.Find[icmp6.PrefixInformation](first.Options)
	if prefix.Prefix != netip.MustParsePrefix("2001:db8:200::1/64") || !prefix.RouterAddress || first.Lifetime != time.Hour {
		t.Errorf("advertised %+v", first)
	}
	none, routers := netip.IPv6Unspecified(), netip.MustParseAddr("ff02::2")
	netnstest.In(t, space, func() error { return at.SetForwarding(true) }) // all routers' group is joined
	ask, err := icmp6.Append(nil, &icmp6.RouterSolicitation{}, none, routers)
	if err != nil {
		t.Fatal(err)
	}
	if err := port.Send("ue", none, routers, ask); err != nil {
		t.Fatal(err)
	}
	if got := next(t, heard); got.Lifetime != time.Hour {
		t.Errorf("answered %+v", got)
	}
	commands <- control.Command{ID: 1, Name: "dance"}
	if err := next(t, r.replies); err == nil || !strings.Contains(err.Error(), `"dance"`) {
		t.Errorf("an unknown command was answered with %v", err)
	}
	cancel()
	for next(t, heard).Lifetime != 0 {
	}
	if err := next(t, ended); err != nil {
		t.Errorf("ended with %v", err)
	}
	<-inside
}

func TestARouterThatAdvertisesNowhereIdlesUntilTheLabGoes(t *testing.T) {
	space := netnstest.New(t)
	r, commands, ended := newTold(), make(chan control.Command), make(chan error, 1)
	go space.Do(func(ns.NetNS) error {
		ended <- run(context.Background(), r, commands, &control.Config{})
		return nil
	})
	next(t, r.events)
	close(commands)
	if err := next(t, ended); err != nil {
		t.Errorf("ended with %v", err)
	}
}
