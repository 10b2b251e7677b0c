package netnstest

import (
	"net"
	"testing"

	"github.com/containernetworking/plugins/pkg/ns"
	"golang.org/x/sys/unix"
)

func TestAPairCarriesPackets(t *testing.T) {
	a, b := New(t), New(t)
	Pair(t, a, "left", b, "right")
	In(t, a, func() error {
		dev, err := net.InterfaceByName("left")
		if err != nil {
			return err
		}
		if dev.Flags&net.FlagUp == 0 {
			t.Errorf("left has flags %v, want up", dev.Flags)
		}
		return nil
	})
}

func TestASharedLinkCarriesFramesToThePAEGroup(t *testing.T) {
	spaces := map[string]ns.NetNS{"one": New(t), "two": New(t), "three": New(t)}
	Shared(t, spaces)
	const kind = 0x8e88 // 0x888e in network order, as a little-endian machine reads it
	sockets, indexes := map[string]int{}, map[string]int{}
	for name, space := range spaces {
		In(t, space, func() error {
			dev, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			t.Cleanup(func() { unix.Close(fd) })
			sockets[name], indexes[name] = fd, dev.Index
			group := unix.PacketMreq{Ifindex: int32(dev.Index), Type: unix.PACKET_MR_MULTICAST, Alen: 6, Address: [8]uint8{0x01, 0x80, 0xc2, 0, 0, 3}}
			if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &group); err != nil {
				return err
			}
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: kind, Ifindex: dev.Index})
		})
	}
	to := &unix.SockaddrLinklayer{Protocol: kind, Ifindex: indexes["one"], Halen: 6, Addr: [8]byte{0x01, 0x80, 0xc2, 0, 0, 3}}
	if err := unix.Sendto(sockets["one"], []byte("hello"), 0, to); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"two", "three"} {
		b := make([]byte, 100)
		if n, _, err := unix.Recvfrom(sockets[name], b, 0); err != nil || string(b[:n]) != "hello" {
			t.Errorf("%s heard %q, %v", name, b[:max(n, 0)], err)
		}
	}
}
