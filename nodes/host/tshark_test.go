package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/udp"
)

// completes makes a device's packets leave it as they are on a wire: no checksum is
// left to hardware.
func (n *testNode) completes(dev string) {
	n.t.Helper()
	n.in(func() error {
		const setTransmitChecksum = 0x17 // ETHTOOL_STXCSUM
		value := &[2]uint32{setTransmitChecksum, 0}
		var pinner runtime.Pinner
		defer pinner.Unpin()
		pinner.Pin(value)
		var r deviceRequest
		copy(r.name[:], dev)
		*(*unsafe.Pointer)(unsafe.Pointer(&r.value[0])) = unsafe.Pointer(value)
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r))); errno != 0 {
			return errno
		}
		return nil
	})
}

// pcapOf writes IP packets into a file.
func pcapOf(t testing.TB, packets [][]byte) string {
	little := binary.LittleEndian
	b := little.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = little.AppendUint32(b, 1<<18)
	b = little.AppendUint32(b, 101) // LINKTYPE_RAW
	for i, p := range packets {
		b = little.AppendUint32(b, uint32(i))
		b = little.AppendUint32(b, 0)
		b = little.AppendUint32(b, uint32(len(p)))
		b = little.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	file := filepath.Join(t.TempDir(), "tunnel.pcap")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTsharkReadsEachCombination(t *testing.T) {
	program, err := exec.LookPath("tshark")
	if err != nil {
		netnstest.Lacking(t, "tshark", err)
	}
	for _, engine := range []string{"user", "kernel"} {
		for _, o := range outsides {
			t.Run(engine+"/"+o.name, func(t *testing.T) {
				w := newDualWorld(t)
				w.mobile.completes("wlan")
				w.agent.completes("core")
				w.tunnels(engine, o)
				wire := w.agent.ear("core")
				for _, i := range insides {
					at := w.peer.listenUDP(i.peer)
					c := w.mobile.dial("udp", netip.AddrPortFrom(i.peer, 5000))
					fmt.Fprint(c, "there")
					b := make([]byte, 100)
					if _, from, err := at.ReadFromUDPAddrPort(b); err == nil {
						at.WriteToUDPAddrPort([]byte("and back"), from)
					}
					if _, err := c.Read(b); err != nil {
						t.Fatal(err)
					}
					for _, way := range []struct {
						from, to *testNode
						dst      netip.Addr
					}{{w.mobile, w.peer, i.peer}, {w.peer, w.mobile, i.home}} {
						if err := transfer(way.from, way.to, way.dst, 100_000); err != nil {
							t.Fatal(err)
						}
					}
				}
				if o.name == "UDP" {
					atMobile, atAgent := mobilityPort(t, w.mobile, homeAddress), mobilityPort(t, w.agent, agent)
					w.mobile.listenOn(atMobile, mobilePort)
					w.agent.listenOn(atAgent, udp.EncapsulationPort)
					update := packet(t, ipv6.Packet{Src: homeAddress, Dst: agent, Next: ipv6.Mobility,
						Payload: []byte{59, 1, 5, 0, 0, 0, 0, 1, 0xc0, 0, 0, 15, 1, 2, 0, 0}})
					w.mobile.must(atMobile.SendUDP("", netip.AddrPortFrom(careOf4, mobilePort), netip.AddrPortFrom(agent4, udp.EncapsulationPort), update))
					if _, err := atAgent.ReceiveUDP(); err != nil {
						t.Fatal(err)
					}
				}
				// The last packet that is heard is one that nothing else looks like.
				const last = "that was all"
				fmt.Fprint(w.mobile.dial("udp", netip.AddrPortFrom(peer4, 9)), last)
				var packets [][]byte
				keep := func(b []byte) {
					if !isARP(b) {
						packets = append(packets, append([]byte(nil), b...))
					}
				}
				keep(wire.until(func(b []byte) bool { return strings.HasSuffix(string(b), last) }, keep))

				file := pcapOf(t, packets)
				run := func(filter, field string) string {
					t.Helper()
					out, err := exec.Command(program, "-n", "-r", file, "-d", "udp.port==4191,ip",
						"-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
						"-Y", filter, "-T", "fields", "-e", field).Output()
					if err != nil {
						t.Fatalf("tshark: %v", err)
					}
					return strings.TrimSpace(string(out))
				}
				// Neither bad nor unverified.
				if faults := run("_ws.malformed || ip.checksum.status in {0,2} || udp.checksum.status in {0,2} || tcp.checksum.status in {0,2} || icmpv6.checksum.status in {0,2}", "frame.number"); faults != "" {
					t.Errorf("tshark finds fault with packets %s", strings.Fields(faults))
				}
				seen := map[string]int{}
				for _, p := range strings.Fields(run("ip || ipv6", "frame.protocols")) {
					for _, end := range []string{":data", ":rsync"} {
						p = strings.TrimSuffix(p, end)
					}
					// What is handed from one version to the other counts for both.
					seen[strings.ReplaceAll(p, "udp:ip:ipv6", "udp:ipv6")]++
				}
				outer := map[string]string{"IPv6": "raw:ipv6", "IPv4": "raw:ip", "UDP": "raw:ip:udp"}[o.name]
				for _, want := range []string{":ipv6:tcp", ":ip:tcp", ":ipv6:udp", ":ip:udp"} {
					if seen[outer+want] == 0 {
						t.Errorf("tshark sees no %s among %v", outer+want, seen)
					}
				}
				if o.name == "UDP" && run("mip6.mhtype == 5", "ipv6.src") != homeAddress.String() {
					t.Errorf("tshark sees no Binding Update among %v", seen)
				}
			})
		}
	}
}
