package capture

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/udp"
)

// A Message is a signalling message that a frame carries.
type Message struct {
	Name   string         // kebab-case, such as binding-update
	Fields map[string]any // as docs/journal.md has them: strings, float64, bool, []any
}

// Decode gives the signalling messages that an Ethernet frame carries by itself:
// Mobility Headers and ICMPv6, also inside tunnels and in UDP over IPv4 (RFC 5555),
// DHCP, DNS messages in UDP, ARP, and whole Diameter messages. Data gives none. It
// keeps nothing of frame.
func Decode(frame []byte) []Message {
	return decode(frame, wholeMessages)
}

const (
	ethernetLen  = 14
	etherIPv4    = 0x0800
	etherARP     = 0x0806
	etherIPv6    = 0x86dd
	portDiameter = diameter.Port
	portTunnel   = udp.EncapsulationPort
	udpLen       = 8
	tunnelsDeep  = 4 // packets within packets
)

// Signalling says, from its first headers, whether a frame may carry signalling:
// quickly, and rather once too often.
func Signalling(frame []byte) bool {
	if len(frame) < ethernetLen+ipv4.HeaderLen {
		return false
	}
	b := frame[ethernetLen:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherARP:
		return true
	case etherIPv4, etherIPv6:
	default:
		return false
	}
	for range tunnelsDeep + 1 {
		var next uint8
		four := false
		switch {
		case len(b) >= ipv6.HeaderLen && b[0]>>4 == 6:
			next, b = b[6], b[ipv6.HeaderLen:]
		case len(b) >= ipv4.HeaderLen && b[0]>>4 == 4:
			header := int(b[0]&15) * 4
			if header < ipv4.HeaderLen || header > len(b) || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 { // a later fragment
				return false
			}
			next, b, four = b[9], b[header:], true
		default:
			return false
		}
		switch next {
		case ipv6.ICMPv6, ipv6.Mobility, ipv6.Destination, ipv6.Routing, ipv6.HopByHop, ipv6.Fragment:
			return !four
		case ipv6.TCP:
			return len(b) >= 4 && (binary.BigEndian.Uint16(b) == portDiameter || binary.BigEndian.Uint16(b[2:]) == portDiameter)
		case ipv6.UDP:
			if isDHCP(b, four) || isDNS(b) {
				return true
			}
			if !isTunnel(b) {
				return false
			}
			b = b[udpLen:]
		case ipv6.Encapsulate, ipv4.Encapsulate:
		default:
			return false
		}
	}
	return false
}

// isTunnel says whether a UDP header is that of a tunnel: RFC 5555, section 4.1.
func isTunnel(b []byte) bool {
	return len(b) >= udpLen && (binary.BigEndian.Uint16(b) == portTunnel || binary.BigEndian.Uint16(b[2:]) == portTunnel)
}

// A segment is the part of a TCP stream that one frame carries.
type segment struct {
	flow flow
	seq  uint32
	data []byte
}

// A flow is one direction of a TCP connection.
type flow struct{ src, dst netip.AddrPort }

// decode gives the messages of a frame. Those in TCP are cut out by messages.
func decode(frame []byte, messages func(segment) [][]byte) []Message {
	if !Signalling(frame) {
		return nil
	}
	b := frame[ethernetLen:]
	if binary.BigEndian.Uint16(frame[12:]) == etherARP {
		if m, ok := arpMessage(b); ok {
			return []Message{m}
		}
		return nil
	}
	outer := map[string]any{}
	for depth := range tunnelsDeep + 1 {
		l, err := layerOf(b)
		if err != nil {
			return nil
		}
		if depth == 0 {
			outer["src"], outer["dst"] = l.packet.Src.String(), l.packet.Dst.String()
		} else {
			outer["inner-src"], outer["inner-dst"] = l.packet.Src.String(), l.packet.Dst.String()
		}
		p := &l.packet
		switch {
		case p.Next == ipv6.Encapsulate, p.Next == ipv4.Encapsulate:
			b = p.Payload
		case p.Next == ipv6.UDP && isDHCP(p.Payload, l.four):
			return with(outer, dhcp(p.Payload, p.Src, p.Dst))
		case p.Next == ipv6.UDP && isDNS(p.Payload):
			return with(outer, names(p.Payload, p.Src, p.Dst))
		case p.Next == ipv6.UDP && isTunnel(p.Payload):
			outer["outer"] = "udp"
			b = p.Payload[udpLen:]
		default:
			return with(outer, l.messages(outer, messages)...)
		}
	}
	return nil
}

