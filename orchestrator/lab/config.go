package lab

import (
	"hash/fnv"
	"net"
	"net/netip"
	"slices"

	"s2clab/nodes/control"
	"s2clab/nodes/netns"
	"s2clab/topologies"
)

// configs turns a topology into what each node process is told.
func configs(t *topologies.Topology, seed uint64) map[string]*control.Config {
	all := make(map[string]*control.Config, len(t.Nodes))
	path := smallestMTU(t)
	for i := range t.Nodes {
		n := &t.Nodes[i]
		all[n.Name] = &control.Config{
			Node:       n.Name,
			Role:       n.Role,
			Seed:       seedOf(seed, n.Name),
			Clock:      n.Clock,
			Interfaces: interfaces(t, n),
			PathMTU:    path,
		}
		cfg := all[n.Name]
		switch {
		case n.MobileNode != nil:
			cfg.MobileNode = mobileNode(t, n.MobileNode)
		case n.HomeAgent != nil:
			cfg.HomeAgent = homeAgent(t, n.Name, n.HomeAgent)
		case n.AAA != nil:
			cfg.AAA = aaa(t, n)
		case n.HSS != nil:
			cfg.HSS = hss(n)
		case n.BSF != nil:
			cfg.BSF = bsf(t, n)
		case n.Router != nil:
			cfg.Router = router(t, n)
		case n.NAT != nil:
			cfg.NAT = nat(n)
		case n.DNS != nil:
			cfg.DNS = nameServer(n.DNS)
		case n.Correspondent != nil:
			c := control.Correspondent(*n.Correspondent)
			cfg.Correspondent = &c
		}
	}
	return all
}

// smallestMTU is that of the links: no path through the lab carries less.
func smallestMTU(t *topologies.Topology) int {
	least := 0
	for _, l := range t.Links {
		if least == 0 || l.MTU < least {
			least = l.MTU
		}
	}
	return least
}

// seedOf gives each node a seed of its own, the same in each run with that seed.
func seedOf(seed uint64, name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return seed ^ h.Sum64()
}

func interfaces(t *topologies.Topology, n *topologies.Node) []control.Interface {
	var all []control.Interface
	for _, i := range n.Interfaces {
		link := t.Link(i.Link)
		c := control.Interface{
			Name:      i.Name,
			Index:     i.Index,
			Link:      i.Link,
			MAC:       net.HardwareAddr(i.MAC[:]).String(),
			MTU:       link.MTU,
			Home:      link.Home && (n.MobileNode == nil || !n.MobileNode.Assigned),
			Addresses: i.Addresses,
		}
		if i.Advertise != nil {
			a := control.Advertise(*i.Advertise)
			c.Advertise = &a
		}
		c.DHCP4, c.DHCP6 = dhcp(&i)
		if (n.MobileNode != nil || n.Router != nil) && link.Auth != "none" {
			c.Auth = link.Auth
		}
		all = append(all, c)
	}
	return all
}

func security(t *topologies.Topology) control.Security {
	return control.Security{Integrity: t.Security.Integrity, Replay: t.Security.Replay, Bootstrap: t.Security.Bootstrap, Profile: t.Security.Profile, KeySource: t.Security.KeySource}
}

// peers are the addresses of a node that route optimization is done with.
func peers(n *topologies.Node) (all []netip.Addr) {
	if n.MobileNode != nil {
		return []netip.Addr{n.MobileNode.HomeAddress}
	}
	for _, i := range n.Interfaces {
		for _, p := range i.Addresses {
			if p.Addr().Is6() {
				all = append(all, p.Addr())
			}
		}
	}
	return all
}

