// Package discovery finds home agents for a mobile node: as it was told, by dynamic
// home agent address discovery (RFC 6275, section 11.4.1), in the DNS by name and by
// service (RFC 5026, section 5.1; RFC 5555, section 2.1), and by DHCP (RFC 6610).
//
// Its Search is a machine without sockets or clocks: messages and times go in,
// questions and home agents come out. Which home agent takes the mobile node is found
// out elsewhere. Names are read and written by github.com/miekg/dns.
package discovery

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/session/dhcp6"
	"s2clab/nodes/wire/icmp6"
)

// A Method is a way to find home agents.
type Method string

// The methods.
const (
	Static     Method = "static"  // they are known beforehand
	DHAAD      Method = "dhaad"   // asked for at the anycast address of the home prefix
	DNSName    Method = "dns"     // the addresses of a name
	DNSService Method = "dns-srv" // the names that give a service, and their addresses
	DHCP       Method = "dhcp"    // the access tells: RFC 6611, section 3
)

// Methods are all of them.
var Methods = []Method{Static, DHAAD, DNSName, DNSService, DHCP}

// maxAgents are kept of what a method finds.
const maxAgents = 8

// DefaultRetry is how long a search that has found nothing waits before it begins
// anew. RFC 5026, section 5.1.2, leaves the time to the mobile node.
const DefaultRetry = 30 * time.Second

// An Agent is a home agent as mobile nodes know it.
type Agent struct {
	Address  netip.Addr // IPv6
	Address4 netip.Addr // not valid: not known
}

// A Config is what a mobile node knows of its home network before it has found a
// home agent there.
type Config struct {
	Methods []Method // in the order in which they are tried
	Agents  []Agent  // of Static, the preferred one first

	Prefix  netip.Prefix // the home prefix, of 64 bits: for DHAAD; not valid: not known
	Name    string       // FQDN of the home agent: for DNSName
	Domain  string       // that gives the service: for DNSService
	Network string       // FQDN of the home network: for DHCP; empty: any will do

	Servers []netip.Addr  // DNS servers to ask before those that the access tells
	Retry   time.Duration // 0: DefaultRetry
}

// An Input is one of Started, Stopped, Rejected, Replied, Answered and Informed.
type Input interface{ input() }

// Started begins a search, in place of one under way.
type Started struct {
	Source  netip.Addr   // the care-of address; at home the home address
	Servers []netip.Addr // DNS servers that the access tells, of the family of Source
	DHCP    bool         // a router says that configuration comes by DHCP for IPv6
}

// Stopped ends the search.
type Stopped struct{}

// Rejected says that none of the home agents found takes the mobile node.
type Rejected struct{}

// Replied is an ICMPv6 message that came to the mobile node.
type Replied struct {
	From, To netip.Addr
	Reply    *icmp6.HomeAgentReply
}

// Answered is what came from a DNS server.
type Answered struct {
	Server netip.AddrPort
	TCP    bool
	Octets []byte // is not kept
}

// Informed is what a DHCP server has told.
type Informed struct{ Configuration dhcp6.Configuration }

func (Started) input()  {}
func (Stopped) input()  {}
func (Rejected) input() {}
func (Replied) input()  {}
func (Answered) input() {}
func (Informed) input() {}

// An Output is one of Solicit, Ask, Inform, Found, Failed and Ignored.
type Output interface{ output() }

// Solicit sends a Home Agent Address Discovery Request.
type Solicit struct {
	Source, To netip.Addr
	Request    *icmp6.HomeAgentRequest
}

// Ask sends a message to a DNS server, from a port that nobody can guess: RFC 5452,
// section 9.2.
type Ask struct {
	Source netip.Addr
	Server netip.AddrPort
	TCP    bool
	Octets []byte
}

// Inform asks DHCP servers for configuration, and goes on until Informed or Forget.
type Inform struct{}

// Forget ends Inform.
type Forget struct{}

// Begun says that a method is tried.
type Begun struct{ Method Method }

// Found says which home agents there are, the preferred one first. The search waits
// for Rejected or Stopped.
type Found struct {
	Method Method
	Agents []Agent
}

// Failed says that a method has found none. The next is tried; after the last, all
// of them again.
type Failed struct {
	Method Method
	Reason string
	Retry  time.Duration // until all are tried again; 0: the next follows at once
}

// Ignored says that a message was not acted on.
type Ignored struct{ Reason, Source string }

func (Solicit) output() {}
func (Ask) output()     {}
func (Inform) output()  {}
func (Forget) output()  {}
func (Begun) output()   {}
func (Found) output()   {}
func (Failed) output()  {}
func (Ignored) output() {}

// A Search looks for home agents by one method after the other. Its owner calls Step
// for each Input, and Tick at the time Deadline gives.
type Search struct {
	cfg  Config
	rand *rand.Rand

	active bool
	at     Started // where it is
	method int     // the present one, of cfg.Methods
	found  bool    // by it; then nothing is under way
	asked  bool    // DHCP, for DNS servers

	request request
	lookup  *lookup   // nil: none
	inform  time.Time // when to give up on DHCP; zero: it was not asked
	retryAt time.Time // when to begin anew; zero: not

	out []Output
}

