package diampeer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"s2clab/nodes/wire/diameter"
)

// A state is one of RFC 6733, section 5.6. I-Open and R-Open are one here: a
// Peer knows which side it is.
type state uint8

const (
	closed     state = iota // no connection; an initiator may be waiting to try again
	connecting              // Wait-Conn-Ack
	waitCEA                 // Wait-I-CEA
	waitCER                 // a responder that does not know its peer: section 5.6.1
	open                    // I-Open or R-Open
	closing                 // a DPR or DPA has been sent
)

// A health is the status of RFC 3539, appendix A.
type health uint8

const (
	initial health = iota // never opened, or closed in an orderly way
	okay
	suspect
	down
	reopen // up again after a failure: on probation until three DWAs have come
)

// A peer is one Diameter peer and the connection with it. An initiator connects
// and connects again; a responder lives as long as its connection.
type peer struct {
	local  *Local
	host   string         // Diameter identity: of an initiator's peer from the start, else from the CER
	to     netip.AddrPort // where an initiator connects
	dial   func() uint64  // names an initiator's next connection; nil: a responder
	accept func(p *peer, c *diameter.Capabilities) *diameter.Failure

	conn     uint64
	state    state
	health   health
	at       time.Time // when tick has something to do; zero: never
	address  netip.Addr
	told     diameter.Capabilities // by the peer
	hop      uint32                // Hop-by-Hop Identifier of the last request sent
	watch    uint32                // of the DWR or DPR that awaits its answer
	pending  bool                  // a DWR awaits its answer
	answers  int                   // NumDWA: RFC 3539, appendix A
	wait     time.Duration         // before the next attempt to connect
	attempt  time.Time             // when the last one began
	wanted   bool                  // connect again when at comes
	stopped  bool
	farewell string // why a closing connection ends

	out []Output
}

// start begins an initiator's first attempt.
func (p *peer) start(now time.Time) { p.connect(now) }

func (p *peer) connect(now time.Time) {
	p.conn, p.attempt = p.dial(), now
	p.state, p.at = connecting, now.Add(handshakeTimeout)
	p.emit(Connect{Conn: p.conn, To: p.to})
}

// demand says that a request waits for this peer: section 5.4 makes that a
// reason to connect at once. It says whether there is a connection to wait for.
func (p *peer) demand(now time.Time) bool {
	switch p.state {
	case connecting, waitCEA:
		return true
	case closed:
		if p.stopped || !p.attempt.IsZero() && now.Sub(p.attempt) < demandGap {
			return false
		}
		p.connect(now)
		return true
	}
	return false
}

// usable says whether requests may be sent to the peer, on probation or not.
func (p *peer) usable() bool { return p.state == open && (p.health == okay || p.health == reopen) }

func (p *peer) emit(o Output) { p.out = append(p.out, o) }

// connected is Rcv-Conn-Ack.
func (p *peer) connected(now time.Time, in Connected) {
	if p.state != connecting {
		return
	}
	p.address = in.Local
	p.hop = p.local.Rand.Uint32()
	p.state, p.at = waitCEA, now.Add(handshakeTimeout)
	cer := diameter.CapabilitiesExchangeRequest{Capabilities: p.capabilities()}
	p.request(&cer)
}

// accepted makes a responder of a connection that somebody else opened.
func (p *peer) accepted(now time.Time, in Accepted) {
	p.conn, p.address = in.Conn, in.Local
	p.hop = p.local.Rand.Uint32()
	p.state, p.at = waitCER, now.Add(handshakeTimeout)
}

func (p *peer) capabilities() diameter.Capabilities {
	return diameter.Capabilities{
		Identity:  p.local.Identity,
		Addresses: []netip.Addr{p.address.Unmap().WithZone("")},
		Product:   p.local.Product,
		Auth:      p.local.Applications,
	}
}

// A Request is a message that can be sent: one of those in nodes/wire/diameter.
type Request interface {
	AppendTo(b []byte, h diameter.Header) ([]byte, error)
}