func mobileNode(t *topologies.Topology, m *topologies.MobileNode) *control.MobileNode {
	c := &control.MobileNode{
		HomeAgent:   t.Node(m.HomeAgent).HomeAgent.Address,
		HomeAddress: m.HomeAddress,
		HomePrefix:  m.HomePrefix,
		NAI:         m.NAI,
		Lifetime:    m.Lifetime,
		DAD:         m.DAD,
		Tunnel:      m.Tunnel,
		Security:    security(t),
		MNAAAKey:    m.MNAAAKey,
		MNAAASPI:    m.MNAAASPI,
		MNHAKey:     m.MNHAKey,
		MNHASPI:     m.MNHASPI,
		Policy:      control.Policy(m.Policy),

		HomeAgent4:   t.Node(m.HomeAgent).HomeAgent.Address4,
		IPv4Home:     m.HomeAddress4.IsValid(),
		HomeAddress4: m.HomeAddress4,
		HomePrefix4:  m.HomePrefix4,
		ForceUDP:     m.ForceUDP,

		RouteOptimization: m.RouteOptimization,

		AllAccesses: m.AllAccesses,
	}
	for i := range t.Nodes {
		if h := t.Nodes[i].HomeAgent; h != nil {
			c.HomeAgents = append(c.HomeAgents, control.NamedAgent{Address: registrar(t, h), Host: h.Host})
		}
	}
	if m.BSF != "" {
		server := t.Node(m.BSF)
		c.BSF = &control.Peer{Host: server.BSF.Host, Realm: server.BSF.Realm, Address: netip.AddrPortFrom(server.Address(), portUb)}
	}
	if m.USIM != nil {
		c.APN = t.Node(m.HomeAgent).HomeAgent.APN
	}
	if servers := t.Node(m.HomeAgent).HomeAgent.AAA; len(servers) > 0 {
		c.AAARealm = t.Node(servers[0]).AAA.Realm
	}
	if m.USIM != nil {
		usim := control.USIM(*m.USIM)
		c.USIM = &usim
	}
	for _, name := range m.Peers {
		c.Peers = append(c.Peers, peers(t.Node(name))...)
	}
	for _, f := range m.Flows {
		c.Flows = append(c.Flows, control.FlowBinding{Name: f.Name, Protocol: f.Protocol, Ports: control.Ports(f.Ports), To: f.To})
	}
	if len(m.Discovery) > 0 {
		ha := t.Node(m.HomeAgent).HomeAgent
		c.Discovery = &control.Discovery{Methods: m.Discovery, Prefix: m.HomePrefix, Name: ha.FQDN(), Domain: ha.ServiceDomain(), Network: ha.Realm, Servers: m.NameServers}
		if !slices.Contains(m.Discovery, "static") { // so is the home agent
			c.HomeAgent, c.HomeAgent4 = netip.Addr{}, netip.Addr{}
		}
	}
	if m.Assigned { // it is for the mobile node to find out
		c.HomeAddress, c.HomePrefix = netip.Addr{}, netip.Prefix{}
		c.HomeAddress4, c.HomePrefix4 = netip.Addr{}, netip.Prefix{}
	}
	return c
}

func homeAgent(t *topologies.Topology, ha string, h *topologies.HomeAgent) *control.HomeAgent {
	if h.StandbyFor != "" { // it is the other, once it serves
		other := t.Node(h.StandbyFor).HomeAgent
		own := *h
		own.Address, own.Address4, own.Host, own.Realm = other.Address, other.Address4, other.Host, other.Realm
		h = &own
	}
	c := &control.HomeAgent{
		Address:       h.Address,
		Host:          h.Host,
		Realm:         h.Realm,
		HomePrefixes:  h.HomePrefixes,
		MaxLifetime:   h.MaxLifetime,
		MaxBindings:   h.MaxBindings,
		ReplayWindow:  h.ReplayWindow,
		DAD:           h.DAD,
		Tunnel:        h.Tunnel,
		Security:      security(t),
		AAATimeout:    h.AAATimeout,
		Watchdog:      h.Watchdog,
		Revocation:    control.Revocation(h.Revocation),
		KeepsBindings: h.KeepsBindings,
		Replication:   replication(t, ha),

		Preference: h.Preference,
		Discovered: h.Discovered,

		Address4:      h.Address4,
		HomePrefixes4: h.HomePrefixes4,
		UDP:           h.UDP,
		NATKeepalive:  h.NATKeepalive,

		MultipleCareOf: h.MultipleCareOf,
	}
	for i := range t.Nodes {
		if m := t.Nodes[i].MobileNode; m != nil && (m.HomeAgent == ha || m.HomeAgent == h.Beside) && m.HomeAddress4.IsValid() {
			c.HomeAddresses4 = append(c.HomeAddresses4, control.HomeAddress4{NAI: m.NAI, Address: m.HomeAddress, Address4: m.HomeAddress4})
		}
	}
	c.AAA = authorities(t, ha, h.AAA)
	if len(h.RADIUSSecret) > 0 {
		for _, p := range c.AAA {
			c.RADIUS = append(c.RADIUS, control.RADIUSPeer{Host: p.Host, Address: netip.AddrPortFrom(p.Address.Addr(), portRADIUS), Secret: h.RADIUSSecret})
		}
		c.AAA = nil
	}
	c.BSF = bsfPeer(t, ha, h.BSF)
	for _, a := range h.Associations {
		c.Associations = append(c.Associations, control.Association(a))
	}
	return c
}

// authorities are AAA servers as a node reaches them.
func authorities(t *topologies.Topology, from string, names []string) (all []control.Peer) {
	for _, name := range names {
		server := t.Node(name).AAA
		all = append(all, control.Peer{Host: server.Host, Realm: server.Realm, Address: netip.AddrPortFrom(t.AddressFrom(from, name), server.Port)})
	}
	return relayed(t, from, all)
}

