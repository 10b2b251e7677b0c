package host

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/netns/netnstest"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// A testNode is a namespace with a Host in it.
type testNode struct {
	t     testing.TB
	space ns.NetNS
	*Host
}

func newNode(t testing.TB) *testNode {
	n := &testNode{t: t, space: netnstest.New(t)}
	n.in(func() (err error) {
		for name, value := range map[string]string{"accept_dad": "0", "accept_ra": "0", "router_solicitations": "0"} {
			if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/"+name, []byte(value), 0); err != nil {
				return err
			}
		}
		n.Host, err = Open(&control.Config{})
		return err
	})
	t.Cleanup(func() { n.Host.Close() })
	return n
}

// in runs f inside, and fails the test where f does.
func (n *testNode) in(f func() error) {
	n.t.Helper()
	netnstest.In(n.t, n.space, f)
}

// must fails the test at the first error.
func (n *testNode) must(errs ...error) {
	n.t.Helper()
	for _, err := range errs {
		if err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *testNode) address(dev, prefix string) {
	n.t.Helper()
	n.must(n.AddAddress(dev, netip.MustParsePrefix(prefix), AddressFlags{NoDAD: true}))
}

// isLocal says whether packets to a are delivered here.
func (n *testNode) isLocal(a netip.Addr) (local bool) {
	var b batch
	header := make([]byte, unix.SizeofRtMsg)
	header[0], header[1] = family(a), byte(a.BitLen())
	start := b.Begin("route", unix.RTM_GETROUTE, 0, header)
	b.Address(unix.RTA_DST, a)
	b.End(start)
	n.nl.ask(&b, false, func(_ uint16, body []byte) { local = body[7] == unix.RTN_LOCAL })
	return local
}

func (n *testNode) route(to, via, dev string) {
	n.t.Helper()
	r := Route{Dev: dev, Via: netip.MustParseAddr(via)}
	if to != "default" {
		r.To = netip.MustParsePrefix(to)
	}
	n.must(n.ReplaceRoute(r))
}

// join joins two nodes by a veth pair and waits until both see its carrier.
func join(a *testNode, nameA string, b *testNode, nameB string) {
	a.t.Helper()
	netnstest.Pair(a.t, a.space, nameA, b.space, nameB)
	for node, dev := range map[*testNode]string{a: nameA, b: nameB} {
		index, err := node.Index(dev)
		node.must(err)
		l, err := node.nl.link(index, "") // also makes the kernel act on the carrier at once
		node.must(err)
		if l, err = node.nl.link(index, ""); err != nil || !l.carrier {
			node.t.Fatalf("%s has no carrier: %v", dev, err)
		}
	}
}

// An ear hears the IPv6 packets that cross a device.
type ear struct {
	t  testing.TB
	fd int
}

func (n *testNode) ear(dev string) *ear {
	n.t.Helper()
	e := &ear{t: n.t}
	n.in(func() (err error) {
		if e.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		index, err := n.Index(dev)
		if err != nil {
			return err
		}
		largeBuffer(e.fd, 16<<20) // some listen long before they read
		unix.SetsockoptTimeval(e.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)})
		return unix.Bind(e.fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index})
	})
	n.t.Cleanup(func() { unix.Close(e.fd) })
	return e
}

// until returns the first packet that is wanted, and hands those before to seen.
func (e *ear) until(wanted func([]byte) bool, seen func([]byte)) []byte {
	e.t.Helper()
	b := make([]byte, 70000)
	for {
		n, _, err := unix.Recvfrom(e.fd, b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			e.t.Fatalf("the packet did not come: %v", err)
		}
		if wanted(b[:n]) {
			return b[:n]
		}
		if seen != nil {
			seen(b[:n])
		}
	}
}

func context10s(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestASettingIsHeldUntilItIsSetOtherwise(t *testing.T) {
	n := newNode(t)
	join(n, "wlan", newNode(t), "core")
	a, b := netip.MustParsePrefix("2001:db8:1::1/64"), netip.MustParsePrefix("2001:db8:1::2/64")
	n.in(func() error { return n.AddAddress("wlan", a, AddressFlags{Optimistic: true}) })
	n.in(func() error { return n.SetSysctl("conf/wlan/accept_dad", "0") })
	n.in(func() error { return n.AddAddress("wlan", b, AddressFlags{}) })
	n.in(func() error {
		value, err := os.ReadFile("/proc/sys/net/ipv6/conf/wlan/accept_dad")
		if err == nil && string(value) != "1\n" {
			err = fmt.Errorf("accept_dad is %q, want 1: duplicate address detection was asked for", value)
		}
		return err
	})
}
