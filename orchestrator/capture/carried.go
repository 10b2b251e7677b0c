package capture

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/radius"
	"s2clab/nodes/wire/udp"
)

// carried is what data the links carry at the moment: which flow began to cross
// which, told by flow-appeared, and has ceased to, told by flow-vanished.
type carried struct {
	flows map[carriedFlow]*carriedCount
	swept int64 // when it was last looked which have ceased
}

// A carriedFlow is a flow of data on a link, both directions of it: that of the ends
// of the innermost packets, whatever tunnel they go by.
type carriedFlow struct {
	link     *recordedLink
	protocol uint8
	near     netip.Addr // the end with the higher port, which has begun as a rule
	far      netip.Addr // the end with the lower port
	port     uint16     // the lower one
}

type carriedCount struct {
	first, last     int64
	packets, octets uint64
}

const (
	// A flow has ceased to cross a link that has carried none of it for so long.
	carriedIdle = int64(500 * time.Millisecond)

	// carriedMost is how many flows are told apart at once, on all links; of more
	// nothing is told.
	carriedMost = 4096
)

// notData are ports of signalling: DNS, DHCP, Ub, RADIUS, Diameter, and packets in UDP,
// which are looked into.
var notData = [...]uint16{53, 67, 68, 546, 547, portHTTP, radius.Port, portDiameter, udp.EncapsulationPort}

// note takes a frame that has entered a link.
func (c *carried) note(w *writing, rec *record, octets []byte, from *recorded) {
	key, ok := flowOf(octets)
	if !ok {
		return
	}
	key.link = from.link
	count := c.flows[key]
	if count == nil {
		if len(c.flows) == carriedMost {
			return
		}
		count = &carriedCount{first: rec.since}
		if c.flows == nil {
			c.flows = map[carriedFlow]*carriedCount{}
		}
		c.flows[key] = count
		w.r.options.Sink(control.Event{At: rec.since, Name: "flow-appeared", Fields: key.fields()})
	}
	count.last = max(count.last, rec.since)
	count.packets++
	count.octets += uint64(rec.length)
}

func (k *carriedFlow) fields() map[string]any {
	protocol := "tcp"
	if k.protocol == ipv6.UDP {
		protocol = "udp"
	}
	return map[string]any{"link": k.link.name, "src": k.near.String(), "dst": k.far.String(), "protocol": protocol, "port": float64(k.port)}
}

// sweep tells which flows have ceased at a time; all: all of them, as the capture
// ends.
func (c *carried) sweep(w *writing, now int64, all bool) {
	if now-c.swept < carriedIdle/4 && !all {
		return
	}
	c.swept = now
	for k, count := range c.flows {
		if !all && now-count.last < carriedIdle {
			continue
		}
		f := k.fields()
		f["packets"], f["octets"] = float64(count.packets), float64(count.octets)
		f["lasted"] = time.Duration(count.last - count.first).Seconds()
		w.r.options.Sink(control.Event{At: now, Name: "flow-vanished", Fields: f})
		delete(c.flows, k)
	}
}

// flowOf gives the flow of data that a frame is of, on no link yet.
func flowOf(frame []byte) (k carriedFlow, ok bool) {
	if len(frame) < ethernetLen {
		return k, false
	}
	b := frame[ethernetLen:]
	for range tunnelsDeep {
		var next uint8
		var src, dst netip.Addr
		switch {
		case len(b) >= ipv6.HeaderLen && b[0]>>4 == 6:
			next = b[6]
			src, dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
			b = b[ipv6.HeaderLen:]
		case len(b) >= ipv4.HeaderLen && b[0]>>4 == 4 && len(b) >= int(b[0]&0xf)*4 && b[0]&0xf >= 5:
			if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
				return k, false // a later fragment has no ports
			}
			next = b[9]
			src, dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
			b = b[int(b[0]&0xf)*4:]
		default:
			return k, false
		}
		switch next {
		case ipv6.Encapsulate, ipv6.IPv4:
			continue
		case ipv6.UDP, ipv6.TCP:
			if len(b) < udp.HeaderLen {
				return k, false
			}
		default:
			return k, false
		}
		from, to := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		if next == ipv6.UDP && (from == udp.EncapsulationPort || to == udp.EncapsulationPort) {
			b = b[udp.HeaderLen:]
			continue
		}
		if slices.Contains(notData[:], from) || slices.Contains(notData[:], to) {
			return k, false
		}
		if from < to {
			return carriedFlow{protocol: next, near: dst, far: src, port: from}, true
		}
		return carriedFlow{protocol: next, near: src, far: dst, port: to}, true
	}
	return k, false
}
