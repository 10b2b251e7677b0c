package discovery

import (
	"net/netip"
	"time"

	"s2clab/nodes/wire/icmp6"
)

// Constants of RFC 6275, section 12.
const (
	dhaadTimeout = 3 * time.Second // INITIAL_DHAAD_TIMEOUT
	dhaadRetries = 4               // DHAAD_RETRIES
)

// HomeAgentsAnycast is the address of all home agents of a home prefix: RFC 2526,
// section 2, for a prefix of 64 bits.
func HomeAgentsAnycast(prefix netip.Prefix) netip.Addr {
	const homeAgents = 0x7e
	b := prefix.Masked().Addr().As16()
	copy(b[8:], []byte{0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80 | homeAgents})
	return netip.AddrFrom16(b)
}

// A request is a Home Agent Address Discovery Request that waits for its reply. The
// zero value is none.
type request struct {
	id   uint16
	sent int           // times
	wait time.Duration // that ends at at
	at   time.Time
}

func (s *Search) solicit(now time.Time) {
	if !s.cfg.Prefix.IsValid() {
		s.fail(now, "the home prefix is not known")
		return
	}
	s.request = request{id: uint16(s.rand.Uint32()), wait: dhaadTimeout}
	s.sendRequest(now)
}

// sendRequest sends the same message each time: RFC 6275, section 11.4.1.
func (s *Search) sendRequest(now time.Time) {
	r := &s.request
	r.sent++
	r.at = now.Add(r.wait)
	s.do(Solicit{Source: s.at.Source, To: HomeAgentsAnycast(s.cfg.Prefix), Request: &icmp6.HomeAgentRequest{Identifier: r.id}})
}

func (s *Search) solicitAgain(now time.Time) {
	if s.request.sent > dhaadRetries {
		s.fail(now, "no reply")
		return
	}
	s.request.wait *= 2
	s.sendRequest(now)
}

// replied takes a Home Agent Address Discovery Reply. It is from any of the home
// agents (RFC 6275, section 10.5.1), so its identifier tells that it is ours.
func (s *Search) replied(now time.Time, in *Replied) {
	ignore := func(reason string) {
		s.do(Ignored{Reason: "home agent address discovery reply " + reason, Source: in.From.String()})
	}
	switch {
	case s.request.sent == 0:
		ignore("that nobody waits for")
	case in.Reply.Identifier != s.request.id || in.To != s.at.Source:
		ignore("to another request")
	case len(in.Reply.Addresses) == 0:
		ignore("without a home agent")
	default:
		agents := make([]Agent, 0, len(in.Reply.Addresses))
		for _, a := range in.Reply.Addresses {
			agents = append(agents, Agent{Address: a})
		}
		s.find(now, agents)
	}
}
