package mn

import (
	"errors"
	"net/netip"

	"s2clab/nodes/host"
)

// enterAccess4 is enterAccess, for IPv4. Applications' packets do not go there:
// they have the IPv4 home address, and no route of the main table leads to it.
func (k *kernel) enterAccess4(o EnterAccess, table int) error {
	c := k.host.Changes()
	c.AddAddress(o.Dev, o.Address, host.AddressFlags{NoPrefixRoute: true})
	c.ReplaceRoute(host.Route{To: o.Address.Masked(), Dev: o.Dev, Src: o.Address.Addr(), Table: table})
	if o.Router.IsValid() {
		neighbor(c, o.Dev, o.Router, o.LinkLayer)
		c.ReplaceRoute(host.Route{To: anywhere4, Dev: o.Dev, Via: o.Router, Src: o.Address.Addr(), Table: table})
	}
	c.AddRule(rule(o.Address.Addr(), table))
	return c.Do()
}

var anywhere4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

// homeRoutes4 are the ways of applications by IPv4 through the home link.
func homeRoutes4(dev string, home netip.Prefix, router netip.Addr) []host.Route {
	routes := []host.Route{{To: home.Masked(), Dev: dev, Src: home.Addr(), Metric: metricHome}}
	if router.IsValid() {
		routes = append(routes, host.Route{To: anywhere4, Dev: dev, Via: router, Src: home.Addr(), Metric: metricHome})
	}
	return routes
}

// useHome4 puts the IPv4 home address on the home link, and tells everyone there
// whose it is, since the home agent may have answered for it: RFC 5555, section
// 4.5.
func (k *kernel) useHome4(o UseHome4) error {
	k.router4 = o.Router
	c := k.host.Changes()
	if o.Router.IsValid() {
		neighbor(c, o.Dev, o.Router, o.LinkLayer)
	}
	c.AddAddress(o.Dev, o.Address, host.AddressFlags{NoPrefixRoute: true})
	for _, r := range homeRoutes4(o.Dev, o.Address, o.Router) {
		c.ReplaceRoute(r)
	}
	return errors.Join(c.Do(), k.arp.Announce(o.Dev, o.Address.Addr()))
}

func (k *kernel) leaveHome4(o LeaveHome4) error {
	var err error
	for _, r := range homeRoutes4(o.Dev, o.Address, k.router4) {
		err = errors.Join(err, k.host.RemoveRoute(r))
	}
	return errors.Join(err, k.host.RemoveAddress(o.Dev, o.Address))
}
