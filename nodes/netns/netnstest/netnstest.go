// Package netnstest gives tests network namespaces of their own, gone when the
// test ends, and says what a test lacks where it cannot have them.
package netnstest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
)

// New returns an empty network namespace with its loopback up, gone when the
// test ends. Code inside it runs in In; a goroutine started there is outside.
func New(tb testing.TB) ns.NetNS {
	tb.Helper()
	space, err := ns.TempNetNS()
	if err != nil {
		Lacking(tb, "netns", err)
	}
	tb.Cleanup(func() { space.Close() })
	In(tb, space, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	return space
}

// In runs f inside space, on a thread of its own, and fails the test where f does.
func In(tb testing.TB, space ns.NetNS, f func() error) {
	tb.Helper()
	if err := space.Do(func(ns.NetNS) error { return f() }); err != nil {
		tb.Fatalf("in namespace: %v", err)
	}
}

// Pair joins two namespaces by a veth pair whose ends are up, without DAD.
func Pair(tb testing.TB, a ns.NetNS, nameA string, b ns.NetNS, nameB string) {
	tb.Helper()
	In(tb, a, func() error {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0); err != nil {
			return err
		}
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: nameA}, PeerName: nameB})
	})
	In(tb, b, func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0)
	})
	In(tb, a, func() error {
		far, err := netlink.LinkByName(nameB)
		if err != nil {
			return err
		}
		return netlink.LinkSetNsFd(far, int(b.Fd()))
	})
	for space, name := range map[ns.NetNS]string{a: nameA, b: nameB} {
		In(tb, space, func() error {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			return netlink.LinkSetUp(link)
		})
	}
}

// Shared joins namespaces by one link, each by an end of the name it is given. A
// bridge in a namespace of its own makes the link; it passes frames to the PAE group
// of IEEE 802.1X on, as a hub does.
func Shared(tb testing.TB, ends map[string]ns.NetNS) {
	tb.Helper()
	hub := New(tb)
	In(tb, hub, func() error {
		pae, snooping := uint16(1<<3), false
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "hub"}, GroupFwdMask: &pae, MulticastSnooping: &snooping}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		return netlink.LinkSetUp(bridge)
	})
	number := 0
	for name, space := range ends {
		number++
		port := fmt.Sprintf("port%d", number)
		Pair(tb, space, name, hub, port)
		In(tb, space, func() error { return operational(name) })
		In(tb, hub, func() error {
			if err := operational(port); err != nil { // a bridge forwards at once to what is when it becomes a port
				return err
			}
			bridge, err := netlink.LinkByName("hub")
			if err != nil {
				return err
			}
			link, err := netlink.LinkByName(port)
			if err != nil {
				return err
			}
			return netlink.LinkSetMaster(link, bridge)
		})
	}
}

// operational waits until the kernel has acted on a device's carrier. To ask is what
// makes it do so.
func operational(name string) error {
	for late := time.Now().Add(10 * time.Second); ; {
		link, err := netlink.LinkByName(name)
		if err != nil || link.Attrs().OperState == netlink.OperUp {
			return err
		}
		if time.Now().After(late) {
			return fmt.Errorf("device %q is %v, want up", name, link.Attrs().OperState)
		}
	}
}

// Lacking skips the test for want of a capability, and fails it where
// S2CLAB_REQUIRE names that capability: a run that must have it says so.
func Lacking(tb testing.TB, capability string, err error) {
	tb.Helper()
	if slices.Contains(strings.Split(os.Getenv("S2CLAB_REQUIRE"), ","), capability) {
		tb.Fatalf("this run must have %s: %v", capability, err)
	}
	tb.Skipf("no %s here: %v", capability, err)
}
