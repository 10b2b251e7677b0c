package host

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/wire/icmp6"
)

func discoveryPort(t testing.TB, n *testNode, kind icmp6.Type) *DiscoveryPort {
	var p *DiscoveryPort
	n.in(func() (err error) { p, err = n.DiscoveryPort(kind); return err })
	t.Cleanup(func() { p.Close() })
	return p
}

func (p *DiscoveryPort) next(t testing.TB) ICMPMessage {
	t.Helper()
	for {
		messages, err := p.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if len(messages) > 0 {
			return messages[0]
		}
	}
}

// A request to the anycast address of a prefix comes to a router that serves it, be
// that on the link that it came by, on another or on none; the reply goes back.
func TestARequestReachesTheAnycastAddressOfEachPrefix(t *testing.T) { // RFC 2526
	for name, c := range map[string]struct{ dev, anycast string }{
		"of the link":      {"core", "2001:db8:1:0:fdff:ffff:ffff:fffe"},
		"of another link":  {"home", "2001:db8:100:0:fdff:ffff:ffff:fffe"},
		"of a virtual one": {"", "2001:db8:100:7:fdff:ffff:ffff:fffe"},
	} {
		t.Run(name, func(t *testing.T) {
			mobile, agent := pair(t)
			join(agent, "home", newNode(t), "other")
			agent.address("home", "2001:db8:100::1/64")
			agent.in(func() error { return agent.SetForwarding(true) })
			mobile.route("2001:db8:100::/48", far.String(), "wlan")
			asked, told := discoveryPort(t, agent, icmp6.TypeHomeAgentRequest), discoveryPort(t, mobile, icmp6.TypeHomeAgentReply)
			anycast := netip.MustParseAddr(c.anycast)
			agent.must(asked.Anycast(c.dev, anycast))

			request := message(t, &icmp6.HomeAgentRequest{Identifier: 7}, near, anycast)
			mobile.must(told.Send("wlan", near, anycast, message(t, &icmp6.HomeAgentReply{}, near, anycast))) // not for this port
			mobile.must(told.Send("wlan", near, anycast, request))
			got := asked.next(t)
			if got.Dev != "core" || got.Src != near || got.Dst != anycast || string(got.Message) != string(request) {
				t.Errorf("asked %+v", got)
			}
			reply := message(t, &icmp6.HomeAgentReply{Identifier: 7, Addresses: []netip.Addr{far}}, far, near)
			agent.must(asked.Send("core", far, near, reply))
			if got := told.next(t); got.Src != far || got.Dst != near || string(got.Message) != string(reply) {
				t.Errorf("told %+v", got)
			}
			agent.must(asked.Close())
			if agent.isLocal(anycast) {
				t.Error("the anycast address is there after Close")
			}
		})
	}
}

type heardName struct {
	server  netip.AddrPort
	tcp     bool
	message string
}

func TestAResolverAsksFromTheAddressOfItsDevice(t *testing.T) {
	for _, family := range []struct{ mobile, server string }{{near.String(), far.String()}, {"192.0.2.1", "192.0.2.2"}} {
		mobile, names := pair(t)
		mobile.address("wlan", "192.0.2.1/24")
		names.address("core", "192.0.2.2/24")
		server := netip.AddrPortFrom(netip.MustParseAddr(family.server), 53)
		source := netip.MustParseAddr(family.mobile)
		var udp *net.UDPConn
		var tcp *net.TCPListener
		names.in(func() (err error) {
			if udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(server)); err == nil {
				tcp, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(server))
			}
			return err
		})
		defer udp.Close()
		defer tcp.Close()
		heard := make(chan heardName, 10)
		r := NewResolver(func(server netip.AddrPort, tcp bool, message []byte) {
			heard <- heardName{server, tcp, string(message)}
		})
		defer r.Close()
		hear := func() heardName {
			select {
			case h := <-heard:
				return h
			case <-time.After(patience):
				t.Fatal("nothing came")
				return heardName{}
			}
		}

		mobile.in(func() error { return r.Ask("wlan", source, server, false, []byte("question")) })
		b := make([]byte, 100)
		udp.SetDeadline(time.Now().Add(patience))
		n, from, err := udp.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != "question" || from.Addr().Unmap() != source {
			t.Fatalf("%q from %v, %v", b[:n], from, err)
		}
		// Who is not asked is not heard: another port, and more than is read.
		var stranger *net.UDPConn
		names.in(func() (err error) {
			stranger, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server.Addr(), 0)))
			return err
		})
		defer stranger.Close()
		stranger.WriteToUDPAddrPort([]byte("forged"), from)
		udp.WriteToUDPAddrPort(make([]byte, resolverMessage+1), from)
		udp.WriteToUDPAddrPort([]byte("answer"), from)
		if h := hear(); h != (heardName{server, false, "answer"}) {
			t.Errorf("heard %+v", h)
		}

		mobile.in(func() error { return r.Ask("wlan", source, server, true, []byte("question")) })
		tcp.SetDeadline(time.Now().Add(patience))
		conn, err := tcp.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		framed := append([]byte{0, 8}, "question"...)
		if _, err := io.ReadFull(conn, b[:len(framed)]); err != nil || string(b[:len(framed)]) != string(framed) {
			t.Fatalf("%q, %v", b[:len(framed)], err)
		}
		long := slices.Repeat([]byte("x"), 9000)
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(long))), long...))
		if h := hear(); !h.tcp || h.message != string(long) {
			t.Errorf("heard %d octets", len(h.message))
		}

		var refused error
		mobile.in(func() error { refused = r.Ask("wlan", far.Next(), server, false, []byte("question")); return nil })
		if refused == nil {
			t.Error("asked from an address that is another's")
		}
		mobile.in(func() error {
			for range 2 * resolverSockets {
				refused = r.Ask("wlan", source, server, false, []byte("question"))
			}
			return nil
		})
		if refused == nil {
			t.Error("more questions than are allowed")
		}
	}
}
