package nat

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/translate"
	"s2clab/nodes/wire/icmp4"
	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/udp"
)

// How a NAT out of its mind answers.
const (
	babbleEvery     = 2 * time.Millisecond   // a packet to each mapping of UDP
	mappingsEvery   = 200 * time.Millisecond // it looks whom it answers
	longestNonsense = 300                    // octets behind the UDP header
)

// A babbler answers those inside, in the name of those whom they have spoken to by
// UDP, with nonsense.
type babbler struct {
	stop  chan struct{}
	ended chan struct{}
	sent  int // packets, for whoever has seen ended closed
}

// babble begins that. mappings gives whom to answer, send sends a whole IPv4 packet.
func babble(seed uint64, mappings func() ([]translate.Mapping, error), send func(to netip.Addr, packet []byte) error) *babbler {
	b := &babbler{stop: make(chan struct{}), ended: make(chan struct{})}
	random := rand.New(rand.NewPCG(seed, 0xbabb1e))
	go func() {
		defer close(b.ended)
		tick := time.NewTicker(babbleEvery)
		defer tick.Stop()
		var known []translate.Mapping
		var looked time.Time
		for {
			select {
			case <-b.stop:
				return
			case now := <-tick.C:
				if now.Sub(looked) >= mappingsEvery {
					looked = now
					known, _ = mappings()
				}
				for i := range known {
					if m := &known[i]; m.Protocol == "udp" && send(m.Inside.Addr(), nonsense(random, m)) == nil {
						b.sent++
					}
				}
			}
		}
	}()
	return b
}

// end ends it, and says how many packets there were.
func (b *babbler) end() int {
	close(b.stop)
	<-b.ended
	return b.sent
}

// nonsense is a packet to who is inside: chance in UDP; what begins as a tunnelled
// packet, or as one with a Mobility Header, and ends badly; or an ICMP error about what
// he sent that says of its path what cannot be.
func nonsense(r *rand.Rand, m *translate.Mapping) []byte {
	p := ipv4.Packet{Src: m.Remote.Addr(), Dst: m.Inside.Addr(), TTL: 64, ID: uint16(r.Uint32())}
	noise := make([]byte, 1+r.IntN(longestNonsense))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	kind := r.IntN(5)
	switch {
	case kind == 1 && len(noise) > ipv4.HeaderLen:
		noise[0] = 4<<4 | byte(r.IntN(16))
	case kind == 2 && len(noise) > ipv6.HeaderLen:
		noise[0], noise[6] = 6<<4, ipv6.Mobility
		if r.IntN(2) == 0 {
			binary.BigEndian.PutUint16(noise[4:], uint16(len(noise)-ipv6.HeaderLen))
		}
	case kind == 3 && len(noise) > ipv6.HeaderLen:
		noise[0] = 6 << 4
	case kind == 4:
		p.Protocol, p.Payload = ipv4.ICMP, falseError(r, m, noise)
		return whole(&p)
	}
	d := udp.Datagram{Src: m.Remote.Port(), Dst: m.Inside.Port(), Payload: noise}
	p.Protocol = ipv4.UDP
	p.Payload, _ = udp.Append(nil, &d, p.Src, p.Dst)
	return whole(&p)
}

// falseError is an ICMP error of any kind about a datagram of a mapping, with a next
// hop's MTU that is chance.
func falseError(r *rand.Rand, m *translate.Mapping, rest []byte) []byte {
	quoted := ipv4.Packet{Src: m.Inside.Addr(), Dst: m.Remote.Addr(), TTL: 1, Protocol: ipv4.UDP, DontFragment: r.IntN(2) == 0}
	quoted.Payload, _ = udp.Append(nil, &udp.Datagram{Src: m.Inside.Port(), Dst: m.Remote.Port(), Payload: rest}, quoted.Src, quoted.Dst)
	e := icmp4.Error{
		Type: []uint8{icmp4.Unreachable, icmp4.Unreachable, icmp4.TimeExceeded, icmp4.ParameterProblem}[r.IntN(4)],
		Code: uint8(r.IntN(16)), Rest: uint32(r.IntN(1 << 16)), Invoking: whole(&quoted),
	}
	if r.IntN(2) == 0 {
		e.Code, e.Rest = icmp4.FragmentationNeeded, uint32(r.IntN(1400))
	}
	e.Invoking = e.Invoking[:min(len(e.Invoking), icmp4.MaxInvoking)]
	b, _ := icmp4.Append(nil, &e)
	return b
}

// whole is a packet as octets: nothing in it is longer than a packet may be.
func whole(p *ipv4.Packet) []byte {
	b, _ := ipv4.Append(nil, p)
	return b
}

// rawSender sends packets that have their IPv4 header.
func rawSender() (send func(to netip.Addr, packet []byte) error, closing func(), err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return nil, nil, fmt.Errorf("babble: %w", err)
	}
	send = func(to netip.Addr, packet []byte) error {
		return unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: to.As4()})
	}
	return send, func() { unix.Close(fd) }, nil
}
