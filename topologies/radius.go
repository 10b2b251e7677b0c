package topologies

import (
	"slices"

	"s2clab/topologies/strict"
)

// A RADIUSClient is a node that asks an AAA server by RADIUS, and the secret that the
// server shares with it.
type RADIUSClient struct {
	Node   string
	Secret []byte
}

// asksByRADIUS says whether home agents ask AAA servers by RADIUS, in place of Diameter.
func (s Security) asksByRADIUS() bool { return s.method() == "3gpp2" || s.method() == "wimax" }

// secrets gives home agents and AAA servers the secrets that they share. A standby has
// those of the home agent in whose place it comes: it asks from the same addresses.
func (r *resolver) secrets() {
	s := r.t.Security
	for _, d := range r.order {
		ha, v := d.node.HomeAgent, d.value.Get("radius-secret")
		switch {
		case ha == nil:
			continue
		case !s.asksByRADIUS():
			if v.Good() {
				r.choose(d.node.Line, v.Path, "of no use", "home agents ask by RADIUS in the profiles 3gpp2 and wimax")
			}
			continue
		}
		owner := d.node.Name
		if ha.StandbyFor != "" {
			owner = ha.StandbyFor
		}
		right := r.derive("radius-secret", owner)
		ha.RADIUSSecret = strict.Or(v, right)
		if !slices.Equal(ha.RADIUSSecret, right) {
			r.choose(d.node.Line, v.Path, "not the one that the AAA servers have", "as written")
		} else {
			r.choose(d.node.Line, "nodes."+d.node.Name+".radius-secret", "made from its name: for labs only", "")
		}
		for _, name := range ha.AAA {
			aaa := r.nodes[name].node.AAA
			aaa.Clients = append(aaa.Clients, RADIUSClient{Node: d.node.Name, Secret: right})
		}
	}
}
