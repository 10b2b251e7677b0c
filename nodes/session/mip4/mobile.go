package mip4

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/wire/mh"
	wire "s2clab/nodes/wire/mip4"
)

// Times of a mobile node: RFC 5944, section 3.6.3, has the least.
const (
	firstWait = time.Second
	mostWait  = 64 * time.Second // or the lifetime that is asked for, if that is less
)

// A network that does not know an association any more is silent (section 3.8.2.1):
// after so many Requests without a Reply a mobile node that can make another does.
const mostUnanswered = 3

// MobileOptions are what a Mobile is told.
type MobileOptions struct {
	NAI      string          // goes into each Request; empty: none, and no Method
	Home     netip.Addr      // IPv4; unspecified: the home agent assigns one
	Agent    bootstrap.Agent // its address is an IPv4 one
	Lifetime time.Duration   // asked for: 1 s or more, in steps of 1 s

	// How it proves who it is: one of the two.
	Association *Association     // put in beforehand; it does not end
	Method      bootstrap.Mobile // makes them, out of what is held
	Held        *bootstrap.Held

	Rand *rand.Rand
}

// A Mobile is a mobile node's side. Its owner calls Step for each MobileInput, and Tick
// at the time Deadline gives.
type Mobile struct {
	o           MobileOptions
	home        netip.Addr // unspecified: none yet
	association *Association
	renew       time.Time // when to have another; zero: never
	spi         uint32    // that was last asked for
	clock       time.Duration
	last        uint64 // Identification of the last Request

	careOf   netip.Addr // the home address at home
	attached bool
	atHome   bool
	unwanted bool      // a binding
	since    time.Time // when this attachment began

	pending    *request
	retry      time.Time // when to ask again; zero: never
	wait       time.Duration
	unanswered int

	bound   bool      // the home agent has a binding
	may     time.Time // until when it may have one, whether its Reply has come or not; zero: it has none
	ends    time.Time
	refresh time.Time // zero: never
}

// A request is a Registration Request that awaits its Reply.
type request struct {
	id       uint64
	sent     time.Time
	lifetime time.Duration
	proof    *bootstrap.Proof // nil: it was proven by the association
}

// A MobileInput is something that happened to a mobile node.
type MobileInput interface{ mobileInput() }

type (
	// Attached: it has a co-located care-of address.
	Attached struct{ CareOf netip.Addr }
	// AtHome: it is on its home link, with its home address.
	AtHome struct{}
	// Detached: it has no address.
	Detached struct{}
	// Unwanted: it wants no binding, wherever it is, until Wanted.
	Unwanted struct{}
	// Wanted: it wants one where it is away from home, as in the beginning.
	Wanted struct{}
	// KeysChanged: there may be what was lacking.
	KeysChanged struct{}
	// ReplyReceived is data of a UDP datagram.
	ReplyReceived struct {
		From   netip.AddrPort
		Octets []byte
	}
)

func (Attached) mobileInput()      {}
func (AtHome) mobileInput()        {}
func (Detached) mobileInput()      {}
func (Unwanted) mobileInput()      {}
func (Wanted) mobileInput()        {}
func (KeysChanged) mobileInput()   {}
func (ReplyReceived) mobileInput() {}

// A MobileOutput is something for a mobile node to do or to tell.
type MobileOutput interface{ mobileOutput() }

type (
	// Send a Registration Request, by UDP.
	Send struct {
		From   netip.Addr // the care-of address, or at home the home address
		To     netip.AddrPort
		Octets []byte
	}
	// Registered: packets are tunnelled between care-of address and home agent.
	Registered struct {
		Home, CareOf netip.Addr
		Lifetime     time.Duration // from when the Request was sent
		Latency      time.Duration // since this attachment
	}
	// Deregistered: the home agent has no binding.
	Deregistered struct{}
	// Expired: the binding has ended by itself, or one that was to end is not there any
	// more, whether it was or not.
	Expired struct{}
	// Refused by the home agent.
	Refused struct{ Code wire.Code }
	// Resynchronised: from now on the clock of Requests differs so from one's own.
	Resynchronised struct{ Clock time.Duration }
	// Made is a key that is used from now on.
	Made struct{ Key keys.Derived }
	// Lacking says what has to be had before there is something to prove with.
	Lacking struct{ Need bootstrap.Need }
	// Ignored says why a Reply was.
	Ignored struct{ Reason string }
)

