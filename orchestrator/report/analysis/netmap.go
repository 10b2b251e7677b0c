package analysis

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"s2clab/topologies"
)

// A netmap knows the ways through a topology and how long light, as the links
// were configured, takes along them.
type netmap struct {
	nodes map[string]*topologies.Node
	links map[string]*topologies.Link
	order []string // nodes, as the topology has them
	owner map[string]string

	changed []delayChange // while the run went on, in the order of time
	now     time.Duration // for which delays are asked
}

// A delayChange is a link whose delay was changed in the run.
type delayChange struct {
	at         time.Duration
	link, from string // from is empty where all ends are meant
	delay      time.Duration
}

func newMap(t *topologies.Topology) *netmap {
	m := &netmap{nodes: map[string]*topologies.Node{}, links: map[string]*topologies.Link{}, owner: map[string]string{}}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		m.nodes[n.Name] = n
		m.order = append(m.order, n.Name)
		for _, in := range n.Interfaces {
			for _, p := range in.Addresses {
				m.own(p.Addr(), n.Name)
			}
		}
		if n.MobileNode != nil {
			m.own(n.MobileNode.HomeAddress, n.Name)
			m.own(n.MobileNode.HomeAddress4, n.Name)
		}
		if n.HomeAgent != nil {
			m.own(n.HomeAgent.Address, n.Name)
		}
	}
	for i := range t.Links {
		m.links[t.Links[i].Name] = &t.Links[i]
	}
	return m
}

func (m *netmap) own(a netip.Addr, node string) {
	if a.IsValid() {
		m.owner[a.String()] = node
	}
}

// forwards says whether a node hands on packets of others.
func (m *netmap) forwards(node string) bool {
	n := m.nodes[node]
	return n != nil && (n.Router != nil || n.HomeAgent != nil || n.Forwards())
}

// across is the delay from one end of a link to the others.
func (m *netmap) across(link, from string) time.Duration {
	l := m.links[link]
	if l == nil {
		return 0
	}
	for _, c := range slices.Backward(m.changed) {
		if c.at <= m.now && c.link == link && (c.from == "" || c.from == from) {
			return max(c.delay, 0)
		}
	}
	return max(l.From[from].Delay, 0)
}

// oneWay is the shortest time from one node to another. The first link is the
// one named, where one is, and last is the link by which it must arrive.
func (m *netmap) oneWay(from, first, to, last string) (time.Duration, bool) {
	if from == to {
		return 0, true
	}
	type way struct {
		node string
		cost time.Duration
	}
	done := map[string]bool{}
	todo := []way{{from, 0}}
	for len(todo) > 0 {
		i := 0
		for j := range todo {
			if cmp.Or(cmp.Compare(todo[j].cost, todo[i].cost), cmp.Compare(todo[j].node, todo[i].node)) < 0 {
				i = j
			}
		}
		here := todo[i]
		todo = slices.Delete(todo, i, i+1)
		if done[here.node] {
			continue
		}
		done[here.node] = true
		if here.node == to {
			return here.cost, true
		}
		if here.node != from && !m.forwards(here.node) {
			continue
		}
		n := m.nodes[here.node]
		if n == nil {
			continue
		}
		for _, in := range n.Interfaces {
			l := m.links[in.Link]
			if l == nil || here.node == from && first != "" && in.Link != first {
				continue
			}
			for _, end := range l.Ends {
				if done[end] || end == to && last != "" && in.Link != last {
					continue
				}
				todo = append(todo, way{end, here.cost + m.across(in.Link, here.node)})
			}
		}
	}
	return 0, false
}

// roundTrip is the shortest time from a node over a link to another and back.
func (m *netmap) roundTrip(from, link, to string) (time.Duration, bool) {
	there, ok := m.oneWay(from, link, to, "")
	if !ok {
		return 0, false
	}
	back, ok := m.oneWay(to, "", from, link)
	return there + back, ok
}

// addressServer is the node that gives IPv4 or IPv6 addresses on a link by DHCP.
func (m *netmap) addressServer(link string, four bool) (string, bool) {
	l := m.links[link]
	if l == nil {
		return "", false
	}
	for _, end := range l.Ends {
		if n := m.nodes[end]; n != nil {
			for _, in := range n.Interfaces {
				if in.Link == link && (four && in.DHCP4 != nil || !four && in.DHCP6 != nil) {
					return end, true
				}
			}
		}
	}
	return "", false
}

// router is the node that advertises itself on a link, or gives IPv4 addresses
// there, the nearest one.
func (m *netmap) router(link, mobile string) (string, bool) {
	l := m.links[link]
	if l == nil {
		return "", false
	}
	best, found := "", false
	for _, end := range l.Ends {
		n := m.nodes[end]
		if n == nil || end == mobile {
			continue
		}
		for _, in := range n.Interfaces {
			if in.Link == link && (in.Advertise != nil || in.DHCP4 != nil) && (!found || m.across(link, end) < m.across(link, best)) {
				best, found = end, true
			}
		}
	}
	return best, found
}

// mobiles are the mobile nodes, as the topology has them.
func (m *netmap) mobiles() []string {
	var all []string
	for _, name := range m.order {
		if n := m.nodes[name]; n.MobileNode != nil || n.Role == "mn" {
			all = append(all, name)
		}
	}
	return all
}

// homeAgent is a mobile's.
func (m *netmap) homeAgent(mobile string) (*topologies.Node, bool) {
	n := m.nodes[mobile]
	if n == nil || n.MobileNode == nil {
		return nil, false
	}
	ha := m.nodes[n.MobileNode.HomeAgent]
	return ha, ha != nil
}

// isAccess says whether a mobile node is at an end of a link.
func (m *netmap) isAccess(link string) bool {
	l := m.links[link]
	return l != nil && slices.ContainsFunc(l.Ends, func(end string) bool {
		n := m.nodes[end]
		return n != nil && (n.MobileNode != nil || n.Role == "mn")
	})
}
