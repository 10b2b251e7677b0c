package discovery

import (
	"net/netip"
	"strings"
	"time"

	"s2clab/nodes/session/dhcp6"
)

// informPatience is how long DHCP servers have to tell of home networks: three
// Information-requests, after 1 s and twice as long each time (RFC 8415, section
// 18.2.6).
const informPatience = 7 * time.Second

func (s *Search) askDHCP(now time.Time) {
	s.inform = now.Add(informPatience)
	s.do(Inform{})
}

// informed takes what a DHCP server tells: home networks, or DNS servers for a method
// that asks those.
func (s *Search) informed(now time.Time, c *dhcp6.Configuration) {
	switch method := s.cfg.Methods[s.method]; {
	case method != DHCP && len(c.DNS) == 0:
		s.fail(now, "no DNS server is known")
	case method != DHCP:
		s.at.Servers = append(s.at.Servers, c.DNS...)
		s.try(now, s.method)
	default:
		s.networks(now, c)
	}
}

// networks takes the home agents of the home network: addresses, or names that are
// looked for.
func (s *Search) networks(now time.Time, c *dhcp6.Configuration) {
	var agents []Agent
	var names []string
	for _, h := range c.Home {
		if s.cfg.Network != "" && h.Identifier != "" && !strings.EqualFold(h.Identifier, s.cfg.Network) {
			continue
		}
		agents = append(agents, pair(h.Agents)...)
		names = append(names, h.Names...)
	}
	usable := false
	for _, a := range agents {
		usable = usable || reachable(a.Address)
	}
	if usable || len(names) == 0 {
		s.find(now, agents)
		return
	}
	s.at.Servers = append(s.at.Servers, c.DNS...)
	s.resolve(now, names...)
}

// pair makes home agents of addresses of both families: the first IPv6 address goes
// with the first IPv4 one, and so on. An IPv4 address alone stays alone.
func pair(all []netip.Addr) []Agent {
	var six, four []netip.Addr
	for _, a := range all {
		if a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	agents := make([]Agent, max(len(six), len(four)))
	for i := range agents {
		if i < len(six) {
			agents[i].Address = six[i]
		}
		if i < len(four) {
			agents[i].Address4 = four[i]
		}
	}
	return agents
}