// request sends a request of the base protocol and gives its Hop-by-Hop Identifier.
func (p *peer) request(r Request) uint32 {
	p.hop++
	b, err := r.AppendTo(nil, diameter.Header{HopByHop: p.hop, EndToEnd: p.local.Rand.Uint32()})
	if err != nil {
		panic("diampeer: a message of the base protocol: " + err.Error()) // they have no values that do not fit
	}
	p.emit(Write{Conn: p.conn, Octets: b})
	return p.hop
}

// send sends an appended request under a new Hop-by-Hop Identifier, which it gives.
func (p *peer) send(octets []byte) uint32 {
	p.hop++
	octets = slices.Clone(octets) // the same one may be on its way to another peer
	diameter.SetHopByHop(octets, p.hop)
	p.emit(Write{Conn: p.conn, Octets: octets})
	return p.hop
}

// answer sends an answer to the request with header h.
func (p *peer) answer(h diameter.Header, a Request) {
	if b, err := a.AppendTo(nil, h); err == nil {
		p.emit(Write{Conn: p.conn, Octets: b})
	}
}

func (p *peer) refuse(m *diameter.Message, f *diameter.Failure) {
	if b, err := diameter.AppendFailure(nil, m, p.local.Identity, f); err == nil {
		p.emit(Write{Conn: p.conn, Octets: b})
	}
}

// received is any message. What cannot be understood as Diameter ends the
// connection: section 2.1.
func (p *peer) received(now time.Time, octets []byte) {
	if p.state == closed || p.state == connecting {
		return
	}
	m, err := diameter.Parse(octets)
	if m == nil {
		p.fail(now, "malformed-message", true)
		return
	}
	if err == nil && m.IsRequest() {
		err = diameter.Check(m)
	}
	failure, _ := err.(*diameter.Failure)
	switch p.state {
	case waitCER:
		p.receivedFirst(now, m, failure)
	case waitCEA:
		p.receivedCEA(now, m, failure)
	case open:
		p.alive(now, m)
		p.receivedOpen(now, m, failure)
	case closing:
		if m.Command == diameter.DisconnectPeer && !m.IsRequest() && m.HopByHop == p.watch {
			p.fail(now, p.farewell, false) // whoever receives the DPA closes: section 5.4
		} else if m.Command == diameter.DisconnectPeer && m.IsRequest() && failure == nil {
			p.answer(m.Header, p.disconnectAnswer()) // both ends had enough
		}
	}
}

// receivedFirst takes a responder's first message, which must be a CER: section 5.6.1.
func (p *peer) receivedFirst(now time.Time, m *diameter.Message, failure *diameter.Failure) {
	if m.Command != diameter.CapabilitiesExchange || !m.IsRequest() {
		p.reject(now, "no-capabilities-exchange")
		return
	}
	var told diameter.Capabilities
	if failure == nil {
		cer, err := diameter.ParseCapabilitiesExchangeRequest(m)
		if err != nil {
			failure, _ = err.(*diameter.Failure)
		} else {
			told = cer.Capabilities
			p.host = told.Host
		}
	}
	own := p.capabilities()
	switch {
	case failure != nil:
	case !own.Common(&told):
		failure = &diameter.Failure{Result: diameter.NoCommonApplication, What: "no common application"}
	case !told.InsecureOnly():
		failure = &diameter.Failure{Result: diameter.NoCommonSecurity, What: "no common security mechanism"}
	default:
		failure = p.accept(p, &told)
	}
	cea := diameter.CapabilitiesExchangeAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, Capabilities: own}
	if failure != nil {
		cea.Outcome = failure.Refused()
		if failure.Result.ProtocolError() { // in the form of errors: section 7.2
			p.refuse(m, failure)
		} else {
			p.answer(m.Header, &cea)
		}
		p.reject(now, failure.Result.String())
		return
	}
	p.answer(m.Header, &cea)
	p.told = told
	p.opened(now)
}

// reject ends a connection with somebody who has not become a peer.
func (p *peer) reject(now time.Time, reason string) {
	p.emit(Rejected{Conn: p.conn, Peer: p.host, Reason: reason})
	p.emit(Close{Conn: p.conn})
	p.state, p.at = closed, time.Time{}
}