func (Send) mobileOutput()           {}
func (Registered) mobileOutput()     {}
func (Deregistered) mobileOutput()   {}
func (Expired) mobileOutput()        {}
func (Refused) mobileOutput()        {}
func (Resynchronised) mobileOutput() {}
func (Made) mobileOutput()           {}
func (Lacking) mobileOutput()        {}
func (Ignored) mobileOutput()        {}

// NewMobile makes a Mobile that is nowhere.
func NewMobile(o MobileOptions) (*Mobile, error) {
	switch {
	case !o.Agent.Address.Is4():
		return nil, fmt.Errorf("home agent %v: want an IPv4 address", o.Agent.Address)
	case !o.Home.Is4():
		return nil, fmt.Errorf("home address %v: want an IPv4 one, or 0.0.0.0", o.Home)
	case o.Lifetime < time.Second || o.Lifetime > wire.Infinite || o.Lifetime%time.Second != 0:
		return nil, fmt.Errorf("lifetime %v: want 1 s to %v in steps of 1 s", o.Lifetime, wire.Infinite)
	case (o.Association == nil) == (o.Method == nil):
		return nil, fmt.Errorf("want an association, or a method by which one is made")
	case o.Association != nil && !o.Association.Ends.IsZero():
		return nil, fmt.Errorf("an association put in beforehand ends: want one that does not")
	case o.Method != nil && o.NAI == "":
		return nil, fmt.Errorf("want a NAI beside a method")
	}
	return &Mobile{o: o, home: o.Home, association: o.Association, spi: FirstSPI + o.Rand.Uint32N(1<<30)}, nil
}

// Home is its home address; unspecified: it has none yet.
func (m *Mobile) Home() netip.Addr { return m.home }

