// Package advertise is a router that makes itself known on one link: RFC 4861,
// section 6.2, with the intervals of RFC 6275, section 7.5.
//
// It decides when an advertisement is due, to whom, and what it says. It opens no
// socket and does not forward; its owner sends what Step and Tick return.
package advertise

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"s2clab/nodes/wire/icmp6"
)

const (
	initialInterval = 16 * time.Second      // RFC 4861, section 10: MAX_INITIAL_RTR_ADVERT_INTERVAL
	initialCount    = 3                     // MAX_INITIAL_RTR_ADVERTISEMENTS
	groupInterval   = 30 * time.Millisecond // MIN_DELAY_BETWEEN_RAS as of RFC 6275, section 7.5
	pending         = 64                    // nodes whose solicitations wait at most

	validLifetime     = 30 * 24 * time.Hour // RFC 4861, section 6.2.1: AdvValidLifetime
	preferredLifetime = 7 * 24 * time.Hour  // AdvPreferredLifetime
)

// AllNodes is the group that unsolicited advertisements go to.
var AllNodes = netip.MustParseAddr("ff02::1")

// A Config is what a router says on a link, and how often.
type Config struct {
	Prefix      netip.Prefix     // on-link and for autoconfiguration
	Address     netip.Addr       // the router's own in Prefix, sent with the R flag: RFC 6275, section 7.2
	LinkAddress net.HardwareAddr // the router's on this link
	MTU         int              // of the link, octets
	MinInterval time.Duration    // between unsolicited advertisements
	MaxInterval time.Duration    // also told, in the Advertisement Interval option
	Delay       time.Duration    // longest random wait before an answer to a solicitation
	Lifetime    time.Duration    // as default router, whole seconds
	HomeAgent   bool             // the H flag
	Preference  uint16           // as home agent: RFC 6275, section 7.4
	Managed     bool             // the M flag: addresses come by DHCP, and not of the prefix
	Other       bool             // the O flag: configuration comes by DHCP
	DNS         []netip.Addr     // servers that nodes of the link can ask: RFC 8106; IPv6
}

// An Input is one of LinkUp, LinkDown, Solicited and Ceased.
type Input interface{ input() }

// LinkUp says that the link can carry packets, from now on or again.
type LinkUp struct{}

// LinkDown says that it cannot.
type LinkDown struct{}

// Solicited says that a valid Router Solicitation came. From may be the
// unspecified address.
type Solicited struct{ From netip.Addr }

// Ceased says that the router stops being one.
type Ceased struct{}

func (LinkUp) input()    {}
func (LinkDown) input()  {}
func (Solicited) input() {}
func (Ceased) input()    {}

// An Output is an advertisement to send now.
type Output struct {
	To    netip.Addr // AllNodes or a node that asked
	Final bool       // the router is none any more: RFC 4861, section 6.2.5
}

// A Router advertises itself on one link. Its owner calls Step for each Input,
// and Tick at the time Deadline gives. It begins with LinkUp.
type Router struct {
	cfg  Config
	rand *rand.Rand

	up      bool
	next    time.Time // of the next unsolicited advertisement
	initial int       // how many of the first ones are left
	last    time.Time // that one went to AllNodes
	answers []answer  // in no order
}

// answer is an answer to a solicitation that is due at a time.
type answer struct {
	to netip.Addr
	at time.Time
}

// New makes a Router. Random choices come from r.
func New(cfg Config, r *rand.Rand) (*Router, error) {
	switch {
	case !cfg.Prefix.IsValid() || !cfg.Prefix.Addr().Is6():
		return nil, fmt.Errorf("advertise: prefix %v: want an IPv6 prefix", cfg.Prefix)
	case cfg.Address.IsValid() && !cfg.Prefix.Contains(cfg.Address):
		return nil, fmt.Errorf("advertise: address %v is not in %v", cfg.Address, cfg.Prefix)
	case cfg.MinInterval <= 0 || cfg.MaxInterval < cfg.MinInterval:
		return nil, fmt.Errorf("advertise: interval %v to %v: want one above 0 s that does not end before it begins", cfg.MinInterval, cfg.MaxInterval)
	}
	return &Router{cfg: cfg, rand: r}, nil
}

