package traffic

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/netns/netnstest"
)

// shortly is how long a flood takes here.
const shortly = 100 * time.Millisecond

func TestAFloodSendsAllThatItSays(t *testing.T) {
	space := netnstest.New(t)
	for name, protocol := range map[string]int{"mh": protocolMH, "icmp6": unix.IPPROTO_ICMPV6} {
		t.Run(name, func(t *testing.T) {
			netnstest.In(t, space, func() error {
				fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				done, err := flood(t.Context(), control.Flood{Protocol: name, Remote: netip.IPv6Loopback(), Rate: 1000, Size: 64, For: shortly, Seed: 1})
				if err != nil {
					return err
				}
				heard := 0
				for b := make([]byte, 2000); ; heard++ {
					n, err := unix.Read(fd, b)
					if err == unix.EAGAIN {
						break
					}
					if err != nil {
						return err
					}
					if n > 64 {
						t.Errorf("a piece of %d octets, want 64 at most", n)
					}
				}
				// A kernel that knows the protocol may itself refuse what is too short for it.
				if done.Sent == 0 || heard == 0 || heard > done.Sent {
					t.Errorf("%+v, and %d were heard", done, heard)
				}
				return nil
			})
		})
	}
}

func TestAFloodOfDiameterComesBackWhenItIsCutOff(t *testing.T) {
	space := netnstest.New(t)
	netnstest.In(t, space, func() error {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(loopback, diameterPort)))
		if err != nil {
			return err
		}
		connections := make(chan int, 1)
		go func() { // it has had enough of each after the first octets
			n := 0
			for {
				conn, err := l.Accept()
				if err != nil {
					connections <- n
					return
				}
				n++
				conn.Read(make([]byte, 1))
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
		}()
		done, err := flood(t.Context(), control.Flood{Protocol: "diameter", Remote: loopback, Rate: 2000, Size: 200, For: shortly, Seed: 1})
		l.Close()
		if n := <-connections; err != nil || n < 2 || done.Sent < n {
			t.Errorf("%+v in %d connections, %v", done, n, err)
		}
		return nil
	})
}

func TestAFloodAtNobodySaysHowManyWereRefused(t *testing.T) {
	space := netnstest.New(t)
	netnstest.In(t, space, func() error {
		done, err := flood(t.Context(), control.Flood{Protocol: "diameter", Remote: loopback, Rate: 1000, Size: 200, For: shortly, Seed: 1})
		if err != nil || done.Sent != 0 || done.Refused == 0 {
			t.Errorf("%+v, %v: want all refused", done, err)
		}
		return nil
	})
}

// What is said to be garbage of a protocol begins well often enough to get beyond
// the first check of it, and is not longer than was asked.
func TestGarbageBeginsWellAndIsAsLongAsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		make  func(*rand.Rand, []byte) []byte
		looks func([]byte) bool
	}{
		"mh":       {garbageMH, func(b []byte) bool { return len(b) >= 8 && b[0] == 59 && len(b) == 8*(int(b[1])+1) }},
		"icmp6":    {garbageICMP6, func(b []byte) bool { return len(b) >= 4 && b[0] >= 133 && b[0] <= 137 }},
		"diameter": {garbageDiameter, func(b []byte) bool { return len(b) >= 20 && b[0] == 1 && b[4] == 0x80 }},
	} {
		for _, size := range []int{leastGarbage, 200, 1400} {
			r, buf := rand.New(rand.NewPCG(1, 2)), make([]byte, size)
			good := 0
			const all = 1000
			for range all {
				b := c.make(r, buf)
				if len(b) == 0 || len(b) > size {
					t.Fatalf("%s: %d octets, want 1 to %d", name, len(b), size)
				}
				if c.looks(b) {
					good++
				}
			}
			if good == 0 || good == all {
				t.Errorf("%s of %d octets: %d of %d begin well; want some, not all", name, size, good, all)
			}
		}
	}
}
