package topologies

// A Relay is what a Node adds that has a Diameter relay on it which is not of this
// lab: whoever uses the lab runs one there.
type Relay struct {
	Host, Realm string // Diameter identity
	Port        uint16 // TCP: 3868
}

// relays says which nodes reach those that they ask by Diameter through a relay
// alone, and what others know of that.
func (r *resolver) relays() {
	for _, d := range r.order {
		given := d.value.Get("diameter-relay")
		relay := r.one(given, "cn", "Diameter relay")
		if relay == nil {
			continue
		}
		if servers, key, what := d.node.asks(); len(servers) == 0 {
			r.complain(given, "leave it out, or write "+key, "%s asks no %s that a Diameter relay could lead to", d.node.Name, what)
			continue
		}
		n := relay.node
		d.node.ByRelay = n.Name
		if n.Relay == nil {
			n.Relay = &Relay{Port: uint16(choice(r, n.Line, relay.value, "nodes."+n.Name, "port", int64(diameterPort)))}
			n.Relay.Realm, n.Relay.Host = r.identity(relay)
		}
	}
	for _, d := range r.order {
		if d.node.Role != "cn" || d.node.Relay != nil {
			continue
		}
		for _, key := range []string{"host", "realm", "port"} {
			if v := d.value.Get(key); v.Good() {
				r.complain(v, "write diameter-relay: "+d.node.Name+" at a node that is to ask through it", "%s is of a Diameter relay, and nobody asks through %s", v.Path, d.node.Name)
			}
		}
	}
}

// neighbours is whom a node connects with to ask by Diameter: its servers, or the
// relay before them.
func (n *Node) neighbours() (nodes []string, key, what string) {
	if n.ByRelay != "" {
		return []string{n.ByRelay}, "diameter-relay", "Diameter relay"
	}
	return n.asks()
}
