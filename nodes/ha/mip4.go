package ha

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/mip4"
	"s2clab/nodes/wire/diameter"
	wire "s2clab/nodes/wire/mip4"
)

// RegistrationReceived is data of a UDP datagram to port 434, which is kept.
type RegistrationReceived struct {
	From   netip.AddrPort
	To     netip.Addr
	Octets []byte
}

// RegistrationAnswered is what became of an AskRegistration: RFC 4004, section 5.2.
type RegistrationAnswered struct {
	ID        uint64
	Peer      string // that answered: its Diameter identity
	Result    uint32 // Result-Code; 0: no answer came
	Name      string // of that
	Reason    string // where none came, or none that can be used, in kebab-case
	Answer    mip4.Answer
	SessionID string // that the server keeps the state of; empty: it keeps none
	Server    string // whose session it is: the Origin-Host of the answer
}

// SendRegistration sends data of a UDP datagram, from port 434.
type SendRegistration struct {
	Dev    string // of a home link that it must leave by, tunnel or not; empty: as routes say
	From   netip.Addr
	To     netip.AddrPort
	Octets []byte
}

// AskRegistration has a Registration Request authenticated by an
// AA-Mobile-Node-Request: RFC 4004, section 5.1. A RegistrationAnswered follows.
type AskRegistration struct{ *mip4.Ask }

func (RegistrationReceived) input()  {}
func (*RegistrationAnswered) input() {}
func (SendRegistration) output()     {}
func (AskRegistration) output()      {}

// A registrar is what a home agent does by Mobile IPv4, in the place of Mobile IPv6.
// Who may be bound where, the machine of session/mip4 says; here its words become those
// of a home agent, and the Diameter sessions of its keys are kept.
type registrar struct {
	agent *mip4.Agent
	asked map[uint64]*registration
	bound map[netip.Addr]*registered // by home address
	keyed map[string]*keyed          // by NAI
	open  map[string]*registrarSession
	timer timer
}

// A registration is a Registration Request under way.
type registration struct {
	from    netip.AddrPort
	request *wire.RegistrationRequest // nil: it is none
	spi     uint32                    // of the association that proves it; 0: not known
}

// registered is a binding.
type registered struct {
	nai            string
	name           string // that the machine knows the mobile node by
	careOf         netip.Addr
	spi            uint32
	lifetime       time.Duration
	since, expires time.Time // zero: never
}

// keyed are the sessions of the keys of a mobile node, each nil where there is none.
type keyed struct {
	current *registrarSession
	offered *registrarSession // of a key that has proven nothing yet
	byAAA   bool              // the server has told the home address
}

// A registrarSession is the Diameter session of a key: RFC 4004, section 4.2. It ends
// with that, so that a mobile node which comes back, be it after the end of its binding,
// is known still.
type registrarSession struct {
	id, nai, server string
	spi             uint32
	timer           timer
}

// newRegistrar makes it where the profile is that of Mobile IPv4; else it is nil.
func (m *Machine) newRegistrar(cfg *control.Config) error {
	h := cfg.HomeAgent
	if h.Security.Profile != "mipv4" {
		return nil
	}
	switch {
	case !m.authenticates:
		return errors.New("profile mipv4 with integrity none: registrations are authenticated always")
	case len(h.HomePrefixes4) != 1:
		return fmt.Errorf("profile mipv4: %d IPv4 home prefixes, want one", len(h.HomePrefixes4))
	case h.Replication != nil || h.KeepsBindings:
		return errors.New("profile mipv4: bindings are not replicated and not kept")
	}
	o := mip4.AgentOptions{Address: h.Address4, Home: h.HomePrefixes4[0], Longest: max(h.MaxLifetime.Truncate(time.Second), time.Second), Most: h.MaxBindings, Window: h.ReplayWindow, Asks: m.asks}
	for _, a := range h.HomeAddresses4 {
		o.Subscribers = append(o.Subscribers, mip4.Subscriber{NAI: a.NAI, Home: a.Address4})
	}
	agent, err := mip4.NewAgent(o)
	if err != nil {
		return fmt.Errorf("profile mipv4: %w", err)
	}
	m.registrar = &registrar{agent: agent, asked: map[uint64]*registration{}, bound: map[netip.Addr]*registered{}, keyed: map[string]*keyed{}, open: map[string]*registrarSession{}}
	m.registrar.timer.owner = m.registrar
	return nil
}

