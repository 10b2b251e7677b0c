package mip4

import (
	"container/heap"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	wire "s2clab/nodes/wire/mip4"
)

// Bounds of what a home agent keeps.
const (
	mostMobiles = 1 << 16
	mostAsks    = 1 << 10
)

// AgentOptions are what an Agent is told.
type AgentOptions struct {
	Address     netip.Addr    // IPv4
	Home        netip.Prefix  // IPv4: the home network
	Longest     time.Duration // registration: 1 s or more, in steps of 1 s
	Most        int           // bindings; 0: any number
	Window      time.Duration // of timestamps; 0: association.DefaultWindow
	Asks        bool          // there is an AAA server to ask about MN-AAA extensions
	Pool        []netip.Addr  // home addresses to give, the first one first
	Subscribers []Subscriber
}

// A Subscriber is a mobile node that the home agent knows beforehand.
type Subscriber struct {
	NAI         string       // empty: it is known by its home address
	Home        netip.Addr   // not valid: any of the home network
	Association *Association // nil: an AAA server is asked
}

// An Agent is a home agent's side. Its owner calls Step for each AgentInput, and Tick at
// the time Deadline gives. It sends nothing that is not a Reply.
type Agent struct {
	o      AgentOptions
	mobile map[string]*mobile     // by name: the NAI, else the home address
	bound  map[netip.Addr]*mobile // by home address, also of a binding that is over
	held   int                    // bindings
	ends   endings
	asks   map[uint64]*ask
	asked  uint64 // the last
}

// A mobile is what the home agent knows of a mobile node. It outlives the binding, or a
// replayed Request could bring that back within the window.
type mobile struct {
	name     string
	known    *Subscriber  // nil: the AAA server has vouched for it
	home     netip.Addr   // not valid: none yet
	current  *Association // nil: none
	offered  *Association // to a mobile node that has not used it yet; nil: none
	replay   association.ReplayGuard
	binding  *binding
	accepted time.Time // the last Request
}

// A binding is where a mobile node is.
type binding struct {
	careOf  netip.Addr
	id      uint64
	reverse bool
	ends    time.Time
}

// An ask is a Request that waits for the AAA server.
type ask struct {
	in      RequestReceived
	request *wire.RegistrationRequest
	place   wire.Place // of the MN-AAA extension
	name    string
	spi     uint32       // that the mobile node has chosen; 0: it has not asked for a key
	proven  *Association // by which the Request was proven besides; nil: by none
}

// An AgentInput is something that happened to a home agent.
type AgentInput interface{ agentInput() }

type (
	// RequestReceived is data of a UDP datagram to port 434.
	RequestReceived struct {
		From   netip.AddrPort
		To     netip.Addr
		Octets []byte
	}
	// Answered is what became of an Ask.
	Answered struct {
		ID     uint64
		Answer Answer
	}
	// Revoked: the AAA server takes back what it has vouched for: RFC 6733, section 8.5.
	Revoked struct{ NAI string }
)

func (RequestReceived) agentInput() {}
func (Answered) agentInput()        {}
func (Revoked) agentInput()         {}

// An Answer is what the AAA server says.
type Answer struct {
	Code      wire.Code  // Accepted, or why not
	Reason    string     // where not, for people
	Home      netip.Addr // 0.0.0.0 or not valid: the home agent's to choose
	Key       []byte     // nil: none was made
	SPI       uint32     // under which the home agent is to be written to
	Transform keys.Transform
	Nonce     []byte        // that the key is made of
	Lifetime  time.Duration // of the key
}

// An AgentOutput is something for a home agent to do or to tell.
type AgentOutput interface{ agentOutput() }

type (
	// Reply with this, from where the Request came to: RFC 5944, section 3.8.3.1. What
	// goes to the Home address is for its own link, whatever binding there is.
	Reply struct {
		From   netip.Addr // its port is 434
		To     netip.AddrPort
		Home   bool // the destination is the mobile node's home address
		Octets []byte
	}
	// Bound: packets to Home are tunnelled to CareOf, and back if Reverse.
	Bound struct {
		NAI, Name    string // Name is the NAI, or else the home address
		Home, CareOf netip.Addr
		Former       netip.Addr // care-of address that is not used any more; not valid: none
		Lifetime     time.Duration
		Reverse      bool
	}
	// Unbound: not any more.
	Unbound struct {
		Name   string
		Home   netip.Addr
		Reason string // deregistered, expired, revoked
	}
	// Denied tells of a Reply with this code, a security exception among them: section
	// 3.8.2.1.
	Denied struct {
		Name string
		Code wire.Code
	}
	// Discarded says why nothing was replied.
	Discarded struct{ Name, Reason string }
)

func (Reply) agentOutput()     {}
func (Bound) agentOutput()     {}
func (Unbound) agentOutput()   {}
func (Denied) agentOutput()    {}
func (Discarded) agentOutput() {}
func (Ask) agentOutput()       {}

