package ha

import (
	"fmt"
	"net/netip"
	"time"

	"s2clab/nodes/host"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/replica"
	"s2clab/nodes/wire/udp"
)

// kernel is the hands of a home agent over nodes/host.
type kernel struct {
	host     *host.Host
	mobility *host.MobilityPort
	nd       *host.NDPort
	asked    *host.DiscoveryPort // nil: nobody may ask for home agents

	registrations *host.RegistrationPort // nil: mobile nodes register by Mobile IPv6
	tunnel        *host.Tunnel
	client        *host.DiameterClient // nil: there is no AAA, or it is asked by RADIUS
	arp           *host.ARPPort        // nil: no IPv4 home addresses
	address       netip.Addr           // of the home agent
	address4      netip.Addr           // not valid: it has none
	identity      diameter.Identity    // our own
	sessions      diameter.Application // that the sessions of associations are of
	asker         asker                // nil: there is nobody to ask
	answers       func(Input)          // takes what comes of a question
	aborts        aborts
	state         uint32           // Origin-State-Id, where it is not that of a new life
	replicator    *replicator      // nil: there is no standby
	diary         *diary           // nil: nothing is kept
	records       []replica.Record // of an earlier life
	remembered    func() []replica.Record
}

// do does what the machine says.
func (k *kernel) do(o Output) error {
	switch o := o.(type) {
	case SetTunnel:
		return k.tunnel.Set(k.binding(o))
	case SetWays:
		return k.tunnel.SetWays(k.ways(o))
	case ClearTunnel:
		return k.tunnel.Clear(o.Home)
	case SetProxy:
		return k.defend(o)
	case ClearProxy:
		return k.host.RemoveProxyNeighbor(o.Dev, o.Address)
	case WatchAddress:
		return k.nd.Join(o.Dev, host.SolicitedNode(o.Address))
	case UnwatchAddress:
		return k.nd.Leave(o.Dev, host.SolicitedNode(o.Address))
	case SolicitNeighbor:
		return k.discover(o.Dev, &icmp6.NeighborSolicitation{Target: o.Target}, netip.IPv6Unspecified(), host.SolicitedNode(o.Target))
	case AdvertiseNeighbor:
		if o.Target.Is4() {
			return k.arp.Announce(o.Dev, o.Target)
		}
		return k.advertise(o)
	case Keep:
		return k.keep(o)
	case AnswerAbort:
		return k.answerAbort(o)
	case SendRegistration:
		return k.registrations.Send(o.Dev, o.From, o.To, o.Octets)
	case AskRegistration:
		k.askRegistration(o)
		return nil
	case AuthorizeService:
		k.authorize(o)
		return nil
	case TerminateSession:
		k.terminate(o)
		return nil
	}
	return fmt.Errorf("no way to do %T", o)
}

// binding is the tunnel that the machine wants, as the host has it.
func (k *kernel) binding(o SetTunnel) host.Binding {
	b := host.Binding{Inner: o.Home, Inner4: o.Home4, Local: k.address, Remote: o.CareOf}
	if o.CareOf.Is4() {
		b.Local = k.address4
	}
	if o.Port != 0 {
		b.UDP = host.UDPPorts{Local: udp.EncapsulationPort, Remote: o.Port}
	}
	return b
}

// defend answers for an address, and forgets who had it. That he could not be reached
// when he was gone would stand in the way of what he says when he is back: RFC 9131,
// section 6.1.2. And where another home agent has defended it, both would send what is
// for it to each other, once both have let go of it.
func (k *kernel) defend(o SetProxy) error {
	if err := k.host.RemoveNeighbor(o.Dev, o.Address); err != nil {
		return err
	}
	return k.host.AddProxyNeighbor(o.Dev, o.Address)
}

// ways are the several tunnels that the machine wants, as the host has them.
func (k *kernel) ways(o SetWays) host.Ways {
	w := host.Ways{Inner: o.Home, Inner4: o.Home4, Flows: o.Flows}
	for _, way := range o.Ways {
		b := k.binding(SetTunnel{Home: o.Home, CareOf: way.CareOf, Port: way.Port})
		w.Each = append(w.Each, host.Way{BID: way.BID, Local: b.Local, Remote: b.Remote, UDP: b.UDP})
	}
	return w
}