// registrationReceived takes a Registration Request: RFC 5944, section 3.8.2.
func (m *Machine) registrationReceived(now time.Time, in RegistrationReceived) {
	if m.registrar == nil {
		return
	}
	r := &registration{from: in.From}
	if request, err := wire.ParseRequest(in.Octets); err == nil {
		r.request = request
		for _, p := range wire.Places(in.Octets) {
			if p.Kind == wire.MobileHome {
				r.spi = p.SPI
			}
		}
	}
	m.registrationStep(now, r, m.registrar.agent.Step(m.wall(now), mip4.RequestReceived{From: in.From, To: in.To, Octets: in.Octets}))
}

// due ends the bindings whose lifetime has: RFC 5944, section 3.8.2.2.
func (g *registrar) due(m *Machine, now time.Time) {
	m.registrationStep(now, &registration{}, g.agent.Tick(m.wall(now)))
}

// registrationStep does what the machine of Mobile IPv4 says about a Registration
// Request.
func (m *Machine) registrationStep(now time.Time, r *registration, out []mip4.AgentOutput) {
	for _, o := range out {
		switch o := o.(type) {
		case mip4.Ask:
			m.askRegistration(now, r, &o)
		case mip4.Reply:
			dev := ""
			if o.Home { // RFC 5944, section 3.8.3.1: on its own link, whatever binding there is
				dev = m.dual.homeLink(o.To.Addr())
			}
			m.do(SendRegistration{Dev: dev, From: o.From, To: o.To, Octets: o.Octets})
		case mip4.Bound:
			m.registrationBound(now, r, o)
		case mip4.Unbound:
			m.registrationUnbound(now, o)
		case mip4.Denied:
			m.registrationDenied(now, r, o)
		case mip4.Discarded:
			m.discard(now, r.from.Addr(), o.Reason)
		}
	}
	m.scheduleRegistrar()
}

func (m *Machine) scheduleRegistrar() {
	at := m.registrar.agent.Deadline()
	if !at.IsZero() {
		at = at.Add(-m.clock)
	}
	m.timers.set(&m.registrar.timer, at)
}

// askRegistration asks an AAA server about an MN-AAA extension, which anybody can have
// recorded or invented: within the rates of Binding Updates, see ask.
func (m *Machine) askRegistration(now time.Time, r *registration, a *mip4.Ask) {
	if why := m.mayAskRegistration(now, r, a.NAI); why != "" {
		// The machine is not to wait for an answer; what it would reply is not sent.
		m.registrar.agent.Step(m.wall(now), mip4.Answered{ID: a.ID, Answer: mip4.Unanswered(diameter.TooBusy, why)})
		m.discard(now, r.from.Addr(), why)
		return
	}
	m.registrar.asked[a.ID] = r
	m.do(AskRegistration{a})
	if m.tells(now, aaaAsked) {
		m.tell(aaaAsked, map[string]any{"nai": a.NAI, "home-address": text(a.Home), "care-of": text(a.CareOf)})
	}
}

// mayAskRegistration is mayAsk, of a Registration Request. How many questions may be
// outstanding, the machine of Mobile IPv4 says.
func (m *Machine) mayAskRegistration(now time.Time, r *registration, nai string) (why string) {
	q := &m.questions
	guard := association.ReplayGuard{Window: m.window}
	if guard.Check(m.wall(now), r.request.Identification) != nil && (!q.stale.take(now, nai) || !q.allOld.take(now, staleRate)) {
		return "too-many-stale-timestamps"
	}
	switch {
	case !q.nais.take(now, nai):
		return "too-many-questions-of-nai"
	case !q.sources.take(now, r.from.Addr()):
		return "too-many-questions-of-source"
	}
	return ""
}

// registrationAnswered takes the answer.
func (m *Machine) registrationAnswered(now time.Time, in *RegistrationAnswered) {
	if m.registrar == nil || m.registrar.asked[in.ID] == nil {
		return
	}
	r := m.registrar.asked[in.ID]
	delete(m.registrar.asked, in.ID)
	identifier, _ := wire.Find[wire.Identifier](r.request.Extensions)
	nai := identifier.NAI
	if in.Result != 0 && m.tells(now, aaaAnswered) {
		m.tell(aaaAnswered, map[string]any{"nai": nai, "result": in.Result, "name": in.Name, "peer": in.Peer})
	}
	if in.Reason != "" && m.tells(now, aaaFailed) {
		m.tell(aaaFailed, map[string]any{"nai": nai, "reason": in.Reason})
	}
	made := len(in.Answer.Key) > 0
	if made {
		r.spi = in.Answer.SPI
	}
	out := m.registrar.agent.Step(m.wall(now), mip4.Answered{ID: in.ID, Answer: in.Answer})
	granted, refused := !in.Answer.Code.Denied(), false
	for _, o := range out {
		switch o.(type) {
		case mip4.Discarded:
			granted = false
		case mip4.Denied:
			refused = true
		}
	}
	switch {
	case !granted || !made:
		if in.SessionID != "" { // RFC 6733, section 8.1: the service is not provided, or by another session
			m.do(TerminateSession{Session: in.SessionID, NAI: nai, Server: in.Server, Cause: causeAdministrative})
		}
	default:
		m.registrationKeyed(now, nai, in, refused)
	}
	m.registrationStep(now, r, out)
}