// A layer is one of the packets within packets.
type layer struct {
	packet ipv6.Packet // of IPv4: source, destination, protocol and payload
	four   bool
}

func layerOf(b []byte) (layer, error) {
	if len(b) == 0 || b[0]>>4 != 4 {
		p, err := ipv6.Parse(b)
		return layer{packet: p}, err
	}
	p, err := ipv4.Parse(b)
	return layer{ipv6.Packet{Src: p.Src, Dst: p.Dst, Next: p.Protocol, Payload: p.Payload}, true}, err
}

// messages reads what the innermost packet carries.
func (l *layer) messages(outer map[string]any, messages func(segment) [][]byte) (all []Message) {
	p := &l.packet
	switch {
	case p.Next == ipv6.Mobility && !l.four:
		return []Message{mobility(p, outer)}
	case p.Next == ipv6.ICMPv6 && !l.four:
		if m, ok := icmp(p); ok {
			return []Message{m}
		}
	case p.Next == ipv6.TCP:
		s, ok := tcpSegment(p)
		if !ok || s.flow.src.Port() != portDiameter && s.flow.dst.Port() != portDiameter {
			return nil
		}
		for _, b := range messages(s) {
			all = append(all, diameterMessage(b))
		}
	}
	return all
}

// with adds the addresses of a frame to its messages.
func with(outer map[string]any, all ...Message) []Message {
	for _, m := range all {
		for k, v := range outer {
			m.Fields[k] = v
		}
	}
	return all
}

