package mn

import (
	"s2clab/nodes/host"
	"s2clab/nodes/wire/icmp6"
)

// sensed makes an Input of what nodes/host tells; nil: it is of no concern here.
func sensed(c host.Change) Input {
	switch c := c.(type) {
	case host.LinkChange:
		return CarrierChanged{Dev: c.Dev, Up: c.Carrier}
	case host.AddressChange:
		in := AddressChanged{Dev: c.Dev, Address: c.Address}
		switch c.State {
		case host.Tentative, host.Optimistic:
			in.State = Tentative
		case host.Ready:
			in.State = Ready
		case host.Failed:
			in.State = Duplicate
		default:
			return nil
		}
		return in
	}
	return nil
}

// discovered makes an Input of a neighbour discovery message; nil: it is of no
// concern here, or not valid.
func discovered(d *host.NDMessage) Input {
	switch icmp6.Type(d.Message[0]) {
	case icmp6.TypeRouterAdvertisement, icmp6.TypeNeighborAdvertisement:
	default:
		return nil
	}
	msg, err := icmp6.Parse(d.Message)
	if err != nil || icmp6.Check(msg, d.Src, d.Dst, 255) != nil { // the port takes nothing else
		return nil
	}
	switch msg := msg.(type) {
	case *icmp6.RouterAdvertisement:
		in := RouterAdvertised{Dev: d.Dev, Router: d.Src, Lifetime: msg.Lifetime, Managed: msg.Flags&icmp6.ManagedAddresses != 0, Other: msg.Flags&icmp6.OtherConfig != 0, Retrans: msg.Retrans}
		for _, o := range msg.Options {
			switch o := o.(type) {
			case icmp6.SourceLinkAddress:
				if len(o.Address) == 6 {
					in.LinkLayer = [6]byte(o.Address)
				}
			case icmp6.AdvertisementInterval:
				in.Interval = o.Interval
			case icmp6.RecursiveDNS:
				for _, a := range o.Servers {
					in.Names = append(in.Names, NameServer{Address: a, Lifetime: o.Lifetime})
				}
			case icmp6.PrefixInformation:
				in.Prefixes = append(in.Prefixes, Prefix{Prefix: o.Prefix, OnLink: o.OnLink, Autonomous: o.Autonomous,
					Router: o.RouterAddress, Valid: o.Valid, Preferred: o.Preferred})
			}
		}
		return in
	case *icmp6.NeighborAdvertisement:
		in := NeighborAdvertised{Dev: d.Dev, Target: msg.Target, Solicited: msg.Solicited}
		if o, ok := icmp6.Find[icmp6.TargetLinkAddress](msg.Options); ok && len(o.Address) == 6 {
			in.LinkLayer = [6]byte(o.Address)
		}
		return in
	}
	return nil
}