func (k *kernel) advertise(o AdvertiseNeighbor) error {
	mac, err := k.host.HardwareAddr(o.Dev)
	if err != nil {
		return err
	}
	return k.discover(o.Dev, &icmp6.NeighborAdvertisement{
		Override: true, Target: o.Target, Options: []icmp6.Option{icmp6.TargetLinkAddress{Address: mac[:]}},
	}, o.Source, netip.IPv6LinkLocalAllNodes())
}

func (k *kernel) discover(dev string, m icmp6.Message, src, dst netip.Addr) error {
	b, err := icmp6.Append(make([]byte, 0, 64), m, src, dst)
	if err != nil {
		return err
	}
	return k.nd.Send(dev, src, dst, b)
}

func (k *kernel) send(dev string, packets ...[]byte) error {
	return k.mobility.SendOn(dev, packets...)
}

func (k *kernel) sendUDP(to netip.AddrPort, packet []byte) error {
	return k.mobility.SendUDP("", netip.AddrPortFrom(k.address4, udp.EncapsulationPort), to, packet)
}

func (k *kernel) counters() any {
	name, why := k.tunnel.Engine()
	c := k.tunnel.Counters()
	return map[string]any{
		"engine": name, "why": why, "wrong-outer": c.WrongOuter, "wrong-inner": c.WrongInner,
		"sent-packets": c.SentPackets, "received-packets": c.ReceivedPackets,
	}
}

// claim says whose address a neighbour discovery message claims: see
// NeighborClaimed.
func claim(m *host.NDMessage) (NeighborClaimed, bool) {
	message, err := icmp6.Parse(m.Message)
	if err != nil || icmp6.Check(message, m.Src, m.Dst, 255) != nil {
		return NeighborClaimed{}, false
	}
	switch message := message.(type) {
	case *icmp6.NeighborAdvertisement:
		return NeighborClaimed{Dev: m.Dev, Address: message.Target}, true
	case *icmp6.NeighborSolicitation:
		return NeighborClaimed{Dev: m.Dev, Address: message.Target}, m.Src.IsUnspecified()
	}
	return NeighborClaimed{}, false
}

// advertised makes an Input of a Router Advertisement; nil: it is none, or not valid.
func advertised(m *host.NDMessage) *RouterAdvertised {
	message, err := icmp6.Parse(m.Message)
	if err != nil || icmp6.Check(message, m.Src, m.Dst, 255) != nil {
		return nil
	}
	a, ok := message.(*icmp6.RouterAdvertisement)
	if !ok {
		return nil
	}
	in := &RouterAdvertised{Dev: m.Dev, Router: m.Src, HomeAgent: a.Flags&icmp6.HomeAgent != 0, Lifetime: a.Lifetime}
	if o, ok := icmp6.Find[icmp6.HomeAgentInformation](a.Options); ok {
		in.Preference, in.Lifetime = o.Preference, o.Lifetime
	}
	for _, o := range a.Options {
		if p, ok := o.(icmp6.PrefixInformation); ok && p.RouterAddress {
			in.Addresses = append(in.Addresses, p.Prefix.Addr())
		}
	}
	return in
}

// homeAgentsAsked makes an Input of a Home Agent Address Discovery Request.
func homeAgentsAsked(m *host.ICMPMessage) (HomeAgentsAsked, bool) {
	message, err := icmp6.Parse(m.Message)
	if err != nil {
		return HomeAgentsAsked{}, false
	}
	r, ok := message.(*icmp6.HomeAgentRequest)
	if !ok {
		return HomeAgentsAsked{}, false
	}
	return HomeAgentsAsked{Source: m.Src, To: m.Dst, Identifier: r.Identifier}, true
}

// peerEvent gives the event that tells of a Diameter peer; an empty name: none.
func peerEvent(o diampeer.Output) (name string, fields map[string]any) {
	switch o := o.(type) {
	case diampeer.Up:
		return "peer-up", map[string]any{"peer": o.Peer}
	case diampeer.Down:
		return "peer-down", map[string]any{"peer": o.Peer, "reason": o.Reason}
	case diampeer.Suspected:
		return "peer-suspected", map[string]any{"peer": o.Peer}
	case diampeer.Restored:
		return "peer-restored", map[string]any{"peer": o.Peer}
	case diampeer.Rejected:
		return "peer-rejected", map[string]any{"peer": o.Peer, "reason": o.Reason}
	}
	return "", nil
}

// originState is the Origin-State-Id of a start at a time: it grows with each,
// RFC 6733, section 8.16.
func originState(start time.Time) uint32 { return uint32(start.Unix()) }