// mobility reads a Mobility Header. In UDP the care-of address is outside: RFC 5555,
// section 4.2.
func mobility(p *ipv6.Packet, outer map[string]any) Message {
	inUDP := outer["outer"] != nil
	m, err := mh.Parse(p.Payload)
	if err != nil {
		name := "mobility-malformed"
		if len(p.Payload) > 2 {
			name = mh.Type(p.Payload[2]).String()
		}
		return Message{name, map[string]any{"malformed": err.Error()}}
	}
	f := map[string]any{}
	if !mh.ChecksumOK(p.Payload, p.UpperSrc(), p.UpperDst()) {
		f["bad-checksum"] = true
	}
	var flags []string
	switch m := m.(type) {
	case *mh.BindingUpdate:
		f["seq"], f["lifetime"], flags = float64(m.Seq), m.Lifetime.Seconds(), m.Flags.Names()
		f["home-address"], f["care-of"] = p.UpperSrc().String(), p.Src.String()
		if inUDP {
			f["care-of"] = outer["src"]
		}
	case *mh.BindingAcknowledgement:
		f["seq"], f["lifetime"], flags = float64(m.Seq), m.Lifetime.Seconds(), m.Flags.Names()
		f["status"], f["name"] = float64(m.Status), m.Status.String()
		f["home-address"], f["care-of"] = p.UpperDst().String(), p.Dst.String()
		if inUDP {
			f["care-of"] = outer["dst"]
		}
	case *mh.BindingError:
		f["status"], f["name"] = float64(m.Status), m.Status.String()
		f["home-address"] = m.HomeAddress.String()
	case *mh.HomeAgentSwitch:
		f["home-address"], f["care-of"] = p.UpperDst().String(), p.Dst.String()
		if len(m.Addresses) > 0 {
			f["home-agent"] = m.Addresses[0].String()
		}
	case *mh.BindingRevocationIndication:
		f["seq"], flags = float64(m.Seq), m.Flags.Names()
		f["trigger"] = m.Trigger.String()
		f["home-address"], f["care-of"] = p.UpperDst().String(), p.Dst.String()
	case *mh.BindingRevocationAcknowledgement:
		f["seq"], flags = float64(m.Seq), m.Flags.Names()
		f["status"], f["name"] = float64(m.Status), m.Status.String()
		f["home-address"], f["care-of"] = p.UpperSrc().String(), p.Src.String()
	case *mh.Unknown:
		f["type"] = float64(m.Kind)
	}
	if flags != nil {
		f["flags"] = list(flags)
	}
	var options, auth, bids, fids []string
	for _, o := range mh.Options(m) {
		options = append(options, o.Type().String())
		switch o := o.(type) {
		case mh.MNIdentifier:
			f["nai"] = o.Identifier
		case mh.AlternateCareOf:
			f["care-of"] = o.Address.String()
		case mh.IPv4CareOf:
			f["care-of"] = o.Address.String()
		case mh.IPv4HomeAddress:
			f["ipv4-home-address"] = o.Address.String()
		case mh.IPv4AddressAck:
			f["ipv4-home-address"], f["ipv4-status"] = o.Address.String(), float64(o.Status)
		case mh.NATDetection:
			f["force-udp"] = o.ForceUDP
			if o.Refresh > 0 && o.Refresh < mh.NoKeepalives {
				f["nat-keepalive"] = o.Refresh.Seconds()
			}
		case mh.Authentication:
			auth = append(auth, o.Subtype.String())
			f["spi"] = float64(o.SPI)
		case mh.ReplayProtection:
			f["timestamp"] = ntp(o.Timestamp)
		case mh.ServiceSelection:
			f["service"] = o.APN
		case mh.BindingIdentifier:
			bids = append(bids, strconv.Itoa(int(o.BID)))
		case mh.FlowIdentification:
			fids = append(fids, strconv.Itoa(int(o.FID)))
		case mh.FlowSummary:
			for _, fid := range o.FIDs {
				fids = append(fids, strconv.Itoa(int(fid)))
			}
		case mh.RefreshAdvice:
			f["refresh"] = o.Interval.Seconds()
		}
	}
	if options != nil {
		f["options"] = list(options)
	}
	for name, ids := range map[string][]string{"bids": bids, "fids": fids} {
		if ids != nil {
			f[name] = list(ids)
		}
	}
	if auth != nil {
		f["auth"] = list(auth)
	}
	return Message{mh.Name(m), f}
}

// ntp is a timestamp of RFC 4285 as a time that people read.
func ntp(t uint64) string {
	const toUnix = 2_208_988_800 // seconds from 1900 to 1970
	seconds, fraction := int64(t>>32), int64(t&0xffffffff)
	if seconds < toUnix { // the second era, from 2036
		seconds += 1 << 32
	}
	return time.Unix(seconds-toUnix, fraction*1e9>>32).UTC().Format(time.RFC3339Nano)
}

