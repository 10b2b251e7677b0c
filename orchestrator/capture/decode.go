package capture

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eapol"
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
// DHCP, DNS messages, RADIUS and Mobile IPv4 in UDP, ARP, EAPOL, and whole messages of Diameter and
// Ub (TS 33.220). Data gives none. It keeps nothing of frame.
func Decode(frame []byte) []Message {
	return decode(frame, wholeMessages)
}

const (
	ethernetLen  = 14
	etherIPv4    = 0x0800
	etherARP     = 0x0806
	etherIPv6    = 0x86dd
	portDiameter = diameter.Port
	portHTTP     = 80
	portTunnel   = udp.EncapsulationPort
	udpLen       = 8
	tunnelsDeep  = 4 // packets within packets
)

// Signalling says, from its first headers, whether a frame may carry signalling:
// quickly, and rather once too often.
func Signalling(frame []byte) bool {
	if len(frame) < ethernetLen+ipv4.HeaderLen { // of EAPOL, frames are shorter: nothing pads them
		return len(frame) >= ethernetLen && binary.BigEndian.Uint16(frame[12:]) == eapol.EtherType
	}
	b := frame[ethernetLen:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherARP, eapol.EtherType:
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
			return isSignallingStream(b)
		case ipv6.UDP:
			if isDHCP(b, four) || isDNS(b) || isRADIUS(b) || isRegistration(b, four) {
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

// decode gives the messages of a frame. Those in TCP are cut out by messages.
func decode(frame []byte, messages func(segment, *protocol) [][]byte) []Message {
	if !Signalling(frame) {
		return nil
	}
	b := frame[ethernetLen:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case eapol.EtherType:
		return []Message{eapolMessage(frame)}
	case etherARP:
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
		case p.Next == ipv6.UDP && isRADIUS(p.Payload):
			return with(outer, radiusMessage(p.Payload, p.Src, p.Dst))
		case p.Next == ipv6.UDP && isRegistration(p.Payload, l.four):
			return with(outer, registration(p.Payload, p.Src, p.Dst))
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
func (l *layer) messages(outer map[string]any, messages func(segment, *protocol) [][]byte) (all []Message) {
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
		by := protocolOf(s.flow)
		if !ok || by == nil {
			return nil
		}
		for _, b := range messages(s, by) {
			if m, ok := by.read(b); ok {
				all = append(all, m)
			}
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
	var options, auth, bids, fids, material []string
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
		case mh.KeyMaterial: // RAND, at the front of what AKA has to say, is no secret; what follows it is not told
			material = append(material, o.Kind.String())
			if o.Kind >= mh.AKAChallenge && o.Kind <= mh.AKAResynchronised && len(o.Data) >= 16 {
				f["rand"] = hex.EncodeToString(o.Data[:16])
			}
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
	for name, ids := range map[string][]string{"bids": bids, "fids": fids, "key-material": material} {
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

// list is a list of words as the journal has them.
func list(words []string) []any {
	all := make([]any, len(words))
	for i, w := range words {
		all[i] = w
	}
	return all
}
