package netns

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"s2clab/nodes/netns/netnstest"
)

// The main thread must never live in a Space: a namespace that it enters does
// not die before the process.
func init() { runtime.LockOSThread() }

func space(t *testing.T, name string) *Space {
	t.Helper()
	s, err := New(name, "127.0.0.1 localhost\n2001:db8::7 seven\n")
	if errors.Is(err, unix.EPERM) {
		netnstest.Lacking(t, "netns", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestAProgramInASpaceSeesItsOwnNameAndHosts(t *testing.T) {
	s := space(t, "ue")
	var out bytes.Buffer
	cmd := exec.Command("sh", "-c", "cat /proc/sys/kernel/hostname /etc/hosts; ls /sys/class/net")
	cmd.Stdout = &out
	if err := s.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasPrefix(got, "ue\n") || !strings.Contains(got, "seven") {
		t.Errorf("the program saw %q", got)
	}
	if own, _ := os.Hostname(); own == "ue" {
		t.Error("the test's own host name changed")
	}
	if hosts, _ := os.ReadFile("/etc/hosts"); bytes.Contains(hosts, []byte("seven")) {
		t.Error("the test's own /etc/hosts changed")
	}
}

// ports are the two kinds of port: the same rules hold for both.
var ports = map[string]func(*Space, PortConfig) (*Port, error){
	"tap": (*Space).OpenPort,
	"veth": func(s *Space, cfg PortConfig) (*Port, error) {
		p := &Port{Config: cfg, fd: -1, space: s}
		return p, p.openVeth()
	},
}

func TestWhatANodeSendsIsReadFromItsPortAndTheOtherWayRound(t *testing.T) {
	for kind, open := range ports {
		t.Run(kind, func(t *testing.T) {
			outside := netnstest.New(t) // for the far end of the veth
			netnstest.In(t, outside, func() error {
				s := space(t, "ue")
				p, err := open(s, PortConfig{Name: "lte", Index: 7, MAC: [6]byte{2, 0, 0, 0, 0, 1}, MTU: 1400})
				if err != nil {
					return err
				}
				defer p.Close()
				if p.Kind() != kind {
					t.Skipf("no %s here: got %s", kind, p.Kind())
				}
				var b Batch
				b.AddAddress(7, netip.MustParsePrefix("2001:db8::1/64"))
				if err := s.Configure(&b); err != nil {
					return err
				}
				for _, large := range []bool{true, false} {
					if err := p.SetOffload(large); err != nil {
						t.Errorf("offload %v: %v", large, err)
					}
				}
				if err := errors.Join(p.SetCarrier(true), p.SyncCarrier()); err != nil {
					return err
				}
				return s.Do(func() error {
					dev, err := net.InterfaceByName("lte")
					if err != nil {
						return err
					}
					if dev.Index != 7 || dev.MTU != 1400 || dev.HardwareAddr.String() != "02:00:00:00:00:01" || dev.Flags&net.FlagRunning == 0 {
						t.Errorf("got device %+v", dev)
					}
					return exchange(t, p)
				})
			})
		})
	}
}

// exchange sends a datagram from the node, answers the neighbour solicitation
// that it causes, and reads the datagram from the port.
func exchange(t *testing.T, p *Port) error {
	conn, err := net.Dial("udp6", "[2001:db8::2]:9")
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("from the node")); err != nil {
		return err
	}
	frame := make([]byte, 2000)
	for {
		n, err := readFrame(p, frame)
		if err != nil {
			return err
		}
		got := frame[VirtioHeader:n]
		if bytes.Contains(got, []byte("from the node")) {
			return nil
		}
		if len(got) >= 78 && got[20] == 58 && got[54] == 135 && got[77] == 2 { // a solicitation for ::2
			if _, err := unix.Write(p.FD(), append(make([]byte, VirtioHeader), advertisement...)); err != nil {
				return err
			}
		}
	}
}

// advertisement says that 2001:db8::2 is at 02:00:00:00:00:02: by hand from RFC
// 4861, section 4.4.
var advertisement, _ = hex.DecodeString("020000000001" + "020000000002" + "86dd" +
	"6000000000203aff" + "20010db8000000000000000000000002" + "20010db8000000000000000000000001" +
	"88008a71" + "60000000" + "20010db8000000000000000000000002" + "0201020000000002")

func readFrame(p *Port, b []byte) (int, error) {
	for {
		n, err := unix.Read(p.FD(), b)
		if err != unix.EAGAIN {
			return n, err
		}
		ready := []unix.PollFd{{Fd: int32(p.FD()), Events: unix.POLLIN}}
		if n, err := unix.Poll(ready, 5000); n == 0 && err == nil {
			return 0, errors.New("no frame in 5 s")
		}
	}
}

func TestTheCarrierOfAPortIsSeenInTheSpaceAtOnce(t *testing.T) {
	for kind, open := range ports {
		t.Run(kind, func(t *testing.T) {
			outside := netnstest.New(t)
			netnstest.In(t, outside, func() error {
				s := space(t, "ue")
				p, err := open(s, PortConfig{Name: "wlan", Index: 2, MAC: [6]byte{2, 0, 0, 0, 0, 2}, MTU: 1500})
				if err != nil {
					return err
				}
				defer p.Close()
				for _, up := range []bool{true, false, true} {
					if err := errors.Join(p.SetCarrier(up), p.SyncCarrier()); err != nil {
						return err
					}
					if err := s.Do(func() error {
						dev, err := net.InterfaceByName("wlan")
						if err == nil && dev.Flags&net.FlagRunning != 0 != up {
							t.Errorf("carrier %v: the node sees flags %v", up, dev.Flags)
						}
						return err
					}); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}

// What a Redirect does to a connection does not depend on the machine's settings.
func TestDevicesOfASpaceBelieveNeitherAdvertisementsNorRedirects(t *testing.T) {
	s := space(t, "cn")
	p, err := s.OpenPort(PortConfig{Name: "sgi", Index: 2, MAC: [6]byte{2, 0, 0, 0, 0, 2}, MTU: 1500})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, name := range []string{"accept_ra", "accept_redirects", "autoconf"} {
		if err := s.Do(func() error {
			value, err := os.ReadFile("/proc/sys/net/ipv6/conf/sgi/" + name)
			if string(value) != "0\n" {
				t.Errorf("%s of a device is %q, want 0", name, value)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestABatchNamesEachRequestThatFailed(t *testing.T) {
	s := space(t, "ue")
	var b Batch
	b.SetUp(55)
	b.AddRoute(netip.MustParsePrefix("2001:db8::/64"), netip.MustParseAddr("2001:db8:1::1"), 1)
	b.SetUp(loopbackIndex)
	err := s.Configure(&b)
	if err == nil {
		t.Fatal("a batch with two wrong requests succeeded")
	}
	for _, want := range []string{"device 55: up: no such device", "route to 2001:db8::/64 via 2001:db8:1::1: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestAPortCountsWhatItsDeviceDropped(t *testing.T) {
	for kind, open := range ports {
		t.Run(kind, func(t *testing.T) {
			outside := netnstest.New(t)
			netnstest.In(t, outside, func() error {
				s := space(t, "ue")
				p, err := open(s, PortConfig{Name: "wlan", Index: 2, MAC: [6]byte{2, 0, 0, 0, 0, 2}, MTU: 1500})
				if err != nil {
					return err
				}
				defer p.Close()
				if err := errors.Join(p.SetCarrier(true), p.SyncCarrier()); err != nil {
					return err
				}
				if d, err := p.Dropped(); err != nil || d != (DeviceDrops{}) {
					t.Errorf("before anything was sent: %+v, %v", d, err)
				}
				const sent = 20000 // more than any queue here holds, and nobody reads
				if err := s.Do(func() error { return sendFrames(2, sent) }); err != nil {
					return err
				}
				read := uint64(0)
				for frame := make([]byte, 2000); ; read++ {
					if _, err := unix.Read(p.FD(), frame); err == unix.EAGAIN {
						break
					} else if err != nil {
						return err
					}
				}
				d, err := p.Dropped()
				if err != nil || d.Sent == 0 || d.Sent+read < sent || d.Arrived != 0 {
					t.Errorf("%d frames sent, %d read, %+v dropped, %v: want all sent to be one or the other", sent, read, d, err)
				}
				if again, err := p.Dropped(); err != nil || again.Sent < d.Sent {
					t.Errorf("asked again: %+v, %v: want no less than %+v", again, err, d)
				}
				if err := errors.Join(p.SetCarrier(false), p.SyncCarrier(), s.Do(func() error { return sendFrames(2, 10) }), p.SetCarrier(true), p.SyncCarrier()); err != nil {
					return err
				}
				if after, err := p.Dropped(); err != nil || after.Sent != d.Sent {
					t.Errorf("carrier went and came: %+v, %v: want what was sent without it apart from %+v", after, err, d)
				}
				return nil
			})
		})
	}
}

// sendFrames sends so many frames of no protocol from a device, past its queueing
// discipline.
func sendFrames(index, count int) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return err
	}
	frame := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5}, make([]byte, 1000)...) // an experimental EtherType
	to := &unix.SockaddrLinklayer{Ifindex: index}
	for range count {
		if err := unix.Sendto(fd, frame, 0, to); err != nil && err != unix.ENOBUFS {
			return err
		}
	}
	return nil
}

func TestDropsWithoutCarrierAreToldFromThoseOfAFullQueue(t *testing.T) {
	var c carrierDrops
	all := uint64(0)
	want := func(queue, noCarrier uint64) {
		t.Helper()
		if q, n := c.split(all); q != queue || n != noCarrier {
			t.Errorf("of %d: %d by the queue, %d without carrier; want %d, %d", all, q, n, queue, noCarrier)
		}
	}
	change := func(up bool) {
		c.set = up
		c.crossed(all)
		c.crossed(all) // again changes nothing
	}
	all = 2 // before it ever had carrier
	want(0, 2)
	change(true)
	all = 7
	want(5, 2)
	change(true)
	want(5, 2)
	change(false)
	all = 10
	want(5, 5)
	change(true)
	all = 11
	want(6, 5)
}