// icmp reads an ICMPv6 message. Reports of multicast listeners are no signalling
// here: the kernel sends them whenever an address changes.
func icmp(p *ipv6.Packet) (Message, bool) {
	if len(p.Payload) == 0 {
		return Message{}, false
	}
	switch t := icmp6.Type(p.Payload[0]); t {
	case 130, 131, 132, 143: // RFC 3810
		return Message{}, false
	}
	m, err := icmp6.Parse(p.Payload)
	if err != nil {
		return Message{icmp6.Type(p.Payload[0]).String(), map[string]any{"malformed": err.Error()}}, true
	}
	f := map[string]any{}
	if !icmp6.ChecksumOK(p.Payload, p.UpperSrc(), p.UpperDst()) {
		f["bad-checksum"] = true
	}
	switch m := m.(type) {
	case *icmp6.HomeAgentReply:
		f["home-agents"] = float64(len(m.Addresses))
		if len(m.Addresses) > 0 {
			f["home-agent"] = m.Addresses[0].String()
		}
	case *icmp6.RouterAdvertisement:
		f["flags"], f["lifetime"] = list(m.Flags.Names()), m.Lifetime.Seconds()
		f["router"] = p.Src.String()
	case *icmp6.NeighborSolicitation:
		f["target"] = m.Target.String()
		if p.Src.IsUnspecified() {
			f["dad"] = true // RFC 4862, section 5.4.2
		}
	case *icmp6.NeighborAdvertisement:
		f["target"] = m.Target.String()
		flags := []any{}
		for _, flag := range []struct {
			set  bool
			name string
		}{{m.Router, "R"}, {m.Solicited, "S"}, {m.Override, "O"}} {
			if flag.set {
				flags = append(flags, flag.name)
			}
		}
		f["flags"] = flags
	case *icmp6.Redirect:
		f["target"] = m.Target.String()
	case *icmp6.EchoRequest:
		f["seq"], f["id"] = float64(m.Seq), float64(m.Identifier)
	case *icmp6.EchoReply:
		f["seq"], f["id"] = float64(m.Seq), float64(m.Identifier)
	case *icmp6.DestinationUnreachable:
		f["code"] = float64(m.Code)
	case *icmp6.TimeExceeded:
		f["code"] = float64(m.Code)
	case *icmp6.PacketTooBig:
		f["mtu"] = float64(m.MTU)
	case *icmp6.ParameterProblem:
		f["code"], f["pointer"] = float64(m.Code), float64(m.Pointer)
	}
	var options []string
	for _, o := range icmp6.Options(m) {
		switch o := o.(type) {
		case icmp6.PrefixInformation:
			options = append(options, "prefix-information")
			if _, there := f["prefix"]; !there {
				f["prefix"] = o.Prefix.Masked().String()
			}
		case icmp6.SourceLinkAddress:
			options = append(options, "source-link-address")
		case icmp6.TargetLinkAddress:
			options = append(options, "target-link-address")
		case icmp6.MTU:
			options = append(options, "mtu")
		case icmp6.AdvertisementInterval:
			options = append(options, "advertisement-interval")
			f["interval"] = o.Interval.Seconds()
		case icmp6.HomeAgentInformation:
			options = append(options, "home-agent-information")
			f["preference"] = float64(o.Preference)
		case icmp6.RecursiveDNS:
			options = append(options, "recursive-dns-server")
		}
	}
	if options != nil {
		f["options"] = list(options)
	}
	return Message{m.Type().String(), f}, true
}

// tcpSegment reads a TCP header.
func tcpSegment(p *ipv6.Packet) (segment, bool) {
	b := p.Payload
	if len(b) < 20 {
		return segment{}, false
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) {
		return segment{}, false
	}
	return segment{
		flow: flow{
			src: netip.AddrPortFrom(p.UpperSrc(), binary.BigEndian.Uint16(b)),
			dst: netip.AddrPortFrom(p.UpperDst(), binary.BigEndian.Uint16(b[2:])),
		},
		seq:  binary.BigEndian.Uint32(b[4:]),
		data: b[header:],
	}, true
}

// wholeMessages cuts out the Diameter messages that a segment begins with.
func wholeMessages(s segment) [][]byte {
	all, _ := cutMessages(s.data)
	return all
}

// cutMessages cuts whole Diameter messages off the front of b. What is left is
// the beginning of another, or nil where it cannot be one.
func cutMessages(b []byte) (all [][]byte, rest []byte) {
	for len(b) > 0 {
		n, told, err := diameter.Length(b)
		switch {
		case err != nil || n > maxMessage:
			return all, nil
		case !told || n > len(b):
			return all, b
		}
		all = append(all, b[:n])
		b = b[n:]
	}
	return all, nil
}

// maxMessage is the longest Diameter message that is put together, in octets.
const maxMessage = 64 << 10

// diameterMessage reads a whole Diameter message.
func diameterMessage(b []byte) Message {
	m, err := diameter.Parse(b)
	if m == nil {
		return Message{"diameter-malformed", map[string]any{"malformed": err.Error()}}
	}
	f := map[string]any{"hop-by-hop": float64(m.HopByHop), "end-to-end": float64(m.EndToEnd)}
	if err != nil {
		f["malformed"] = err.Error()
	}
	var flags []string
	for _, flag := range []struct {
		set  diameter.Flags
		name string
	}{{diameter.Request, "R"}, {diameter.Proxiable, "P"}, {diameter.Error, "E"}, {diameter.Retransmitted, "T"}} {
		if m.Flags&flag.set != 0 {
			flags = append(flags, flag.name)
		}
	}
	if flags != nil {
		f["flags"] = list(flags)
	}
	for i := range m.AVPs {
		readAVP(&m.AVPs[i], f)
	}
	return Message{m.Name(), f}
}