// Deadline is when Tick has something to do; zero: never.
func (m *Mobile) Deadline() (first time.Time) {
	due := []time.Time{m.retry, m.refresh}
	if m.ending() && !m.bound {
		due = append(due, m.may)
	}
	if m.bound {
		due = append(due, m.ends)
	}
	for _, d := range due {
		if !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}

// Step takes what happened at now.
func (m *Mobile) Step(now time.Time, in MobileInput) []MobileOutput {
	switch in := in.(type) {
	case Attached:
		m.careOf, m.attached, m.atHome, m.since = in.CareOf, true, false, now
		return m.settle(now)
	case AtHome:
		m.careOf, m.attached, m.atHome, m.since = m.home, true, true, now
		return m.settle(now)
	case Unwanted:
		m.unwanted = true
		return m.settle(now)
	case Wanted:
		m.unwanted, m.since = false, now
		return m.settle(now)
	case Detached:
		m.attached, m.refresh = false, time.Time{}
		m.idle()
		return nil
	case KeysChanged:
		if !m.attached || m.pending != nil || !m.refresh.IsZero() || m.ending() && !m.mayBeBound(now) {
			return nil
		}
		return m.begin(now)
	case ReplyReceived:
		return m.receive(now, in)
	default:
		panic(fmt.Sprintf("mip4: no rule for %T", in))
	}
}

// Tick does what is due at now, and nothing before Deadline.
func (m *Mobile) Tick(now time.Time) (out []MobileOutput) {
	if m.bound && !m.ends.IsZero() && !now.Before(m.ends) {
		m.bound = false
		if !m.ending() {
			out = append(out, Expired{})
		}
	}
	if !m.bound && m.ending() && due(now, m.may) {
		m.may = time.Time{}
		out = append(out, Expired{})
		m.idle()
	}
	switch {
	case due(now, m.retry):
		m.unanswered++
		if m.unanswered >= mostUnanswered && m.o.Method != nil {
			m.association = nil
		}
		m.wait = min(2*m.wait, mostWait, max(m.o.Lifetime, firstWait))
		out = append(out, m.send(now)...)
	case due(now, m.refresh):
		out = append(out, m.begin(now)...)
	}
	return out
}

// ending says whether a Request is to end the binding: RFC 5944, section 3.6.1.2.
func (m *Mobile) ending() bool { return m.atHome || m.unwanted }

// mayBeBound says whether the home agent may have a binding. Of one for a home address
// that has not been assigned yet nobody could say that it is to end.
func (m *Mobile) mayBeBound(now time.Time) bool {
	return m.bound || now.Before(m.may) && !m.home.IsUnspecified()
}

// settle asks for what is wanted where it is, if anything.
func (m *Mobile) settle(now time.Time) []MobileOutput {
	if m.ending() && !m.mayBeBound(now) { // there is nothing to end
		m.may = time.Time{}
	}
	if !m.attached || m.ending() && m.may.IsZero() && !m.bound {
		m.idle()
		m.refresh = time.Time{}
		return nil
	}
	return m.begin(now)
}

func due(now, at time.Time) bool { return !at.IsZero() && !now.Before(at) }

// idle awaits nothing.
func (m *Mobile) idle() { m.pending, m.retry, m.unanswered = nil, time.Time{}, 0 }

// begin asks, with patience as for the first time.
func (m *Mobile) begin(now time.Time) []MobileOutput {
	m.idle()
	m.wait = firstWait
	return m.send(now)
}

// send asks once. Each Request has an Identification of its own: RFC 5944, section
// 3.6.3.
func (m *Mobile) send(now time.Time) []MobileOutput {
	m.refresh = time.Time{}
	r := &wire.RegistrationRequest{Home: m.home, HomeAgent: m.o.Agent.Address, CareOf: m.careOf, Identification: m.identification(now)}
	if !m.atHome {
		r.Flags = wire.CoLocated | wire.ReverseTunnel
	}
	if !m.ending() {
		r.Lifetime = m.o.Lifetime
		m.may = now.Add(m.o.Lifetime)
	}
	if m.o.NAI != "" {
		r.Extensions = append(r.Extensions, wire.Identifier{NAI: m.o.NAI})
	}
	asked := &request{id: r.Identification, sent: now, lifetime: r.Lifetime}
	var octets []byte
	var err error
	if m.association.valid(now) && !due(now, m.renew) {
		octets, err = seal(r, wire.MobileHome, m.association.ToAgent, m.association.Transform, m.association.Key)
	} else {
		if need := m.o.Method.Lacks(m.o.Held, now); need != bootstrap.Nothing {
			m.idle()
			return []MobileOutput{Lacking{need}}
		}
		octets, err = m.prove(r, asked)
	}
	if err != nil {
		panic("mip4: a request that was made here: " + err.Error()) // NewMobile has seen to it
	}
	m.pending, m.retry = asked, now.Add(m.wait)
	return []MobileOutput{Send{From: m.careOf, To: netip.AddrPortFrom(m.o.Agent.Address, wire.Port), Octets: octets}}
}

// prove is for a first Request: RFC 3957, section 3. Differs from RFC 4721, section 6,
// in that no MN-HA extension stands before that of MN-AAA: there is no association.
func (m *Mobile) prove(r *wire.RegistrationRequest, asked *request) ([]byte, error) {
	p := m.o.Method.Prove(m.o.Held, m.o.Agent)
	asked.proof = &p
	r.Extensions = r.Extensions[:0]
	r.Extensions = append(r.Extensions, wire.Identifier{NAI: p.Identifier})
	for _, o := range p.Options {
		if k, ok := o.(mh.KeyMaterial); ok && k.Kind == mh.NonceRequest {
			m.spi = max(m.spi+1, FirstSPI)
			r.Extensions = append(r.Extensions, wire.KeyGenerationRequest{SPI: m.spi})
		}
	}
	return seal(r, wire.MobileAAA, p.SPI, keys.HMACMD5, p.Key.Value)
}

// identification is the time, by a clock that the home agent agrees with, and later
// than any that was sent: RFC 5944, section 5.7.1.
func (m *Mobile) identification(now time.Time) uint64 {
	id := keys.NTP(now.Add(m.clock))
	if int64(id-m.last) <= 0 && m.last != 0 {
		id = m.last + 1
	}
	m.last = id
	return id
}

// receive takes a Reply: RFC 5944, section 3.6.2.
func (m *Mobile) receive(now time.Time, in ReplyReceived) []MobileOutput {
	r, err := wire.ParseReply(in.Octets)
	found := places(in.Octets, wire.MobileHome)
	switch {
	case err != nil:
		return ignored("malformed")
	case in.From != netip.AddrPortFrom(m.o.Agent.Address, wire.Port):
		return ignored("not-from-the-home-agent")
	case m.pending == nil:
		return ignored("nothing-asked")
	case uint32(r.Identification) != uint32(m.pending.id):
		return ignored("another-request")
	case !r.Code.OfHomeAgent(): // there is none
		return ignored("from-a-foreign-agent")
	case len(found) != 1:
		return ignored("authentication-extensions")
	}
	place := &found[0]
	association, renew := m.association, m.renew
	var made *keys.Derived
	if m.pending.proof != nil {
		var reason string
		if association, renew, made, reason = m.conclude(r, place); reason != "" {
			return ignored(reason)
		}
	}
	if place.SPI != association.ToMobile || Verify(in.Octets, place, association.Transform, association.Key) != nil {
		return ignored("authentication") // and any new association with it: RFC 3957, section 3 (9)
	}
	out := []MobileOutput{}
	if made != nil {
		m.association, m.renew = association, renew
		out = append(out, Made{*made})
	}
	return append(out, m.heed(now, r)...)
}

func ignored(reason string) []MobileOutput { return []MobileOutput{Ignored{reason}} }

// conclude makes the association that a nonce is for: RFC 3957, section 3 (8). Only
// what stands before the MN-HA extension is believed.
func (m *Mobile) conclude(r *wire.RegistrationReply, place *wire.Place) (a *Association, renew time.Time, made *keys.Derived, reason string) {
	proof := m.pending.proof
	told, ok := wire.Find[wire.KeyGenerationReply](r.Extensions[:place.Before])
	transform := keys.Transform(told.Transform)
	switch {
	case !ok || told.Foreign:
		return nil, renew, nil, "no-nonce"
	case told.AAASPI != proof.SPI || told.SPI < FirstSPI || transform.Size() == 0 || told.Replay != wire.Timestamps:
		return nil, renew, nil, "unusable-association"
	}
	key, err := m.o.Method.Conclude(m.o.Held, proof, bootstrap.Acknowledgement{HomeAgent: m.o.Agent, SPI: told.SPI,
		Options: []mh.Option{bootstrap.NonceMaterial(told.Lifetime, told.Nonce)}})
	if err != nil {
		return nil, renew, nil, "no-key"
	}
	a = &Association{ToAgent: told.SPI, ToMobile: m.spi, Transform: transform, Key: key.Value, Ends: m.pending.sent.Add(told.Lifetime)}
	return a, before(m.pending.sent, told.Lifetime), &key, ""
}

// before is when to see to it that what began at start does not end after d: a tenth
// of it earlier, and not within a second of the start.
func before(start time.Time, d time.Duration) time.Time {
	return start.Add(max(d-d/10, firstWait))
}

// heed does what an authentic Reply says.
func (m *Mobile) heed(now time.Time, r *wire.RegistrationReply) []MobileOutput {
	asked := m.pending
	switch {
	case r.Code == wire.IdentificationMismatch:
		// Section 3.6.2.3. Of the home agent's second, the middle. What was sent
		// before was not accepted, and may have been later.
		m.clock += keys.Until(now.Add(m.clock), r.Identification>>32<<32|1<<31)
		m.last = 0
		m.pending, m.unanswered = nil, 0 // and again at retry
		return []MobileOutput{Refused{r.Code}, Resynchronised{m.clock}}
	case r.Code == wire.MobileFailed && m.o.Method != nil:
		m.association = nil // and again at retry, with another
		m.pending = nil
		return []MobileOutput{Refused{r.Code}}
	case r.Code == wire.ReasonUnspecified || r.Code == wire.InsufficientResources:
		m.pending = nil // and again at retry
		return []MobileOutput{Refused{r.Code}}
	case r.Code.Denied():
		m.idle()
		return []MobileOutput{Refused{r.Code}}
	}
	lifetime := min(r.Lifetime, asked.lifetime) // section 3.4
	switch {
	case asked.lifetime == 0:
		m.idle()
		m.bound, m.may = false, time.Time{}
		return []MobileOutput{Deregistered{}}
	case lifetime == 0:
		return ignored("lifetime-0")
	case !r.Home.Is4() || r.Home.IsUnspecified() || !m.home.IsUnspecified() && r.Home != m.home:
		return ignored("another-home-address")
	}
	m.idle()
	m.home, m.bound = r.Home, true
	m.ends, m.refresh = time.Time{}, m.renew
	if lifetime != wire.Infinite {
		m.ends = asked.sent.Add(lifetime) // section 3.6.2.2
		m.may = m.ends
		if at := before(asked.sent, lifetime); m.refresh.IsZero() || at.Before(m.refresh) {
			m.refresh = at
		}
	}
	return []MobileOutput{Registered{Home: m.home, CareOf: m.careOf, Lifetime: lifetime, Latency: now.Sub(m.since)}}
}