// homeServers are HSSs as a node reaches them.
func homeServers(t *topologies.Topology, from string, names []string) (all []control.Peer) {
	for _, name := range names {
		server := t.Node(name).HSS
		all = append(all, control.Peer{Host: server.Host, Realm: server.Realm, Address: netip.AddrPortFrom(t.AddressFrom(from, name), server.Port)})
	}
	return relayed(t, from, all)
}

// relayed is the Diameter relay that a node reaches servers through, with the realm
// of the first behind it; where there is none, the servers.
func relayed(t *topologies.Topology, from string, servers []control.Peer) []control.Peer {
	by := t.Node(from).ByRelay
	if by == "" || len(servers) == 0 {
		return servers
	}
	relay := t.Node(by).Relay
	return []control.Peer{{Host: relay.Host, Realm: servers[0].Realm, Address: netip.AddrPortFrom(t.AddressFrom(from, by), relay.Port)}}
}

// portUb is where a BSF is asked by mobile nodes: HTTP, TCP.
const portUb = 80

func bsf(t *topologies.Topology, n *topologies.Node) *control.BSF {
	return &control.BSF{Host: n.BSF.Host, Realm: n.BSF.Realm, Listen: listen(n, n.BSF.Port), HTTP: listen(n, portUb), Watchdog: n.BSF.Watchdog,
		HSS: homeServers(t, n.Name, n.BSF.HSS), Timeout: n.BSF.HSSTimeout, KeyLifetime: n.BSF.KeyLifetime}
}

// bsfPeer is a BSF as a node reaches it by Diameter; nil: it asks none.
func bsfPeer(t *topologies.Topology, from, name string) *control.Peer {
	if name == "" {
		return nil
	}
	bsf := t.Node(name).BSF
	return &control.Peer{Host: bsf.Host, Realm: bsf.Realm, Address: netip.AddrPortFrom(t.AddressFrom(from, name), bsf.Port)}
}

// replicationPort is where a home agent listens for its standby, TCP.
const replicationPort = 4193

// replication says how a home agent is one of a pair; nil: it is not.
func replication(t *topologies.Topology, name string) *control.Replication {
	for i := range t.Nodes {
		h := t.Nodes[i].HomeAgent
		if h == nil || h.StandbyFor == "" || h.StandbyFor != name && t.Nodes[i].Name != name {
			continue
		}
		standby, active := &t.Nodes[i], t.Node(h.StandbyFor)
		link := replicationLink(t, active, standby)
		r := &control.Replication{
			IsStandby: standby.Name == name,
			Active:    netip.AddrPortFrom(active.Interface(link).Addresses[0].Addr(), replicationPort),
			Standby:   standby.Interface(link).Addresses[0].Addr(),
			Key:       h.ReplicationKey,
			Heartbeat: h.Heartbeat,
			Alone:     len(t.Link(link).Ends) == 2,
		}
		for _, in := range active.Interfaces {
			if own := t.Node(name).Interface(in.Link); own != nil && !(r.Alone && in.Link == link) {
				for _, p := range in.Addresses {
					r.Addresses = append(r.Addresses, control.DevAddress{Dev: own.Name, Address: p})
				}
			}
		}
		return r
	}
	return nil
}

// replicationLink is the link over which a home agent tells its standby all: the
// first in the file that nobody else is on, else the first that both are on. A
// standby is on every link of the other, so there is one.
func replicationLink(t *topologies.Topology, active, standby *topologies.Node) string {
	var first string
	for _, l := range t.Links {
		if active.Interface(l.Name) == nil || standby.Interface(l.Name) == nil {
			continue
		}
		if len(l.Ends) == 2 {
			return l.Name
		}
		if first == "" {
			first = l.Name
		}
	}
	return first
}

func aaa(t *topologies.Topology, n *topologies.Node) *control.AAA {
	c := &control.AAA{
		Host:        n.AAA.Host,
		Realm:       n.AAA.Realm,
		Watchdog:    n.AAA.Watchdog,
		KeyLifetime: n.AAA.KeyLifetime,
		Listen:      listen(n, n.AAA.Port),
		Timeout:     n.AAA.HSSTimeout,
		Security:    security(t),
	}
	if len(n.AAA.Clients) > 0 {
		c.RADIUS = radius(t, n)
	}
	c.BSF = bsfPeer(t, n.Name, n.AAA.BSF)
	c.HSS = homeServers(t, n.Name, n.AAA.HSS)
	for _, s := range n.AAA.Subscribers {
		subscriber := control.Subscriber{NAI: s.NAI, MNAAASPI: s.MNAAASPI, MNAAAKey: s.MNAAAKey, HomeAddress: s.HomeAddress, Barred: s.Barred}
		if s.HomeAgent != "" {
			subscriber.HomeAgent = registrar(t, t.Node(s.HomeAgent).HomeAgent)
		}
		if t.Security.Profile == "mipv4" && s.HomeAddress.IsValid() {
			subscriber.HomeAddress = homeAddress4(t, s.NAI)
		}
		c.Subscribers = append(c.Subscribers, subscriber)
	}
	return c
}