func (p *peer) receivedCEA(now time.Time, m *diameter.Message, failure *diameter.Failure) {
	if m.Command != diameter.CapabilitiesExchange || m.IsRequest() || m.HopByHop != p.hop {
		p.fail(now, "no-capabilities-exchange", true) // I-Rcv-Non-CEA
		return
	}
	if m.Flags&diameter.Error != 0 {
		reason := "malformed-answer"
		if o, _, err := diameter.ParseError(m); err == nil && failure == nil {
			reason = o.Result.String()
		}
		p.fail(now, reason, false)
		return
	}
	cea, err := diameter.ParseCapabilitiesExchangeAnswer(m)
	own := p.capabilities()
	switch {
	case err != nil || failure != nil:
		p.fail(now, "malformed-answer", true)
	case !cea.Result.Succeeded():
		p.fail(now, cea.Result.String(), false)
	case p.host != "" && !strings.EqualFold(cea.Host, p.host):
		p.fail(now, "unknown-peer", false)
	case !own.Common(&cea.Capabilities):
		p.fail(now, diameter.NoCommonApplication.String(), false)
	default:
		p.told = cea.Capabilities
		p.opened(now)
	}
}

// opened is OnConnectionUp of RFC 3539, appendix A. A peer that had failed is
// on probation; one that had said good-bye is not.
func (p *peer) opened(now time.Time) {
	p.state, p.pending, p.answers = open, false, 0
	p.setWatchdog(now)
	if p.health == down {
		p.health = reopen
		p.sendWatchdog()
	} else {
		p.health = okay
		p.wait = 0
	}
	p.emit(Up{Conn: p.conn, Peer: p.host})
}

// setWatchdog draws Tw anew. RFC 3539 jitters by 2 s either way, which an
// interval below the 6 s that it asks for at least would not bear.
func (p *peer) setWatchdog(now time.Time) {
	interval := p.local.Watchdog
	if interval <= 0 {
		interval = defaultWatchdog
	}
	jitter := min(2*time.Second, interval/3)
	p.at = now.Add(interval - jitter + time.Duration(p.local.Rand.Int64N(int64(2*jitter)+1)))
}

func (p *peer) sendWatchdog() {
	p.watch = p.request(&diameter.DeviceWatchdogRequest{Identity: p.local.Identity})
	p.pending = true
}

// alive is OnReceive of RFC 3539, appendix A.
func (p *peer) alive(now time.Time, m *diameter.Message) {
	dwa := m.Command == diameter.DeviceWatchdog && !m.IsRequest() && p.pending && m.HopByHop == p.watch
	if dwa {
		p.pending = false
	}
	switch p.health {
	case okay:
		p.setWatchdog(now)
	case suspect:
		p.health = okay
		p.emit(Restored{Conn: p.conn, Peer: p.host})
		p.setWatchdog(now)
	case reopen:
		if dwa {
			if p.answers++; p.answers == 3 {
				p.health, p.wait = okay, 0
				p.emit(Restored{Conn: p.conn, Peer: p.host})
			}
		}
	}
}

func (p *peer) receivedOpen(now time.Time, m *diameter.Message, failure *diameter.Failure) {
	if !m.IsRequest() {
		// Only requests have a Route-Record (section 6.7.1); there are agents, of
		// which freeDiameter is one, that put it into answers too.
		m.AVPs = slices.DeleteFunc(m.AVPs, func(a diameter.AVP) bool { return a.Code == diameter.RouteRecord })
		switch {
		case m.Command == diameter.DeviceWatchdog:
		case m.Application == diameter.Base:
			p.emit(Ignored{Conn: p.conn, Peer: p.host, Reason: "unexpected-" + m.Name()})
		case failure != nil:
			p.emit(answered{message: m, broken: failure})
		default:
			p.emit(answered{message: m})
		}
		return
	}
	switch {
	case failure != nil:
	case m.Command == diameter.DeviceWatchdog:
		p.answer(m.Header, &diameter.DeviceWatchdogAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, Identity: p.local.Identity})
		return
	case m.Command == diameter.DisconnectPeer:
		p.receivedDPR(now, m)
		return
	case m.Command == diameter.CapabilitiesExchange:
		failure = &diameter.Failure{Result: diameter.UnableToComply, What: "capabilities have been exchanged"}
	case !slices.Contains(p.local.Applications, m.Application):
		failure = &diameter.Failure{Result: diameter.ApplicationUnsupported, What: fmt.Sprintf("application %d is not served here", m.Application)}
	case !slices.Contains(p.local.Serves, Service{m.Application, m.Command}):
		failure = &diameter.Failure{Result: diameter.CommandUnsupported, What: m.Name() + " is not served here"}
	}
	if failure != nil {
		p.refuse(m, failure)
		p.emit(Refused{Conn: p.conn, Peer: p.host, Message: m, Failure: failure})
		return
	}
	p.emit(Deliver{Conn: p.conn, Peer: p.host, Message: m})
}