// registrationKeyed takes in that a key is there, and its session. Offered: it has
// proven nothing yet.
func (m *Machine) registrationKeyed(now time.Time, nai string, in *RegistrationAnswered, offered bool) {
	if m.tells(now, associationMade) {
		m.tell(associationMade, map[string]any{"nai": nai, "spi": in.Answer.SPI, "lifetime": in.Answer.Lifetime.Seconds()})
	}
	m.keyMade(now, nai, keys.Derived{Name: keys.NameMNHA, How: "from " + in.Server, Value: in.Answer.Key, Lifetime: in.Answer.Lifetime})
	k := m.registrar.keyed[nai]
	if k == nil {
		k = &keyed{}
		m.registrar.keyed[nai] = k
	}
	s := &registrarSession{id: in.SessionID, nai: nai, server: in.Server, spi: in.Answer.SPI}
	s.timer.owner = s
	if s.id != "" {
		m.registrar.open[s.id] = s
	}
	m.timers.set(&s.timer, now.Add(in.Answer.Lifetime))
	m.endRegistrarSession(k.offered, causeAuthExpired)
	k.offered, k.byAAA = s, in.Answer.Home.IsValid() && !in.Answer.Home.IsUnspecified()
	if !offered {
		m.useOffered(k)
	}
}

// useOffered makes the offered key the one.
func (m *Machine) useOffered(k *keyed) {
	m.endRegistrarSession(k.current, causeAuthExpired)
	k.current, k.offered = k.offered, nil
}

// endRegistrarSession tells the server that a session is over. s may be nil.
func (m *Machine) endRegistrarSession(s *registrarSession, cause Cause) {
	if s == nil {
		return
	}
	m.timers.remove(&s.timer)
	if s.id != "" {
		delete(m.registrar.open, s.id)
		m.do(TerminateSession{Session: s.id, NAI: s.nai, Server: s.server, Cause: cause})
	}
}

// due ends a key: RFC 4004, section 9.13.
func (s *registrarSession) due(m *Machine, now time.Time) {
	m.endRegistrarSession(s, causeAuthExpired)
	k := m.registrar.keyed[s.nai]
	if k.current == s {
		k.current = nil
	}
	if k.offered == s {
		k.offered = nil
	}
	if k.current == nil && k.offered == nil {
		delete(m.registrar.keyed, s.nai)
	}
	if m.tells(now, associationExpired) {
		m.tell(associationExpired, map[string]any{"nai": s.nai, "spi": s.spi})
	}
}

// registrationBound puts a binding in force, and says so to the home link: RFC 5944,
// section 4.6.
func (m *Machine) registrationBound(now time.Time, r *registration, o mip4.Bound) {
	k := m.registrar.keyed[o.NAI]
	if k != nil && k.offered != nil && k.offered.spi == r.spi {
		m.useOffered(k)
	}
	b, first := m.registrar.bound[o.Home], false
	if b == nil {
		b, first = &registered{since: now}, true
		m.registrar.bound[o.Home] = b
	}
	if b.careOf != o.CareOf {
		m.do(SetTunnel{Home4: o.Home, CareOf: o.CareOf})
	}
	b.nai, b.name, b.careOf, b.spi, b.lifetime, b.expires = o.NAI, o.Name, o.CareOf, r.spi, o.Lifetime, now.Add(o.Lifetime)
	if o.Lifetime == wire.Infinite {
		b.expires = time.Time{}
	}
	if dev := m.dual.homeLink(o.Home); first && dev != "" {
		m.do(SetProxy{Dev: dev, Address: o.Home})
		m.do(AdvertiseNeighbor{Dev: dev, Source: o.Home, Target: o.Home})
	}
	if r.request.Home.IsUnspecified() && m.tells(now, homeAddressAssigned) {
		by := byHomeAgent
		if k != nil && k.byAAA {
			by = byAAA
		}
		m.tell(homeAddressAssigned, map[string]any{"nai": o.NAI, "home-address": text(o.Home), "care-of": text(o.CareOf), "assigner": by})
	}
	if m.tells(now, bindingAccepted) {
		m.tell(bindingAccepted, map[string]any{
			"nai": o.NAI, "home-address": text(o.Home), "care-of": text(o.CareOf), "lifetime": o.Lifetime.Seconds(), "spi": r.spi, "new": first,
		})
	}
}

