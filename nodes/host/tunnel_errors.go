package host

import (
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/ipv6"
)

// ICMPv6 errors: RFC 4443, section 3.
const (
	unreachable        = 1
	packetTooBig       = 2
	timeExceeded       = 3
	parameterProblem   = 4
	addressUnreachable = 3 // code of unreachable
	icmpHeader         = 8 // octets
)

// openErrors opens a socket for ICMPv6 errors that come to this node.
func openErrors() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMPV6)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "icmp6 errors")
	var filter unix.ICMPv6Filter // a bit that is set blocks a type
	for i := range filter.Data {
		filter.Data[i] = ^uint32(0)
	}
	filter.Data[0] &^= 1<<unreachable | 1<<packetTooBig | 1<<timeExceeded | 1<<parameterProblem
	if err := allOf(
		unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &filter),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1),
	); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// passErrors passes what routers say of outer packets on to the inner sources:
// RFC 2473, section 8.
func (t *Tunnel) passErrors() {
	defer t.running.Done()
	in, err := newBurst(t.errors, 8, 2048, 64)
	if err != nil {
		return
	}
	var out outgoing
	pass := allowance{each: 10 * time.Millisecond, most: 50}
	for {
		n, err := in.receive()
		if err != nil {
			return
		}
		for i := range n {
			b, binding := t.passedOn(in.octets(i))
			if binding != nil && b[0] == packetTooBig {
				t.shrink(binding, b)
			}
			if b == nil || !pass.take(time.Now()) {
				continue
			}
			if b = t.errorPacket(b); b != nil && out.addWhole(b, 0) == nil {
				out.send(t.out)
			}
		}
	}
}

// passedOn turns an ICMPv6 error about an outer packet into one about its inner
// packet; nil where none is due. The binding is the one whose path the error
// tells of. The MTU of a Packet Too Big is still that of the outer path.
func (t *Tunnel) passedOn(b []byte) (message []byte, of *binding) {
	if len(b) < icmpHeader+2*ipv6.HeaderLen || b[icmpHeader+6] != ipv6.Encapsulate {
		return nil, nil
	}
	local, remote := addresses(b[icmpHeader:])
	inner := b[icmpHeader+ipv6.HeaderLen:]
	if inner[0]>>4 != 6 {
		return nil, nil
	}
	src, dst := addresses(inner)
	if t.cfg.Side == AgentSide {
		src = dst
	}
	t.mu.RLock()
	of = t.byInner[src]
	t.mu.RUnlock()
	if of == nil || of.Remote != remote || of.Local != local {
		return nil, nil
	}
	message = append(make([]byte, icmpHeader), inner...)
	switch b[0] {
	case packetTooBig:
		message[0] = packetTooBig
		copy(message[4:8], b[4:8])
	default:
		message[0], message[1] = unreachable, addressUnreachable
	}
	return message, of
}

// shrink takes note of a path that carries no more than a Packet Too Big says,
// and writes what that leaves for inner packets into the message.
func (t *Tunnel) shrink(of *binding, message []byte) {
	mtu := max(int(min(binary.BigEndian.Uint32(message[4:]), largestInner)), smallestMTU)
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.byInner[of.Inner]; now == of && mtu < of.mtu {
		of.mtu = mtu
		var b batch
		t.engine.install(&b, of, of)
		t.host.nl.do(&b)
	}
	inner := (&binding{mtu: mtu}).innerMTU()
	binary.BigEndian.PutUint32(message[4:], uint32(inner))
}

// errorPacket puts a message into a packet to the source of the inner packet
// that it holds; nil where RFC 4443, section 2.4(e), forbids one.
func (t *Tunnel) errorPacket(message []byte) []byte {
	inner := message[icmpHeader:]
	size := ipv6.HeaderLen + int(binary.BigEndian.Uint16(inner[4:]))
	if message[0] == packetTooBig && size <= int(binary.BigEndian.Uint32(message[4:])) {
		return nil // it fits, in fragments: the next one will be cut
	}
	src, dst := addresses(inner)
	if src.IsUnspecified() || src.IsMulticast() || dst.IsMulticast() ||
		inner[6] == ipv6.ICMPv6 && len(inner) > ipv6.HeaderLen && inner[ipv6.HeaderLen] < 128 {
		return nil
	}
	t.mu.RLock()
	from := t.byInner[src]
	if t.cfg.Side == AgentSide {
		from = t.byInner[dst]
	}
	t.mu.RUnlock()
	if from == nil {
		return nil
	}
	message = message[:min(len(message), smallestMTU-ipv6.HeaderLen)]
	binary.BigEndian.PutUint16(message[2:], 0)
	binary.BigEndian.PutUint16(message[2:], ipv6.Checksum(from.Local, src, ipv6.ICMPv6, message))
	b, err := ipv6.Append(nil, &ipv6.Packet{Src: from.Local, Dst: src, HopLimit: tunnelHops, Next: ipv6.ICMPv6, Payload: message})
	if err != nil {
		return nil
	}
	return b
}

// An allowance limits how often something is done: RFC 4443, section 2.4(f).
type allowance struct {
	each time.Duration // one more is allowed after so long
	most int           // as many at once

	since time.Time
	spent int
}

func (a *allowance) take(now time.Time) bool {
	if again := int(now.Sub(a.since) / a.each); again >= a.spent {
		a.since, a.spent = now, 0
	} else {
		a.since, a.spent = a.since.Add(time.Duration(again)*a.each), a.spent-again
	}
	if a.spent >= a.most {
		return false
	}
	a.spent++
	return true
}
