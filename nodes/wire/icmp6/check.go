package icmp6

import (
	"fmt"
	"net/netip"
)

// Check says whether m, which came from src to dst with this hop limit, is what
// RFC 4861, sections 6.1, 7.1 and 8.1, calls valid. What Parse refuses already,
// and the checksum, are not asked again. Messages other than those of neighbour
// discovery are always valid here.
func Check(m Message, src, dst netip.Addr, hopLimit uint8) error {
	t := m.Type()
	if t < TypeRouterSolicitation || t > TypeRedirect {
		return nil
	}
	if hopLimit != 255 {
		return fmt.Errorf("%v: hop limit %d, want 255: it may have been forwarded", t, hopLimit)
	}
	_, link := Find[SourceLinkAddress](Options(m))
	switch m := m.(type) {
	case *RouterSolicitation:
		if src.IsUnspecified() && link {
			return fmt.Errorf("%v: link-layer address of an unspecified source", t)
		}
	case *RouterAdvertisement:
		if !src.IsLinkLocalUnicast() {
			return fmt.Errorf("%v: from %v, want a link-local address", t, src)
		}
	case *NeighborSolicitation:
		switch {
		case m.Target.IsMulticast():
			return fmt.Errorf("%v: target %v is multicast", t, m.Target)
		case src.IsUnspecified() && link:
			return fmt.Errorf("%v: link-layer address of an unspecified source", t)
		case src.IsUnspecified() && dst != SolicitedNode(dst):
			return fmt.Errorf("%v: from an unspecified source to %v, want a solicited-node group", t, dst)
		}
	case *NeighborAdvertisement:
		switch {
		case m.Target.IsMulticast():
			return fmt.Errorf("%v: target %v is multicast", t, m.Target)
		case m.Solicited && dst.IsMulticast():
			return fmt.Errorf("%v: solicited, and sent to %v", t, dst)
		}
	case *Redirect:
		switch {
		case !src.IsLinkLocalUnicast():
			return fmt.Errorf("%v: from %v, want a link-local address", t, src)
		case m.Destination.IsMulticast():
			return fmt.Errorf("%v: destination %v is multicast", t, m.Destination)
		case !m.Target.IsLinkLocalUnicast() && m.Target != m.Destination:
			return fmt.Errorf("%v: target %v is neither a router nor the destination", t, m.Target)
		}
	}
	return nil
}
