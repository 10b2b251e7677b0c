package mn

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/netns/netnstest"
)

// inHand does something with the hands of a mobile node that has a device wlan.
func inHand(t *testing.T, do func(l netlink.Link, k *kernel) error) {
	t.Helper()
	mobile, far := netnstest.New(t), netnstest.New(t)
	netnstest.Pair(t, mobile, "wlan", far, "wlan-gw")
	netnstest.In(t, mobile, func() error {
		l, err := netlink.LinkByName("wlan")
		if err != nil {
			return err
		}
		h, err := host.Open(&control.Config{Interfaces: []control.Interface{{Name: "wlan", Index: l.Attrs().Index}}})
		if err != nil {
			return err
		}
		defer h.Close()
		k := &kernel{host: h, home: homeAddress}
		if k.mobility, err = h.MobilityPort(); err != nil {
			return err
		}
		defer k.mobility.Close()
		if k.nd, err = h.NDPort(); err != nil {
			return err
		}
		defer k.nd.Close()
		return do(l, k)
	})
}

func TestTheLinkLocalAddressOfTheHomeLinkIsNotAskedForWhenTheMobileReturns(t *testing.T) { // RFC 6275, section 11.5.5
	inHand(t, func(_ netlink.Link, k *kernel) error {
		at := netip.PrefixFrom(homeAddress, 64)
		if _, err := without(k.host); err != nil {
			return err
		}
		asks := func() string {
			b, err := os.ReadFile("/proc/sys/net/ipv6/conf/wlan/accept_dad")
			if err != nil {
				t.Error(err)
			}
			return strings.TrimSpace(string(b))
		}
		err := k.do(EnterHome{Dev: "wlan", Address: at, DAD: FullDAD, Router: routerLL, HomeAgent: homeAgent, OnLink: true})
		if asks() != "1" {
			t.Error("no detection for the home address")
		}
		err = errors.Join(err, k.do(LeaveHome{Dev: "wlan", Address: at, HomeAgent: homeAgent}))
		if asks() != "0" {
			t.Error("the link-local address would be asked for")
		}
		return err
	})
}

func TestWhatWaitsForTheRouterOfALinkThatIsLeftIsDropped(t *testing.T) {
	entered := EnterAccess{Dev: "wlan", Address: netip.MustParsePrefix("2001:db8:200::10/64"), Router: netip.MustParseAddr("fe80::99"), DAD: NoDAD}
	inHand(t, func(l netlink.Link, k *kernel) error {
		if err := k.do(entered); err != nil {
			return err
		}
		c, err := net.DialUDP("udp6", &net.UDPAddr{IP: entered.Address.Addr().AsSlice()}, &net.UDPAddr{IP: net.ParseIP("2001:db8:2::2"), Port: 9})
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("late")); err != nil { // nobody answers for the router
			return err
		}
		waits := func() bool {
			all, err := netlink.NeighList(l.Attrs().Index, netlink.FAMILY_V6)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range all {
				if n.IP.Equal(entered.Router.AsSlice()) {
					return true
				}
			}
			return false
		}
		if !waits() {
			t.Fatal("nothing waits for the router")
		}
		if err := k.do(LeaveAccess{Dev: "wlan", Address: entered.Address}); err != nil {
			return err
		}
		if waits() {
			t.Error("it goes on waiting")
		}
		return nil
	})
}