// Message is what an advertisement says.
func (r *Router) Message(o Output) *icmp6.RouterAdvertisement {
	m := &icmp6.RouterAdvertisement{HopLimit: 64, Lifetime: r.cfg.Lifetime.Truncate(time.Second)}
	if o.Final {
		m.Lifetime = 0
	}
	if r.cfg.HomeAgent {
		m.Flags |= icmp6.HomeAgent
	}
	if r.cfg.Managed {
		m.Flags |= icmp6.ManagedAddresses
	}
	if r.cfg.Other {
		m.Flags |= icmp6.OtherConfig
	}
	if len(r.cfg.LinkAddress) > 0 {
		m.Options = append(m.Options, icmp6.SourceLinkAddress{Address: r.cfg.LinkAddress})
	}
	if r.cfg.MTU > 0 {
		m.Options = append(m.Options, icmp6.MTU{Octets: uint32(r.cfg.MTU)})
	}
	prefix := icmp6.PrefixInformation{
		Prefix: r.cfg.Prefix.Masked(), OnLink: true, Autonomous: !r.cfg.Managed,
		Valid: validLifetime, Preferred: preferredLifetime,
	}
	if r.cfg.Address.IsValid() {
		prefix.Prefix, prefix.RouterAddress = netip.PrefixFrom(r.cfg.Address, r.cfg.Prefix.Bits()), true
	}
	// Rounded up: a node may take the interval for a promise (RFC 6275, section
	// 11.5.1).
	interval := (r.cfg.MaxInterval + time.Millisecond - 1).Truncate(time.Millisecond)
	m.Options = append(m.Options, prefix, icmp6.AdvertisementInterval{Interval: interval})
	if r.cfg.HomeAgent && r.cfg.Preference != 0 && m.Lifetime > 0 { // section 7.4: not with the values by default, and not for 0 s
		m.Options = append(m.Options, icmp6.HomeAgentInformation{Preference: r.cfg.Preference, Lifetime: m.Lifetime})
	}
	if len(r.cfg.DNS) > 0 {
		// Section 5.1 of RFC 8106 has three times the interval, and 0 when it ends.
		lifetime := (3*r.cfg.MaxInterval + time.Second - 1).Truncate(time.Second)
		if o.Final {
			lifetime = 0
		}
		m.Options = append(m.Options, icmp6.RecursiveDNS{Lifetime: lifetime, Servers: r.cfg.DNS})
	}
	return m
}

// Step takes one Input that happened at now.
func (r *Router) Step(now time.Time, in Input) []Output {
	switch in := in.(type) {
	case LinkUp:
		if r.up {
			return nil
		}
		r.up, r.initial, r.next = true, initialCount, now
		return r.Tick(now)
	case LinkDown:
		r.up, r.answers = false, r.answers[:0]
		return nil
	case Solicited:
		r.solicited(now, in.From)
		return r.Tick(now)
	case Ceased:
		was := r.up
		r.up, r.answers = false, r.answers[:0]
		if !was {
			return nil
		}
		return []Output{{To: AllNodes, Final: true}}
	default:
		panic(fmt.Sprintf("advertise: no rule for %T", in))
	}
}

// solicited notes when an answer is due: RFC 4861, section 6.2.6. A node without
// an address is answered in the group, not more often than groupInterval.
func (r *Router) solicited(now time.Time, from netip.Addr) {
	if !r.up {
		return
	}
	at := now
	if r.cfg.Delay > 0 {
		at = at.Add(time.Duration(r.rand.Int64N(int64(r.cfg.Delay) + 1)))
	}
	if !from.IsValid() || from.IsUnspecified() {
		from = AllNodes
		if earliest := r.last.Add(groupInterval); at.Before(earliest) {
			at = earliest
		}
		if r.next.Before(at) {
			return // one is due before that anyway
		}
	}
	for _, a := range r.answers {
		if a.to == from {
			return // the one that waits answers this one too
		}
	}
	if len(r.answers) < pending {
		r.answers = append(r.answers, answer{from, at})
	}
}

// Tick does what is due at now, and nothing before Deadline.
func (r *Router) Tick(now time.Time) (out []Output) {
	if !r.up {
		return nil
	}
	group := !now.Before(r.next)
	left := r.answers[:0]
	for _, a := range r.answers {
		switch {
		case now.Before(a.at):
			left = append(left, a)
		case a.to == AllNodes:
			group = true
		default:
			out = append(out, Output{To: a.to})
		}
	}
	r.answers = left
	if group {
		out = append(out, Output{To: AllNodes})
		r.last = now
		r.schedule(now)
	}
	return out
}

// schedule sets the time of the next unsolicited advertisement: RFC 4861,
// section 6.2.4.
func (r *Router) schedule(now time.Time) {
	wait := r.cfg.MinInterval
	if spread := r.cfg.MaxInterval - r.cfg.MinInterval; spread > 0 {
		wait += time.Duration(r.rand.Int64N(int64(spread) + 1))
	}
	if r.initial > 0 {
		r.initial--
		if r.initial > 0 {
			wait = min(wait, initialInterval)
		}
	}
	r.next = now.Add(wait)
}

// Deadline is when Tick has something to do; zero: never, as things stand.
func (r *Router) Deadline() time.Time {
	if !r.up {
		return time.Time{}
	}
	at := r.next
	for _, a := range r.answers {
		if a.at.Before(at) {
			at = a.at
		}
	}
	return at
}
