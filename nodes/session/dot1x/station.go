package dot1x

import (
	"bytes"
	"slices"
	"time"

	"s2clab/nodes/wire/eapol"
)

// A phase is where a station stands in its authentication: 802.1X-2004, figures 8-11
// and 8-15, as far as the states last.
type phase int

const (
	connecting phase = iota // asked for its identity
	waiting                 // for the server
	asking                  // the station, in the server's name
	authorized
	held // after a failure: not listened to
)

// A station is one as an Authenticator knows it.
type station struct {
	mac          [6]byte
	phase        phase
	conversation uint64    // the last with the server
	id           byte      // of the last Request
	request      []byte    // the frame with it, while no Response has come
	copies       int       // of it, after the first
	at           time.Time // the end of the phase, or of the wait for a Response

	authorized bool      // also while it is authenticated again
	granted    uint64    // the conversation that did it
	ends       time.Time // of the authorisation; zero: never, or there is none
}

func (s *station) deadline() time.Time { return soonest(s.at, s.ends) }

// A solicitation asks whoever is there for an identity.
type solicitation struct {
	open   bool // somebody may answer it
	id     byte
	copies int
	at     time.Time
}

func (a *Authenticator) solicit(now time.Time) {
	a.id++
	a.everyone = solicitation{open: true, id: a.id, at: now.Add(a.o.TxPeriod)}
	a.send(eapol.Group, identityRequest(a.id))
}

func (a *Authenticator) solicitAgain(now time.Time) {
	if len(a.stations) > 0 || a.everyone.copies >= a.o.MaxReq {
		a.everyone.at = time.Time{}
		return
	}
	a.everyone.copies++
	a.everyone.at = now.Add(a.o.TxPeriod)
	a.send(eapol.Group, identityRequest(a.everyone.id))
}

// admit asks a new station for its identity.
func (a *Authenticator) admit(now time.Time, mac [6]byte, cause string) {
	if s := a.place(mac); s != nil {
		a.begin(now, s, cause)
	}
}

// place finds room for a new station; nil: there is none.
func (a *Authenticator) place(mac [6]byte) *station {
	if len(a.stations) >= a.o.Most {
		i := slices.IndexFunc(a.stations, func(s *station) bool {
			return !s.authorized && (s.phase == connecting || s.phase == held)
		})
		if i < 0 {
			a.ignore(mac, "too-many-stations")
			return nil
		}
		a.tell(Failed{Station: a.stations[i].mac, Reason: "too-many-stations"})
		a.stations = slices.Delete(a.stations, i, i+1)
	}
	s := &station{mac: mac}
	a.stations = append(a.stations, s)
	return s
}

// begin asks a station for its identity. If it is authorised it stays so.
func (a *Authenticator) begin(now time.Time, s *station, cause string) {
	a.abandon(s)
	// RFC 3748, section 4.1: a new Request has another identifier than the last.
	if a.id++; a.id == s.id {
		a.id++
	}
	s.phase, s.id, s.copies = connecting, a.id, 0
	s.at = now.Add(a.o.TxPeriod)
	a.tell(Began{Station: s.mac, Cause: cause})
	a.send(s.mac, identityRequest(s.id))
	s.request = bytes.Clone(a.out[len(a.out)-1].(Send).Octets)
}

func (a *Authenticator) abandon(s *station) {
	if s.phase == waiting || s.phase == asking {
		a.tell(Abandon{Station: s.mac, Conversation: s.conversation})
	}
}

// tick does what is due for a station.
func (a *Authenticator) tick(now time.Time, s *station) {
	switch {
	case due(now, s.ends):
		a.fail(now, s, "session-timeout", nil)
	case !due(now, s.at):
	case s.phase == connecting && s.copies < a.o.MaxReq:
		a.resend(now, s, a.o.TxPeriod)
	case s.phase == asking && s.copies < a.o.MaxReq:
		a.resend(now, s, a.o.SuppTimeout)
	case s.phase == connecting, s.phase == asking:
		a.silent(s)
	case s.phase == waiting:
		a.fail(now, s, "server-timeout", nil)
	case s.phase == authorized:
		a.begin(now, s, "reauth-period")
	case s.phase == held:
		a.begin(now, s, "quiet-period-over")
	}
}

func (a *Authenticator) resend(now time.Time, s *station, period time.Duration) {
	s.copies++
	s.at = now.Add(period)
	a.tell(Send{To: s.mac, Octets: bytes.Clone(s.request)})
}

// silent forgets a station that does not answer. One that was authorised is told, as it
// may only have lost its method.
func (a *Authenticator) silent(s *station) {
	if s.authorized {
		a.send(s.mac, eapResult(eapFailure, s.id))
	}
	a.tell(Failed{Station: s.mac, Reason: "no-answer"})
	a.leave(s, "no-answer")
}

// fail tells a station so, and does not listen to it for a while. Without a failure
// packet of the server it gets one that answers its last Response: RFC 3748, section
// 4.2.
func (a *Authenticator) fail(now time.Time, s *station, reason string, failure []byte) {
	if failure == nil {
		failure = eapResult(eapFailure, s.id)
	}
	a.abandon(s)
	a.shut(s, reason)
	a.send(s.mac, failure)
	a.tell(Failed{Station: s.mac, Reason: reason})
	s.phase, s.request, s.at = held, nil, now.Add(a.o.QuietPeriod)
}

func (a *Authenticator) shut(s *station, reason string) {
	if s.authorized {
		a.tell(Unauthorize{Station: s.mac, Conversation: s.granted, Reason: reason})
		s.authorized, s.ends = false, time.Time{}
	}
}

// leave forgets a station.
func (a *Authenticator) leave(s *station, reason string) {
	a.abandon(s)
	a.shut(s, reason)
	a.stations = slices.DeleteFunc(a.stations, func(other *station) bool { return other == s })
}
