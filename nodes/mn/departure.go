package mn

import (
	"errors"
	"time"
)

// An absence is why a mobile node that is away from home holds no binding, and
// asks for none.
type absence int

// Absences.
const (
	present      absence = iota
	revoked              // by the home agent: until the mobile node is attached anew
	deregistered         // because it was told to: until it is told to register
)

func (a absence) String() string { return [...]string{"", "revoked", "deregistered"}[a] }

// Deregister has the mobile node end its binding, wherever it is, and make no
// other: RFC 6275, section 11.7.1, with a lifetime of 0; TS 23.402, section 6.5.2,
// calls it a detach. It keeps its link.
func (m *Machine) Deregister(now time.Time) ([]Output, error) {
	m.start()
	if m.absence == deregistered {
		return nil, errors.New("it is de-registered already")
	}
	m.absence = deregistered
	m.findNoMore(now)
	if m.mobileIPv4 != nil {
		m.deregister4(now)
		return m.out, nil
	}
	if m.homecoming.access != nil {
		return m.out, nil // the home agent knows, or is being told
	}
	m.depart(now)
	return m.out, nil
}

// Register ends Deregister, and what a revocation has left.
func (m *Machine) Register(now time.Time) ([]Output, error) {
	m.start()
	if m.absence == present {
		return nil, errors.New("it has not been de-registered")
	}
	m.absence = present
	if m.mobileIPv4 != nil {
		m.register4(now)
		return m.out, nil
	}
	if m.here != nil && !m.here.home {
		m.register(now)
	}
	return m.out, nil
}

func (m *Machine) start() {
	clear(m.out)
	m.out = m.out[:0]
}

// depart tells the home agent that its binding ends, where it may hold one.
func (m *Machine) depart(now time.Time) {
	switch {
	case !m.registration.mayBeHeld(now):
		m.departed()
	case m.here != nil:
		m.register(now)
	}
}

// departed ends a de-registration away from home: the home agent holds no binding
// of ours.
func (m *Machine) departed() {
	m.registration.unbind()
	m.security.expired()
	m.clearTunnel()
	m.event("deregistered", map[string]any{"home-address": m.home.address.String()})
}

// dismissed takes the news that our binding was deleted as we asked for: at home
// or away.
func (m *Machine) dismissed(now time.Time) {
	if m.homecoming.access != nil {
		m.registration.unbind()
		m.returned(now)
		if m.transfer.leaving { // the other home agent is for the next time
			m.left(now)
		}
		return
	}
	if m.transfer.leaving {
		m.left(now)
		return
	}
	m.departed()
}
