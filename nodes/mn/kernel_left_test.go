package mn

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/netns/netnstest"
)

func TestWhatWaitsForTheRouterOfALinkThatIsLeftIsDropped(t *testing.T) {
	mobile, far := netnstest.New(t), netnstest.New(t)
	netnstest.Pair(t, mobile, "wlan", far, "wlan-gw")
	entered := EnterAccess{Dev: "wlan", Address: netip.MustParsePrefix("2001:db8:200::10/64"), Router: netip.MustParseAddr("fe80::99"), DAD: NoDAD}
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
		k := &kernel{host: h}
		if k.mobility, err = h.MobilityPort(); err != nil {
			return err
		}
		defer k.mobility.Close()
		if k.nd, err = h.NDPort(); err != nil {
			return err
		}
		defer k.nd.Close()

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
