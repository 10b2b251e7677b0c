package host

import (
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/icmp4"
	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/udp"
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

// openErrors4 opens a socket for ICMP errors that come to this node.
func openErrors4() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMP)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "icmp errors")
	const filter = 1 // ICMP_FILTER: a bit that is set blocks a type
	const passed = 1<<icmp4.Unreachable | 1<<icmp4.TimeExceeded | 1<<icmp4.ParameterProblem
	if err := unix.SetsockoptInt(fd, unix.SOL_RAW, filter, ^passed); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// A complaint is what a router says of an outer packet.
type complaint struct {
	of     *binding // whose outer packet it was
	tooBig bool
	mtu    int    // of the outer path, where it was too big
	inner  []byte // as much of the inner packet as the router gave back; at least its header, or nothing
}

// passErrors passes what routers say of outer packets of a family on to the inner
// sources: RFC 2473, section 8, RFC 4213, section 3.4, and RFC 2003, section 4.
func (t *Tunnel) passErrors(family int) {
	defer t.running.Done()
	in, err := newBurst(t.errors[family], 8, 2048, 64)
	if err != nil {
		return
	}
	var out outgoing
	pass := errorAllowance()
	for {
		n, err := in.receive()
		if err != nil {
			return
		}
		for i := range n {
			c := t.complaint6(in.octets(i))
			if family == four {
				c = t.complaint4(in.octets(i))
			}
			if c == nil {
				continue
			}
			if c.tooBig {
				t.shrink(c)
			}
			if len(c.inner) == 0 || !pass.take(time.Now()) {
				continue
			}
			src, _ := addresses(c.inner)
			from := c.of.Local
			if from.Is4() != src.Is4() {
				from = t.host.sourceTo(src)
			}
			if b := c.toInnerSource(from); b != nil && out.addWhole(b, 0) == nil {
				out.send(t.out[versionOf(b)])
			}
		}
	}
}

// complaint6 reads an ICMPv6 error; nil: it is not about the tunnel.
func (t *Tunnel) complaint6(b []byte) *complaint {
	if len(b) < icmpHeader+ipv6.HeaderLen || b[icmpHeader]>>4 != 6 {
		return nil
	}
	outer := b[icmpHeader:]
	if outer[6] != ipv6.Encapsulate && outer[6] != ipv6.IPv4 {
		return nil
	}
	c := &complaint{tooBig: b[0] == packetTooBig}
	if c.tooBig {
		c.mtu = max(int(min(binary.BigEndian.Uint32(b[4:]), largestInner)), smallestMTU)
	}
	local, remote := addresses(outer)
	return t.about(c, Binding{Local: local, Remote: remote}, outer[ipv6.HeaderLen:])
}

// complaint4 is complaint6 for an ICMP error, behind its IPv4 header.
func (t *Tunnel) complaint4(b []byte) *complaint {
	p, err := ipv4.Parse(b)
	if err != nil {
		return nil
	}
	e, err := icmp4.Parse(p.Payload)
	if err != nil {
		return nil
	}
	// Of the packet only its beginning came.
	outer := e.Invoking
	header := headerOf4(outer)
	if outer[0]>>4 != 4 || header < ipv4.HeaderLen || header > len(outer) || binary.BigEndian.Uint16(outer[6:])&0x1fff != 0 {
		return nil
	}
	c := &complaint{tooBig: e.Type == icmp4.Unreachable && e.Code == icmp4.FragmentationNeeded}
	if c.tooBig {
		if c.mtu = e.MTU(); c.mtu == 0 {
			c.mtu = plateauBelow(int(binary.BigEndian.Uint16(outer[2:])))
		}
		c.mtu = max(c.mtu, smallestMTU4)
	}
	var by Binding
	by.Local, by.Remote = addresses(outer)
	rest := outer[header:]
	switch outer[9] {
	case ipv4.IPv6, ipv4.Encapsulate:
	case ipv4.UDP:
		if len(rest) < udp.HeaderLen {
			return nil
		}
		by.UDP = UDPPorts{Local: binary.BigEndian.Uint16(rest), Remote: binary.BigEndian.Uint16(rest[2:])}
		rest = rest[udp.HeaderLen:]
	default:
		return nil
	}
	return t.about(c, by, rest)
}

// plateaus are what path MTUs usually are: RFC 1191, section 7.1.
var plateaus = [...]int{65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006}

// plateauBelow is the MTU of a path whose router did not say it.
func plateauBelow(length int) int {
	for _, mtu := range plateaus {
		if mtu < length {
			return mtu
		}
	}
	return smallestMTU4
}