// registrar is the address of a home agent by which servers and mobile nodes know it.
func registrar(t *topologies.Topology, h *topologies.HomeAgent) netip.Addr {
	if t.Security.Profile == "mipv4" {
		return h.Address4
	}
	return h.Address
}

// homeAddress4 is the IPv4 home address of a mobile node; not valid: there is none.
func homeAddress4(t *topologies.Topology, nai string) netip.Addr {
	for i := range t.Nodes {
		if m := t.Nodes[i].MobileNode; m != nil && m.NAI == nai {
			return m.HomeAddress4
		}
	}
	return netip.Addr{}
}

// portRADIUS is where an AAA server is asked by RADIUS: UDP; RFC 2865, section 3.
const portRADIUS = 1812

// radius is how an AAA server is asked by home agents, each from all its addresses.
func radius(t *topologies.Topology, n *topologies.Node) *control.RADIUSServer {
	r := &control.RADIUSServer{Listen: listen(n, portRADIUS)}
	for _, client := range n.AAA.Clients {
		node := t.Node(client.Node)
		h := node.HomeAgent
		if h.StandbyFor != "" { // it is the other, once it serves
			h = t.Node(h.StandbyFor).HomeAgent
		}
		c := control.RADIUSClient{Host: h.Host, Secret: client.Secret, HomeAgent: h.Address}
		for _, i := range node.Interfaces {
			for _, p := range i.Addresses {
				c.Addresses = append(c.Addresses, netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
			}
		}
		r.Clients = append(r.Clients, c)
	}
	return r
}

// listen is where a server of a node is to be reached: at all its addresses.
func listen(n *topologies.Node, port uint16) (all []netip.AddrPort) {
	for _, i := range n.Interfaces {
		for _, p := range i.Addresses {
			all = append(all, netip.AddrPortFrom(p.Addr(), port))
		}
	}
	return all
}

// storeFile is where an HSS keeps its subscribers, in a file system of its own.
const storeFile = netns.Scratch + "/hss.sqlite"

func hss(n *topologies.Node) *control.HSS {
	c := &control.HSS{Host: n.HSS.Host, Realm: n.HSS.Realm, Listen: listen(n, n.HSS.Port), Watchdog: n.HSS.Watchdog, Store: storeFile}
	for _, s := range n.HSS.Subscriptions {
		subscription := control.Subscription{NAI: s.NAI, IMSI: s.IMSI, K: s.K, OPc: s.OPc, OP: s.OP, AMF: s.AMF, SQN: s.SQN, Barred: s.Barred}
		for _, a := range s.APNs {
			subscription.APNs = append(subscription.APNs, control.APN(a))
		}
		c.Subscriptions = append(c.Subscriptions, subscription)
	}
	return c
}

func router(t *topologies.Topology, n *topologies.Node) *control.Router {
	return &control.Router{Host: n.Router.Host, Realm: n.Router.Realm, Watchdog: n.Router.Watchdog, Timeout: n.Router.AAATimeout, AAA: authorities(t, n.Name, n.Router.AAA)}
}

func nat(n *topologies.Node) *control.NAT {
	c := &control.NAT{Ports: control.Ports(n.NAT.Ports), RandomPorts: n.NAT.RandomPorts, UDPTimeout: n.NAT.UDPTimeout}
	for _, link := range n.NAT.Inside {
		c.Inside = append(c.Inside, n.Interface(link).Name)
	}
	return c
}

// dhcp is what a node gives at its end of a link.
func dhcp(i *topologies.Interface) (*control.DHCP4, *control.DHCP6) {
	var four *control.DHCP4
	var six *control.DHCP6
	if d := i.DHCP4; d != nil {
		four = &control.DHCP4{Address: d.Address, Prefix: d.Prefix, First: d.Pool.First, Last: d.Pool.Last, DNS: d.DNS, Domain: d.Domain, Lease: d.Lease}
		for _, one := range d.Reserved {
			four.Reserved = append(four.Reserved, control.Reservation{MAC: net.HardwareAddr(one.MAC[:]).String(), Address: one.Address})
		}
	}
	if d := i.DHCP6; d != nil {
		six = &control.DHCP6{Prefix: d.Prefix, First: d.Pool.First, Last: d.Pool.Last, DNS: d.DNS, Domain: d.Domain, Lease: d.Lease}
		if d.Home != nil {
			home := control.HomeNetwork(*d.Home)
			six.Home = &home
		}
	}
	return four, six
}

func nameServer(d *topologies.DNS) *control.DNS {
	c := &control.DNS{Domain: d.Domain}
	for _, r := range d.Records {
		c.Records = append(c.Records, control.DNSRecord(r))
	}
	return c
}
