package traffic

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
)

// A sender sends one piece of garbage.
type sender interface {
	send(b []byte) error
	Close() error
}

// flood sends garbage at a protocol of a node until its time is over: octets
// without sense, and messages that begin well and end badly.
func flood(ctx context.Context, f control.Flood) (control.Flooded, error) {
	var to sender
	var garbage func(*rand.Rand, []byte) []byte
	var err error
	switch f.Protocol {
	case "mh":
		to, err = openRaw(protocolMH, 4, f.Remote)
		garbage = garbageMH
	case "icmp6":
		to, err = openRaw(unix.IPPROTO_ICMPV6, 2, f.Remote)
		garbage = garbageICMP6
	case "diameter":
		to = &stream{to: netip.AddrPortFrom(f.Remote, diameterPort)}
		garbage = garbageDiameter
	default:
		err = fmt.Errorf("flood: protocol %q: want mh, diameter or icmp6", f.Protocol)
	}
	if err != nil {
		return control.Flooded{}, err
	}
	defer to.Close()
	random := rand.New(rand.NewPCG(f.Seed, 0xf100d))
	buf := make([]byte, max(f.Size, leastGarbage))
	var done control.Flooded
	began := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return done, nil
		case now := <-tick.C:
			if now.Sub(began) >= f.For {
				return done, nil
			}
			for due := int(f.Rate * now.Sub(began).Seconds()); done.Sent+done.Refused < due; {
				if to.send(garbage(random, buf)) != nil {
					done.Refused++
				} else {
					done.Sent++
				}
			}
		}
	}
}

const (
	protocolMH   = 135
	diameterPort = 3868
	leastGarbage = 40 // octets of the buffer that garbage is made in
)

// noise fills some of b with chance, and returns that.
func noise(r *rand.Rand, b []byte) []byte {
	b = b[:1+r.IntN(len(b))]
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// garbageMH is chance, or has the beginning of a Mobility Header: RFC 6275,
// section 6.1.1.
func garbageMH(r *rand.Rand, b []byte) []byte {
	b = noise(r, b)
	if len(b) >= 12 && r.IntN(4) > 0 {
		b[0], b[2], b[3] = 59, byte(r.IntN(20)), 0
		if whole := len(b) &^ 7; whole >= 8 && r.IntN(4) > 0 {
			b = b[:whole]
			b[1] = byte(whole/8 - 1)
		}
	}
	return b
}

// garbageICMP6 is chance, or has the type of a neighbour discovery message: RFC
// 4861, section 4.
func garbageICMP6(r *rand.Rand, b []byte) []byte {
	b = noise(r, b)
	if len(b) >= 4 {
		b[0], b[1] = byte(133+r.IntN(5)), 0
	}
	return b
}

// garbageDiameter is chance, or has a header with a length that may be wrong: RFC
// 6733, section 3.
func garbageDiameter(r *rand.Rand, b []byte) []byte {
	b = noise(r, b)
	if len(b) >= 20 && r.IntN(4) > 0 {
		length := uint32(len(b))
		if r.IntN(3) == 0 {
			length = r.Uint32N(1 << 24)
		}
		binary.BigEndian.PutUint32(b, 1<<24|length)
		binary.BigEndian.PutUint32(b[4:], 0x80<<24|[]uint32{257, 280, 282, 325}[r.IntN(4)])
	}
	return b
}

// A raw sends packets of an IPv6 protocol, whose checksum the kernel makes.
type raw struct {
	fd int
	to unix.SockaddrInet6
}

func openRaw(protocol, checksumAt int, to netip.Addr) (*raw, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("flood: %w", err)
	}
	if protocol != unix.IPPROTO_ICMPV6 { // for which the kernel does it anyway
		unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_CHECKSUM, checksumAt)
	}
	return &raw{fd: fd, to: unix.SockaddrInet6{Addr: to.As16()}}, nil
}

func (s *raw) send(b []byte) error { return unix.Sendto(s.fd, b, 0, &s.to) }
func (s *raw) Close() error        { return unix.Close(s.fd) }

// A stream sends on a TCP connection, and makes a new one where the other side
// has had enough.
type stream struct {
	to   netip.AddrPort
	conn net.Conn
}

func (s *stream) send(b []byte) (err error) {
	const patience = time.Second
	if s.conn == nil {
		if s.conn, err = net.DialTimeout("tcp", s.to.String(), patience); err != nil {
			s.conn = nil
			return err
		}
	}
	s.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err = s.conn.Write(b); err != nil {
		s.conn.Close()
		s.conn = nil
	}
	return err
}

func (s *stream) Close() error {
	if s.conn == nil {
		return nil
	}
	return s.conn.Close()
}