// NewAgent makes an Agent without bindings.
func NewAgent(o AgentOptions) (*Agent, error) {
	switch {
	case !o.Address.Is4() || !o.Home.Addr().Is4():
		return nil, fmt.Errorf("home agent %v on %v: want IPv4", o.Address, o.Home)
	case o.Longest < time.Second || o.Longest%time.Second != 0:
		return nil, fmt.Errorf("longest lifetime %v: want 1 s or more, in steps of 1 s", o.Longest)
	}
	a := &Agent{o: o, mobile: map[string]*mobile{}, bound: map[netip.Addr]*mobile{}, asks: map[uint64]*ask{}}
	for i := range o.Subscribers {
		s := &o.Subscribers[i]
		m := &mobile{name: s.NAI, known: s, home: s.Home, current: s.Association}
		if m.name == "" {
			m.name = s.Home.String()
		}
		a.enter(m)
	}
	return a, nil
}

func (a *Agent) enter(m *mobile) {
	m.replay.Window = a.o.Window
	a.mobile[m.name] = m
	if m.home.IsValid() {
		a.bound[m.home] = m
	}
}

// Deadline is when Tick has something to do; zero: never.
func (a *Agent) Deadline() time.Time {
	if len(a.ends) == 0 {
		return time.Time{}
	}
	return a.ends[0].at
}

// Step takes what happened at now.
func (a *Agent) Step(now time.Time, in AgentInput) []AgentOutput {
	switch in := in.(type) {
	case RequestReceived:
		return a.receive(now, in)
	case Answered:
		return a.answered(now, in)
	case Revoked:
		m := a.mobile[in.NAI]
		if m == nil {
			return nil
		}
		if m.known == nil || m.known.Association == nil {
			m.current, m.offered = nil, nil
		}
		return a.unbind(m, "revoked")
	default:
		panic(fmt.Sprintf("mip4: no rule for %T", in))
	}
}

// Tick ends the bindings whose lifetime has: RFC 5944, section 3.8.2.2. Nobody is told
// by a Reply (section 3.8).
func (a *Agent) Tick(now time.Time) (out []AgentOutput) {
	for len(a.ends) > 0 && !now.Before(a.ends[0].at) {
		e := heap.Pop(&a.ends).(ending)
		if e.of.binding != nil && e.of.binding.ends.Equal(e.at) {
			out = append(out, a.unbind(e.of, "expired")...)
		}
	}
	return out
}

func (a *Agent) unbind(m *mobile, reason string) []AgentOutput {
	if m.binding == nil {
		return nil
	}
	m.binding = nil
	a.held--
	return []AgentOutput{Unbound{Name: m.name, Home: m.home, Reason: reason}}
}

func discarded(name, reason string) []AgentOutput { return []AgentOutput{Discarded{name, reason}} }

// receive takes a Request: RFC 5944, section 3.8.2.
func (a *Agent) receive(now time.Time, in RequestReceived) []AgentOutput {
	r, err := wire.ParseRequest(in.Octets)
	if err != nil {
		return discarded("", "malformed")
	}
	name := nameOf(r)
	home, vouched := places(in.Octets, wire.MobileHome), places(in.Octets, wire.MobileAAA)
	switch {
	case len(places(in.Octets, wire.ForeignHome)) > 0: // section 3.8.2.1, d: no such association is shared here
		return discarded(name, "foreign-agent")
	case len(home) == 0 && len(vouched) == 0:
		return discarded(name, "no-authentication")
	case len(home) > 1 || len(vouched) > 1:
		return discarded(name, "authentication-extensions")
	}
	m := a.mobile[name]
	if len(home) == 0 {
		return a.ask(in, r, &vouched[0], name, nil)
	}
	if m == nil || !m.current.valid(now) && !m.offered.valid(now) {
		return discarded(name, "no-association") // section 3.8.2.1, a: MUST be silent
	}
	used := m.associationOf(now, home[0].SPI)
	if used == nil || Verify(in.Octets, &home[0], used.Transform, used.Key) != nil {
		used = m.likely(now)
		return a.deny(now, m, in, r, used, nil, wire.MobileFailed)
	}
	if len(vouched) > 0 { // all authentications that are indicated are carried out
		return a.ask(in, r, &vouched[0], name, used)
	}
	return a.judge(now, m, in, r, used, nil, netip.Addr{})
}

// nameOf is by what the home agent knows who has sent a Request: RFC 2794, section 2.
func nameOf(r *wire.RegistrationRequest) string {
	if i, ok := wire.Find[wire.Identifier](r.Extensions); ok {
		return i.NAI
	}
	return r.Home.String()
}