// registrationUnbound ends a binding. That the mobile node has its home address itself
// now, it says itself: differs from RFC 5944, section 4.6, where the home agent says so
// too, for which it would have to know the mobile node's link-layer address.
func (m *Machine) registrationUnbound(now time.Time, o mip4.Unbound) {
	delete(m.registrar.bound, o.Home)
	m.do(ClearTunnel{Home: o.Home})
	if dev := m.dual.homeLink(o.Home); dev != "" {
		m.do(ClearProxy{Dev: dev, Address: o.Home})
	}
	if o.Reason == "expired" {
		if m.tells(now, bindingExpired) {
			m.tell(bindingExpired, map[string]any{"home-address": text(o.Home)})
		}
		return
	}
	reason := o.Reason
	if reason == "deregistered" {
		reason = "de-registered" // as of Mobile IPv6
	}
	if m.tells(now, bindingDeleted) {
		m.tell(bindingDeleted, map[string]any{"home-address": text(o.Home), "reason": reason})
	}
}

func (m *Machine) registrationDenied(now time.Time, r *registration, o mip4.Denied) {
	if !m.tells(now, bindingRefused) {
		return
	}
	identifier, _ := wire.Find[wire.Identifier](r.request.Extensions)
	m.tell(bindingRefused, map[string]any{
		"nai": identifier.NAI, "home-address": text(r.request.Home), "care-of": text(r.request.CareOf),
		"status": int(o.Code), "name": o.Code.String(), "reason": o.Code.String(),
		"authenticated": o.Code != wire.MobileFailed && o.Code != wire.MobileFailedAAA,
	})
}

// revokeRegistrations takes back what the AAA server has vouched for, of one mobile
// node. That is not told to it: RFC 3543 is not here. It learns it when it registers
// again, and is not known.
func (m *Machine) revokeRegistrations(now time.Time, nai string) {
	m.registrationStep(now, &registration{}, m.registrar.agent.Step(m.wall(now), mip4.Revoked{NAI: nai}))
	if k := m.registrar.keyed[nai]; k != nil {
		delete(m.registrar.keyed, nai)
		m.endRegistrarSession(k.offered, causeAdministrative)
		m.endRegistrarSession(k.current, causeAdministrative)
	}
}

// revokeOrdered does what the lab asks, and says whether there was a binding.
func (g *registrar) revokeOrdered(m *Machine, now time.Time, o order) bool {
	found := false
	for home, b := range g.bound {
		if b.nai == o.NAI && o.NAI != "" || home == o.HomeAddress {
			m.revokeRegistrations(now, b.name)
			found = true
		}
	}
	return found
}

// registrationAborted takes an Abort-Session-Request: RFC 6733, section 8.5.
func (m *Machine) registrationAborted(now time.Time, in SessionAborted) {
	s := m.registrar.open[in.Session]
	result := uint32(resultSuccess)
	switch {
	case !strings.EqualFold(in.DestinationHost, m.host):
		result = resultUnableToDeliver
	case s == nil || in.NAI != "" && in.NAI != s.nai:
		result = resultUnknownSession
	case !strings.EqualFold(in.Peer, s.server):
		result = resultUnableToComply
	}
	m.do(AnswerAbort{ID: in.ID, Result: result})
	if m.tells(now, sessionAborted) {
		m.tell(sessionAborted, map[string]any{"nai": in.NAI, "session": in.Session, "peer": in.Peer, "result": result})
	}
	if result == resultSuccess {
		m.revokeRegistrations(now, s.nai)
	}
}

// entries are the bindings; g may be nil.
func (g *registrar) entries(now time.Time) (list []BindingEntry) {
	if g == nil {
		return nil
	}
	for home, b := range g.bound {
		e := BindingEntry{HomeAddress: home, CareOf: b.careOf, NAI: b.nai, State: bound.String(), SPI: b.spi, Lifetime: b.lifetime.Seconds(), Since: now.Sub(b.since).Seconds()}
		if !b.expires.IsZero() {
			e.Remaining = b.expires.Sub(now).Seconds()
		}
		list = append(list, e)
	}
	return list
}

// counts are how many bindings and questions there are; g may be nil.
func (g *registrar) counts() (bindings, questions int) {
	if g == nil {
		return 0, 0
	}
	return len(g.bound), len(g.asked)
}