func (p *peer) disconnectAnswer() *diameter.DisconnectPeerAnswer {
	return &diameter.DisconnectPeerAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, Identity: p.local.Identity}
}

func (p *peer) receivedDPR(now time.Time, m *diameter.Message) {
	dpr, err := diameter.ParseDisconnectPeerRequest(m)
	if err != nil {
		p.refuse(m, err.(*diameter.Failure))
		return
	}
	p.answer(m.Header, p.disconnectAnswer())
	// Section 5.4.3: only after a reboot may we try again unasked.
	p.wanted = dpr.Cause == diameter.Rebooting
	p.leave(now, "disconnect-"+dpr.Cause.String())
}

// leave begins the orderly end of an open connection.
func (p *peer) leave(now time.Time, reason string) {
	p.state, p.at, p.farewell = closing, now.Add(farewellTimeout), reason
	p.emit(Down{Conn: p.conn, Peer: p.host, Reason: reason})
}

// stop is Stop of section 5.6: the application wants no connection any more.
func (p *peer) stop(now time.Time, cause diameter.DisconnectCause) {
	p.stopped = true
	switch p.state {
	case open:
		p.watch = p.request(&diameter.DisconnectPeerRequest{Identity: p.local.Identity, Cause: cause})
		p.leave(now, "stopped")
	case closing:
	case closed:
		p.at = time.Time{}
	default:
		p.fail(now, "stopped", false)
	}
}

// fail ends the connection from our side.
func (p *peer) fail(now time.Time, reason string, abort bool) {
	p.emit(Close{Conn: p.conn, Abort: abort})
	p.ended(now, reason)
}

// ended is OnConnectionDown of RFC 3539, appendix A, and Peer-Disc.
func (p *peer) ended(now time.Time, reason string) {
	was := p.state
	p.state, p.pending = closed, false
	switch {
	case was == open:
		p.health = down
		p.emit(Down{Conn: p.conn, Peer: p.host, Reason: reason})
		p.wanted = true
	case was == closing:
		p.health = initial
	default:
		p.wanted = true
		p.emit(Rejected{Conn: p.conn, Peer: p.host, Reason: reason})
	}
	p.at = time.Time{}
	if p.dial == nil || p.stopped || !p.wanted {
		return
	}
	// Tc of RFC 6733, section 2.1, is 30 s; we come to it by doubling.
	p.wait = min(max(2*p.wait, reconnectFirst), reconnectLast)
	p.at = now.Add(p.wait)
}

// tick does what is due.
func (p *peer) tick(now time.Time) {
	if p.at.IsZero() || now.Before(p.at) {
		return
	}
	switch p.state {
	case closed:
		p.connect(now)
	case connecting, waitCEA:
		p.fail(now, "time-out", true)
	case waitCER:
		p.reject(now, "time-out")
	case closing:
		p.fail(now, p.farewell, false)
	case open:
		p.elapsed(now)
	}
}

// elapsed is OnTimerElapsed of RFC 3539, appendix A, with a connection.
func (p *peer) elapsed(now time.Time) {
	p.setWatchdog(now)
	switch {
	case p.health == suspect:
		p.fail(now, "watchdog", true)
	case !p.pending:
		p.sendWatchdog()
	case p.health == okay:
		p.health = suspect
		p.emit(Suspected{Conn: p.conn, Peer: p.host})
	case p.answers < 0: // on probation
		p.fail(now, "watchdog", true)
	default:
		p.answers = -1
	}
}