// about completes a complaint about a packet between the outer ends of by, of which
// rest is what a router gave back of the inner one: it must be of such a binding.
func (t *Tunnel) about(c *complaint, by Binding, rest []byte) *complaint {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(rest) >= ipv6.HeaderLen && rest[0]>>4 == 6 || len(rest) >= ipv4.HeaderLen && rest[0]>>4 == 4 && headerOf4(rest) >= ipv4.HeaderLen && headerOf4(rest) <= len(rest) {
		c.inner = rest
		src, dst := addresses(rest)
		if t.cfg.Side == AgentSide {
			src = dst
		}
		c.of = t.byInner[src]
	} else {
		// RFC 792: eight octets are enough to come. The next packet is answered here.
		for _, of := range t.byInner {
			if of.by(by) != nil {
				c.of = of
				break
			}
		}
	}
	if c.of != nil {
		c.of = c.of.by(by)
	}
	if c.of == nil {
		return nil
	}
	return c
}

// shrink takes note of a path that carries no more than a complaint says.
func (t *Tunnel) shrink(c *complaint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of, now := c.of, t.byInner[c.of.home()]
	if now != nil && slices.Contains(now.all(), of) && c.mtu < of.mtu {
		of.mtu = c.mtu
		var b batch
		t.install(&b, now, now)
		t.host.nl.do(&b)
	}
}

// toInnerSource makes a complaint into a packet to the source of the inner packet,
// from an address of this node; nil where none is due: RFC 4443, section 2.4(e), and
// RFC 1122, section 3.2.2.
func (c *complaint) toInnerSource(from netip.Addr) []byte {
	inner := c.inner
	src, dst := addresses(inner)
	family := versionOf(inner)
	limit := (&binding{Binding: c.of.Binding, mtu: c.mtu}).innerMTU(family)
	if !from.IsValid() || from.Is4() != src.Is4() || src.IsUnspecified() || src.IsMulticast() || dst.IsMulticast() {
		return nil
	}
	if family == four {
		return c.toInnerSource4(from, src, limit)
	}
	if c.tooBig && ipv6.HeaderLen+int(binary.BigEndian.Uint16(inner[4:])) <= limit {
		return nil // it fits, in fragments: the next one will be cut
	}
	if isError(inner) {
		return nil
	}
	if c.tooBig {
		return errorAbout(inner, packetTooBig, 0, uint32(limit), from)
	}
	return errorAbout(inner, unreachable, addressUnreachable, 0, from)
}

// isError says whether an IPv6 packet is an ICMPv6 error, about which none is sent.
func isError(b []byte) bool {
	return b[6] == ipv6.ICMPv6 && len(b) > ipv6.HeaderLen && b[ipv6.HeaderLen] < 128
}

// errorAbout makes an ICMPv6 error about a packet, to its source; word is what
// follows the checksum.
func errorAbout(invoking []byte, kind, code uint8, word uint32, from netip.Addr) []byte {
	src, _ := addresses(invoking)
	message := append(make([]byte, icmpHeader), invoking[:min(len(invoking), smallestMTU-ipv6.HeaderLen-icmpHeader)]...)
	message[0], message[1] = kind, code
	binary.BigEndian.PutUint32(message[4:], word)
	binary.BigEndian.PutUint16(message[2:], ipv6.Checksum(from, src, ipv6.ICMPv6, message))
	b, err := ipv6.Append(nil, &ipv6.Packet{Src: from, Dst: src, HopLimit: tunnelHops, Next: ipv6.ICMPv6, Payload: message})
	if err != nil {
		return nil
	}
	return b
}

func (c *complaint) toInnerSource4(from, src netip.Addr, limit int) []byte {
	inner, header := c.inner, headerOf4(c.inner)
	flags := binary.BigEndian.Uint16(inner[6:])
	if flags&0x1fff != 0 || src.IsLoopback() {
		return nil // not the first fragment
	}
	if c.tooBig && (flags>>8&dontFragment == 0 || int(binary.BigEndian.Uint16(inner[2:])) <= limit) {
		return nil // it may be cut: the next one will be
	}
	if inner[9] == ipv4.ICMP && (len(inner) == header || inner[header] != 0 && inner[header] != 8) {
		return nil // an error, as far as can be told
	}
	e := icmp4.Error{Type: icmp4.Unreachable, Code: icmp4.HostUnreachable, Invoking: inner[:min(len(inner), icmp4.MaxInvoking)]}
	if c.tooBig {
		e.Code, e.Rest = icmp4.FragmentationNeeded, uint32(limit)
	}
	message, err := icmp4.Append(nil, &e)
	if err != nil {
		return nil
	}
	b, err := ipv4.Append(nil, &ipv4.Packet{Src: from, Dst: src, TTL: tunnelHops, Protocol: ipv4.ICMP, Payload: message})
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

// errorAllowance is how many errors a second are passed on.
func errorAllowance() allowance { return allowance{each: 10 * time.Millisecond, most: 50} }

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
