package topologies

import (
	"slices"

	"s2clab/topologies/strict"
)

// optimizers says who does route optimization, and mobile nodes with whom.
func (r *resolver) optimizers() {
	for _, d := range r.order {
		v := d.value.Get("route-optimization")
		switch {
		case d.node.Role == "cn":
			d.node.Correspondent = &Correspondent{RouteOptimization: strict.Or(v, false)}
			if v.Good() && !strict.Is[bool](v) && d.index == 0 {
				r.complain(v, "write route-optimization: true", "%s: a correspondent does not choose with whom", v.Path)
			}
		case d.node.MobileNode != nil:
			d.node.MobileNode.RouteOptimization = v.Good() && strict.Or(v, true)
		}
	}
	for _, d := range r.order {
		if m := d.node.MobileNode; m != nil && m.RouteOptimization {
			r.peers(d, d.value.Get("route-optimization"))
		}
	}
}

// peers says with whom a mobile node does route optimization.
func (r *resolver) peers(d *draft, v *strict.Value) {
	m := d.node.MobileNode
	if strict.Is[bool](v) {
		for _, other := range r.order {
			if other.node.knowsRouteOptimization() && other.node.Role == "cn" {
				m.Peers = append(m.Peers, other.node.Name)
			}
		}
		if m.Peers == nil && d.index == 0 {
			r.complain(v, "write route-optimization: true at a cn, or leave it out here", "%s: there is no correspondent that knows route optimization", v.Path)
			return
		}
		r.choose(d.node.Line, "nodes."+d.node.Name+".route-optimization", list(m.Peers), "the correspondents that know it")
		return
	}
	for _, item := range v.Items() {
		if !item.Good() {
			continue
		}
		names := r.t.Groups[item.Text]
		if r.nodes[item.Text] != nil {
			names = []string{item.Text}
		}
		if names == nil {
			r.complain(item, strict.Suggest(item.Text, "nodes that know it", r.able()), "%s: %q is not a node of this topology", v.Path, item.Text)
			continue
		}
		for _, name := range names {
			switch other := r.nodes[name].node; {
			case other == d.node && len(names) > 1: // one of a group with the others of it
			case other == d.node:
				r.complain(item, "name others", "%s: %q is the mobile node itself", v.Path, name)
			case !other.knowsRouteOptimization():
				hint := "write route-optimization: true there"
				if other.Role != "cn" && other.Role != "mn" {
					hint = strict.Suggest("", "nodes that know it", r.able())
				}
				if d.index == 0 {
					r.complain(item, hint, "%s: %q does not know route optimization", v.Path, name)
				}
			case slices.Contains(m.Peers, name):
				r.complain(item, "leave it out", "%q stands twice", name)
			default:
				m.Peers = append(m.Peers, name)
			}
		}
	}
}

// able are the nodes that know route optimization.
func (r *resolver) able() (names []string) {
	for _, d := range r.order {
		if d.node.knowsRouteOptimization() {
			names = append(names, d.node.Name)
		}
	}
	return names
}

func (n *Node) knowsRouteOptimization() bool {
	return n.Correspondent != nil && n.Correspondent.RouteOptimization || n.MobileNode != nil && n.MobileNode.RouteOptimization
}