// associationOf finds the one for Requests with an SPI; nil: there is none.
func (m *mobile) associationOf(now time.Time, spi uint32) *Association {
	for _, s := range []*Association{m.current, m.offered} {
		if s.valid(now) && s.ToAgent == spi {
			return s
		}
	}
	return nil
}

// likely is an association that the mobile node is likely to have, for a Reply to what
// is proven by none: RFC 5944, section 3.8.2.1. Nil: there is none.
func (m *mobile) likely(now time.Time) *Association {
	switch {
	case m == nil:
		return nil
	case m.current.valid(now):
		return m.current
	case m.offered.valid(now):
		return m.offered
	}
	return nil
}

// answered goes on where ask left off.
func (a *Agent) answered(now time.Time, in Answered) []AgentOutput {
	q := a.asks[in.ID]
	if q == nil {
		return nil
	}
	delete(a.asks, in.ID)
	for id, other := range a.asks {
		if id > in.ID && other.name == q.name { // the mobile node awaits the Reply to that one
			return discarded(q.name, "superseded")
		}
	}
	m := a.mobile[q.name]
	answer := &in.Answer
	if answer.Code.Denied() {
		s := q.proven
		if s == nil {
			s = m.likely(now)
		}
		if s != nil {
			return a.deny(now, m, q.in, q.request, s, nil, answer.Code)
		}
		// A Reply MUST have an MN-HA extension, and there is no key for one: RFC 5944,
		// section 3.8.3.3.
		return discarded(q.name, answer.Reason)
	}
	if m == nil {
		if len(a.mobile) >= mostMobiles && !a.forget(now) {
			return discarded(q.name, "full")
		}
		m = &mobile{name: q.name}
		a.enter(m)
	}
	var told *wire.KeyGenerationReply
	used := q.proven
	if q.spi != 0 && len(answer.Key) > 0 {
		used = &Association{ToAgent: answer.SPI, ToMobile: q.spi, Transform: answer.Transform, Key: answer.Key, Ends: now.Add(answer.Lifetime)}
		m.offered = used
		told = &wire.KeyGenerationReply{Lifetime: answer.Lifetime, AAASPI: q.place.SPI, SPI: answer.SPI,
			Transform: wire.Transform(answer.Transform), Replay: wire.Timestamps, Nonce: answer.Nonce}
	}
	if used == nil {
		return discarded(q.name, "no-key")
	}
	return a.judge(now, m, q.in, q.request, used, told, answer.Home)
}

// forget makes room: of mobile nodes that are not bound, and whose Requests could not
// be replayed. False: there is none.
func (a *Agent) forget(now time.Time) bool {
	window := a.o.Window
	if window == 0 {
		window = association.DefaultWindow
	}
	for name, m := range a.mobile {
		if m.known == nil && m.binding == nil && now.Sub(m.accepted) > 2*window {
			delete(a.mobile, name)
			if a.bound[m.home] == m {
				delete(a.bound, m.home)
			}
			return true
		}
	}
	return false
}

// deny replies with a code: RFC 5944, section 3.8.2.3.
func (a *Agent) deny(now time.Time, m *mobile, in RequestReceived, r *wire.RegistrationRequest, s *Association, told *wire.KeyGenerationReply, c wire.Code) []AgentOutput {
	reply := &wire.RegistrationReply{Code: c, Home: r.Home, HomeAgent: a.o.Address, Identification: r.Identification}
	if c == wire.IdentificationMismatch {
		reply.Identification = association.Refusal(now, r.Identification)
	}
	return append(a.reply(in, r, reply, s, told), Denied{m.name, c})
}

// reply seals and sends: RFC 5944, section 3.8.3.
func (a *Agent) reply(in RequestReceived, r *wire.RegistrationRequest, reply *wire.RegistrationReply, s *Association, told *wire.KeyGenerationReply) []AgentOutput {
	if i, ok := wire.Find[wire.Identifier](r.Extensions); ok { // RFC 2794, section 3
		reply.Extensions = append(reply.Extensions, i)
	}
	if told != nil { // RFC 3957, section 6.4: before the MN-HA extension
		reply.Extensions = append(reply.Extensions, *told)
	}
	octets, err := seal(reply, wire.MobileHome, s.ToMobile, s.Transform, s.Key)
	if err != nil {
		return discarded(nameOf(r), err.Error()) // the AAA server has given what does not fit
	}
	// From the address that the Request went to, or the unicast one if that was another.
	return []AgentOutput{Reply{From: a.o.Address, To: in.From, Home: in.From.Addr() == reply.Home, Octets: octets}}
}

// An ending is when a binding ends, if nothing changes.
type ending struct {
	at time.Time
	of *mobile
}

type endings []ending

func (e endings) Len() int           { return len(e) }
func (e endings) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e endings) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *endings) Push(x any)        { *e = append(*e, x.(ending)) }
func (e *endings) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = slices.Delete(*e, last, last+1)
	return x
}