// readAVP takes what people look for out of an AVP.
func readAVP(a *diameter.AVP, f map[string]any) {
	text := func(name string) {
		if len(a.Data) <= 512 {
			f[name] = string(a.Data)
		}
	}
	address := func(name string) {
		if len(a.Data) >= 6 {
			if at := a.Address(); at.IsValid() {
				f[name] = at.String()
			}
		}
	}
	switch a.Code {
	case diameter.UserName:
		text("nai")
	case diameter.OriginHost:
		text("origin-host")
	case diameter.SessionID:
		text("session")
	case diameter.ErrorMessage:
		text("error")
	case diameter.ServiceSelection:
		text("service")
	case diameter.ResultCodeAVP:
		if len(a.Data) == 4 {
			f["result"], f["name"] = float64(a.Uint32()), diameter.ResultCode(a.Uint32()).String()
		}
	case diameter.MIPMNAAASPI:
		if len(a.Data) == 4 {
			f["spi"] = float64(a.Uint32())
		}
	case diameter.MIPMobileNodeAddress:
		address("home-address")
	case diameter.MIPCareofAddress:
		address("care-of")
	case diameter.TerminationCauseAVP:
		if len(a.Data) == 4 {
			f["cause"] = diameter.TerminationCause(a.Uint32()).String()
		}
	case diameter.DisconnectCauseAVP:
		if len(a.Data) == 4 {
			f["cause"] = diameter.DisconnectCause(a.Uint32()).String()
		}
	case diameter.MIPMNHAMSA: // that there is a key is told, not the key
		inner, _ := diameter.ParseAVPs(a.Data)
		for i := range inner {
			if inner[i].Code == diameter.MIPMNHASPI && len(inner[i].Data) == 4 {
				f["mn-ha-spi"] = float64(inner[i].Uint32())
			}
		}
	}
}

// list is a list of words as the journal has them.
func list(words []string) []any {
	all := make([]any, len(words))
	for i, w := range words {
		all[i] = w
	}
	return all
}

// streams puts together the Diameter messages of TCP connections as they cross a
// link: whole ones in a segment are taken as they are, and one that is spread
// over several is taken where it ends. The zero value is ready.
type streams struct {
	partial map[flow]*partial
	order   []flow // the oldest first
}

// A partial is a message whose end has not been seen.
type partial struct {
	next uint32 // sequence number of the octet that is missing
	data []byte
}

const maxStreams = 256

func (t *streams) messages(s segment) [][]byte {
	if len(s.data) == 0 {
		return nil
	}
	p := t.partial[s.flow]
	end := s.seq + uint32(len(s.data))
	switch {
	case p == nil:
	case s.seq == p.next && len(p.data)+len(s.data) <= maxMessage:
		all, rest := cutMessages(append(p.data, s.data...))
		t.keep(s.flow, end, rest)
		return all
	case int32(s.seq-p.next) < 0: // sent again
		return wholeMessages(s)
	default: // something is missing: begin anew
		t.keep(s.flow, end, nil)
	}
	all, rest := cutMessages(s.data)
	t.keep(s.flow, end, rest)
	return all
}

// keep notes what is left of a flow.
func (t *streams) keep(f flow, next uint32, rest []byte) {
	if len(rest) == 0 {
		if t.partial[f] != nil {
			delete(t.partial, f)
			t.order = slices.DeleteFunc(t.order, func(o flow) bool { return o == f })
		}
		return
	}
	if t.partial == nil {
		t.partial = map[flow]*partial{}
	}
	if t.partial[f] == nil {
		if len(t.order) >= maxStreams {
			delete(t.partial, t.order[0])
			t.order = t.order[1:]
		}
		t.order = append(t.order, f)
	}
	t.partial[f] = &partial{next: next, data: append([]byte(nil), rest...)}
}
