package diampeer

import (
	"fmt"
	"slices"
	"strings"

	"s2clab/nodes/wire/diameter"
)

// route builds the routing table.
func (c *Client) route(table []Route) error {
	c.routes = map[string][]int{}
	if len(table) == 0 {
		for i := range c.peers {
			c.anyone = append(c.anyone, i)
		}
	}
	for _, r := range table {
		var ways []int
		for _, host := range r.Hosts {
			i := c.named(host)
			if i < 0 {
				return fmt.Errorf("route of realm %q: %q is not one of the Diameter servers", r.Realm, host)
			}
			ways = append(ways, i)
		}
		realm := strings.ToLower(r.Realm)
		if _, twice := c.routes[realm]; twice {
			return fmt.Errorf("realm %q has two routes", r.Realm)
		}
		if c.routes[realm] = ways; realm == "" {
			c.anyone = ways
		}
	}
	return nil
}

// named finds a server by its Diameter identity; -1: there is none.
func (c *Client) named(host string) int {
	return slices.IndexFunc(c.peers, func(p *peer) bool { return strings.EqualFold(p.host, host) })
}

// waysTo gives the servers by which a realm, or a host in it, may be reached, the
// preferred one first, and the one that is the host; -1: none is.
func (c *Client) waysTo(realm, host string) (ways []int, direct int) {
	ways, ok := c.routes[strings.ToLower(realm)]
	if !ok {
		ways = c.anyone
	}
	if host == "" {
		return ways, -1
	}
	direct = c.named(host)
	first := direct
	if first < 0 {
		if found, ok := c.hosts.of(host); ok {
			first = c.named(found.via)
		}
	}
	if first < 0 {
		return ways, -1
	}
	rest := slices.DeleteFunc(slices.Clone(ways), func(i int) bool { return i == first })
	return append([]int{first}, rest...), direct
}

// leads says whether a request may reach its destination by a server: where it is
// for another server, by a relay alone.
func (c *Client) leads(a *asked, i int) bool {
	return a.direct < 0 || i == a.direct || c.peers[i].told.Offers(diameter.Relay)
}

// heard takes note of who is reached by a server.
func (c *Client) heard(i int, m *diameter.Message) {
	c.hosts.hear(valueOf(m, diameter.OriginHost), valueOf(m, diameter.OriginRealm), c.peers[i].host)
}