// New makes a Search. Random choices come from r.
func New(cfg Config, r *rand.Rand) (*Search, error) {
	if len(cfg.Methods) == 0 {
		return nil, fmt.Errorf("discovery: no method; want some of %v", Methods)
	}
	for _, m := range cfg.Methods {
		if !slices.Contains(Methods, m) {
			return nil, fmt.Errorf("discovery: method %q: want one of %v", m, Methods)
		}
	}
	if cfg.Retry == 0 {
		cfg.Retry = DefaultRetry
	}
	return &Search{cfg: cfg, rand: r}, nil
}

// Active says whether the search goes on, if only to begin anew some time.
func (s *Search) Active() bool { return s.active && !s.found }

// Step takes one Input that happened at now. The Outputs are the caller's until it
// calls Step or Tick again.
func (s *Search) Step(now time.Time, in Input) []Output {
	s.out = nil
	switch in := in.(type) {
	case Started:
		s.quit()
		s.active, s.at, s.found, s.asked = true, in, false, false
		s.try(now, 0)
	case Stopped:
		s.quit()
		s.active = false
	case Rejected:
		if s.active && s.found {
			s.found = false
			s.fail(now, "no home agent takes this node")
		}
	case Replied:
		s.replied(now, &in)
	case Answered:
		s.answered(now, &in)
	case Informed:
		if !s.inform.IsZero() {
			s.inform = time.Time{}
			s.informed(now, &in.Configuration)
		}
	default:
		panic(fmt.Sprintf("discovery: no rule for %T", in))
	}
	return s.out
}

// Tick does what is due at now, and nothing before Deadline.
func (s *Search) Tick(now time.Time) []Output {
	s.out = nil
	switch {
	case due(s.retryAt, now):
		s.retryAt, s.asked = time.Time{}, false
		s.try(now, 0)
	case due(s.request.at, now):
		s.solicitAgain(now)
	case due(s.inform, now):
		s.fail(now, "no DHCP server tells of any")
	case s.lookup != nil:
		s.tickLookup(now)
	}
	return s.out
}

// Deadline is when Tick has something to do; zero: never, as things stand.
func (s *Search) Deadline() time.Time {
	d := earliest(earliest(s.retryAt, s.request.at), s.inform)
	if s.lookup != nil {
		d = earliest(d, s.lookup.deadline())
	}
	return d
}

func (s *Search) do(o Output) { s.out = append(s.out, o) }

// quit ends what is under way.
func (s *Search) quit() {
	if !s.inform.IsZero() {
		s.do(Forget{})
	}
	s.request, s.lookup, s.inform, s.retryAt = request{}, nil, time.Time{}, time.Time{}
}

// try begins the method with that number.
func (s *Search) try(now time.Time, number int) {
	s.method = number
	method := s.cfg.Methods[number]
	s.do(Begun{method})
	six := s.at.Source.Is6()
	switch {
	case method == Static:
		s.find(now, s.cfg.Agents)
	case method == DNSName:
		s.resolve(now, s.cfg.Name)
	case method == DNSService:
		s.resolveService(now, s.cfg.Domain)
	case !six: // RFC 5555, section 2.1
		s.fail(now, "it does not go by IPv4")
	case method == DHAAD:
		s.solicit(now)
	case !s.at.DHCP:
		s.fail(now, "no router says that there is DHCP")
	default:
		s.askDHCP(now)
	}
}

// fail ends the present method without a home agent.
func (s *Search) fail(now time.Time, reason string) {
	s.quit()
	method := s.cfg.Methods[s.method]
	if s.method+1 < len(s.cfg.Methods) {
		s.do(Failed{Method: method, Reason: reason})
		s.try(now, s.method+1)
		return
	}
	s.do(Failed{Method: method, Reason: reason, Retry: s.cfg.Retry})
	s.retryAt = now.Add(s.cfg.Retry)
}

// find ends the present method with what it has found. By IPv4 a home agent is of
// use whose IPv4 address is known; its IPv6 address is needed at any rate, as Binding
// Updates go to it (RFC 5555, section 4.4.2).
func (s *Search) find(now time.Time, all []Agent) {
	var agents []Agent
	for _, a := range all {
		if !reachable(a.Address4) || !a.Address4.Is4() {
			a.Address4 = netip.Addr{}
		}
		if !reachable(a.Address) || !a.Address.Is6() || s.at.Source.Is4() && !a.Address4.IsValid() {
			continue
		}
		if !slices.ContainsFunc(agents, func(b Agent) bool { return b.Address == a.Address }) && len(agents) < maxAgents {
			agents = append(agents, a)
		}
	}
	switch {
	case len(agents) > 0:
		s.quit()
		s.found = true
		s.do(Found{Method: s.cfg.Methods[s.method], Agents: agents})
	case len(all) > 0 && s.at.Source.Is4():
		s.fail(now, "none with an IPv6 address has an IPv4 one too")
	case len(all) > 0:
		s.fail(now, "none has an IPv6 address of use")
	default:
		s.fail(now, "there is none")
	}
}

// reachable says whether a can be the address of a home agent.
func reachable(a netip.Addr) bool {
	return a.IsValid() && !a.Is4In6() && a.IsGlobalUnicast() && a.Zone() == ""
}

// due says whether something is set for at and now is not before it.
func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// earliest is the earlier of two times, of which a zero one is none at all.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
