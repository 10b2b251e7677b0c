package host

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	nl "github.com/vishvananda/netlink"

	"s2clab/nodes/control"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/dhcp4"
)

// Who has no address on a link yet asks from the unspecified one, though another
// device of the node has an address, as that of the tunnel has the home address.
func TestAClientAsksFromNoAddressUntilItHasOne(t *testing.T) {
	server, client := netnstest.New(t), netnstest.New(t)
	netnstest.Pair(t, server, "srv", client, "cli")
	give := func(dev, address string) func() error {
		return func() error {
			link, err := nl.LinkByName(dev)
			if err != nil {
				return err
			}
			a, err := nl.ParseAddr(address)
			if err != nil {
				return err
			}
			return nl.AddrAdd(link, a)
		}
	}
	netnstest.In(t, server, give("srv", "192.0.2.1/24"))
	netnstest.In(t, client, give("lo", "198.51.100.16/32"))

	type request struct {
		from    netip.Addr
		message []byte
	}
	heard := make(chan request, 1)
	var listens *DHCPPort
	netnstest.In(t, server, func() error {
		h, err := Open(&control.Config{})
		if err != nil {
			return err
		}
		t.Cleanup(func() { h.Close() })
		listens, err = h.DHCP4Port("srv", DHCPServer)
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); listens.Close() })
	go func() {
		for {
			b, from, err := listens.Receive()
			if err != nil {
				return
			}
			select {
			case heard <- request{from, append([]byte(nil), b...)}:
			case <-ctx.Done():
				return
			}
		}
	}()

	var port *DHCPClientPort
	var mac [6]byte
	netnstest.In(t, client, func() error {
		h, err := Open(&control.Config{})
		if err != nil {
			return err
		}
		t.Cleanup(func() { h.Close() })
		if mac, err = h.HardwareAddr("cli"); err != nil {
			return err
		}
		port, err = h.DHCP4ClientPort("cli")
		return err
	})
	t.Cleanup(func() { port.Close() })

	asks := dhcp4.NewClient(dhcp4.ClientConfig{HardwareAddr: mac}, rand.New(rand.NewPCG(1, 1)))
	send := asks.Step(time.Now(), dhcp4.Started{})[0].(dhcp4.Send)
	if err := port.Send(send.Message.ToBytes(), send.From, send.To); err != nil {
		t.Fatal(err)
	}
	want := func(from netip.Addr) {
		t.Helper()
		select {
		case r := <-heard:
			m, err := dhcp4.Parse(r.message)
			if r.from != from || err != nil || m.ClientHWAddr.String() != net.HardwareAddr(mac[:]).String() {
				t.Errorf("heard %v, %v from %v, want it from %v", m, err, r.from, from)
			}
		case <-time.After(patience):
			t.Fatal("the server hears nothing")
		}
	}
	want(netip.IPv4Unspecified())

	netnstest.In(t, client, give("cli", "192.0.2.7/24"))
	if err := port.Send(send.Message.ToBytes(), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddrPort("192.0.2.1:67")); err != nil {
		t.Fatal(err)
	}
	want(netip.MustParseAddr("192.0.2.7"))
}
