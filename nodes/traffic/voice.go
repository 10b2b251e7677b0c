package traffic

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
)

// A datagram of voice: which flow it is of, its number, when it was sent, and a
// checksum over all else; then filling up to the flow's size.
const (
	atFlow     = 0  // 4 octets
	atChecksum = 4  // 4
	atNumber   = 8  // 8
	atSent     = 16 // 8: CLOCK_MONOTONIC, nanoseconds
	voiceLeast = 24
	voiceMost  = 65000
)

func flowID(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}

// putDatagram writes a datagram's head into b, whose filling is in place.
func putDatagram(b []byte, id uint32, number uint64, sent int64) {
	binary.BigEndian.PutUint32(b[atFlow:], id)
	binary.BigEndian.PutUint64(b[atNumber:], number)
	binary.BigEndian.PutUint64(b[atSent:], uint64(sent))
	binary.BigEndian.PutUint32(b[atChecksum:], 0)
	binary.BigEndian.PutUint32(b[atChecksum:], checksum(b))
}

var errCorrupted = errors.New("wrong checksum")

func getDatagram(b []byte, id uint32) (number uint64, sent int64, err error) {
	if len(b) < voiceLeast || binary.BigEndian.Uint32(b[atFlow:]) != id {
		return 0, 0, errForeign
	}
	sum := binary.BigEndian.Uint32(b[atChecksum:])
	binary.BigEndian.PutUint32(b[atChecksum:], 0)
	if checksum(b) != sum {
		return 0, 0, errCorrupted
	}
	return binary.BigEndian.Uint64(b[atNumber:]), int64(binary.BigEndian.Uint64(b[atSent:])), nil
}

func (a *agent) openVoice(o *control.OpenFlow) error {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(o.Listen))
	if err != nil {
		return err
	}
	f, ctx, err := a.begin(o.Flow, "flow-samples")
	if err != nil {
		conn.Close()
		return err
	}
	f.close = func() { conn.Close() }
	peer := make(chan netip.AddrPort, 1)
	f.work.Go(func() { f.receiveVoice(conn, peer) })
	if !o.BothWays {
		return nil
	}
	f.work.Go(func() {
		select {
		case to := <-peer: // the other end has begun
			f.sendVoice(ctx, conn, to, o.Rate, o.Size)
		case <-ctx.Done():
		}
	})
	return nil
}

func (a *agent) startVoice(s *control.StartFlow) error {
	if s.Rate <= 0 || s.Size > voiceMost {
		return fmt.Errorf("traffic: flow %q: rate %g, size %d: want more than 0 a second and at most %d octets", s.Flow, s.Rate, s.Size, voiceMost)
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.Local, 0)))
	if err != nil {
		return err
	}
	f, ctx, err := a.begin(s.Flow, "flow-samples")
	if err != nil {
		conn.Close()
		return err
	}
	f.close = func() { conn.Close() }
	f.work.Go(func() { f.receiveVoice(conn, nil) })
	f.work.Go(func() { f.sendVoice(ctx, conn, s.Remote, s.Rate, s.Size) })
	return nil
}

// receiveVoice takes datagrams until the socket is closed. The first tells peer
// where the other end is.
func (f *flow) receiveVoice(conn *net.UDPConn, peer chan<- netip.AddrPort) {
	b := make([]byte, 64<<10)
	id := flowID(f.name)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		at := control.Now()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error, told by the socket: the flow goes on
		}
		number, sent, err := getDatagram(b[:n], id)
		switch {
		case errors.Is(err, errCorrupted):
			f.count(func(c *counts) { c.corrupted++ })
			continue
		case err != nil:
			continue
		}
		if peer != nil {
			peer <- from
			peer = nil
		}
		f.count(func(c *counts) { c.received++ })
		f.samples.add(int64(number), sent, at)
	}
}

// sendVoice sends a datagram at each of its times, counted from the first, so
// that a late one makes none of the others late. Errors are counted: a voice does
// not stop talking because nobody can hear it.
func (f *flow) sendVoice(ctx context.Context, conn *net.UDPConn, to netip.AddrPort, rate float64, size int) {
	runtime.LockOSThread() // and never unlock: the thread's timers are exact from now on
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	b := make([]byte, max(size, voiceLeast))
	for i := range b {
		b[i] = byte(i)
	}
	id := flowID(f.name)
	begin := control.Now()
	for number := uint64(0); ctx.Err() == nil; number++ {
		due := unix.NsecToTimespec(begin + int64(float64(number)/rate*float64(time.Second)))
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &due, nil) == unix.EINTR {
		}
		if ctx.Err() != nil {
			return
		}
		putDatagram(b, id, number, control.Now())
		_, err := conn.WriteToUDPAddrPort(b, to)
		f.count(func(c *counts) {
			c.sent++
			if err != nil {
				c.sendErrors++
			}
		})
	}
}
