package lab

import (
	"fmt"
	"net/netip"
	"strings"

	"s2clab/topologies"
)

// hosts is the text of /etc/hosts in each node, by name: every node with the
// addresses that mean it there. What is behind a NAT has no name outside.
func hosts(t *topologies.Topology) map[string]string {
	realms := t.Realms()
	all, texts := map[string]string{}, map[string]string{}
	for _, n := range t.Nodes {
		view := realms.View(n.Name)
		if _, known := texts[view]; !known {
			texts[view] = hostsSeen(t, func(link string) bool { return realms.Sees(n.Name, link) })
		}
		all[n.Name] = texts[view]
	}
	return all
}

func hostsSeen(t *topologies.Topology, seen func(link string) bool) string {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
	for _, n := range t.Nodes {
		if m := n.MobileNode; m != nil {
			fmt.Fprintf(&b, "%v %s\n", m.HomeAddress, n.Name)
			if m.HomeAddress4.IsValid() {
				fmt.Fprintf(&b, "%v %s\n", m.HomeAddress4, n.Name)
			}
		}
		named := map[netip.Addr]bool{}
		for _, i := range n.Interfaces {
			for _, p := range i.Addresses {
				if a := p.Addr(); !named[a] && (a.Is6() || seen(i.Link)) {
					fmt.Fprintf(&b, "%v %s\n", a, n.Name)
					named[a] = true
				}
			}
		}
	}
	return b.String()
}

// resolver is the text of /etc/resolv.conf in a node; empty where there is nobody
// that it could ask.
func resolver(t *topologies.Topology, node string) string {
	servers, domain := t.Resolver(node)
	if len(servers) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "search %s\n", domain)
	for _, a := range servers[:min(len(servers), mostServers)] {
		fmt.Fprintf(&b, "nameserver %v\n", a)
	}
	return b.String()
}

// mostServers is how many servers a resolver reads of.
const mostServers = 3

func nodeNames(t *topologies.Topology) []string {
	names := make([]string, len(t.Nodes))
	for i, n := range t.Nodes {
		names[i] = n.Name
	}
	return names
}

func linkNames(t *topologies.Topology) []string {
	names := make([]string, len(t.Links))
	for i, l := range t.Links {
		names[i] = l.Name
	}
	return names
}
