package lab

import (
	"fmt"
	"net/netip"
	"strings"

	"s2clab/topologies"
)

// hosts is the text of /etc/hosts in every node of the lab.
func hosts(t *topologies.Topology) string {
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
				if !named[p.Addr()] {
					fmt.Fprintf(&b, "%v %s\n", p.Addr(), n.Name)
					named[p.Addr()] = true
				}
			}
		}
	}
	return b.String()
}

func nodeNames(t *topologies.Topology) string {
	names := make([]string, len(t.Nodes))
	for i, n := range t.Nodes {
		names[i] = n.Name
	}
	return strings.Join(names, ", ")
}

func linkNames(t *topologies.Topology) string {
	names := make([]string, len(t.Links))
	for i, l := range t.Links {
		names[i] = l.Name
	}
	return strings.Join(names, ", ")
}
