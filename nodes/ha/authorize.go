package ha

import (
	"net/netip"
	"time"

	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/mh"
)

// AuthorizeService asks an AAA server over S6b whether a mobile node may have the
// service that it was bound for, and tells it who serves it: TS 29.273, section
// 9.1.2.2. A ServiceAuthorized follows.
type AuthorizeService struct {
	NAI     string
	SPI     uint32 // of the association that it was bound by
	Service string // the APN; empty: the default one
}

// ServiceAuthorized is what became of an AuthorizeService.
type ServiceAuthorized struct {
	NAI       string
	SPI       uint32
	Result    uint32 // Result-Code; 0: no answer came
	Reason    string // why not, in kebab-case; empty: it may
	SessionID string // that the server keeps the state of
	Server    string // which: its Diameter identity
}

func (AuthorizeService) output() {}
func (ServiceAuthorized) input() {}

// authorizeService asks about an association that no AAA server has vouched for yet.
// The mobile node does not wait for it: TS 23.402, section 6.3, has the PDN gateway
// tell the AAA server after the binding.
func (m *Machine) authorizeService(q *question, nai string) {
	if m.authorizes {
		m.do(AuthorizeService{NAI: nai, SPI: q.ask.SPI, Service: q.ask.Service})
	}
}

// serviceAuthorized takes the answer. A mobile node that may not have the service
// loses its binding. That nobody could be asked takes nothing from it.
func (m *Machine) serviceAuthorized(now time.Time, in ServiceAuthorized) {
	s := m.subscribers[in.NAI]
	a := s.association(now, in.SPI) // s may be nil
	if m.tells(now, serviceAuthorized) {
		fields := map[string]any{"nai": in.NAI, "result": in.Result, "peer": in.Server}
		if in.Reason != "" {
			fields["reason"] = in.Reason
		}
		m.tell(serviceAuthorized, fields)
	}
	switch {
	case a == nil:
		if in.Result == resultSuccess {
			m.do(TerminateSession{Session: in.SessionID, NAI: in.NAI, Server: in.Server, Cause: causeAdministrative})
		}
	case in.Result == resultSuccess:
		a.session, a.server = in.SessionID, in.Server
		m.sessions[a.session] = diameterSession{s, a}
		m.changedSubscriber(s)
	case in.Result == 0, in.Result >= 3000 && in.Result < 4000, in.Result == resultUnableToComply:
	default:
		a.ended = true
		m.changedSubscriber(s)
		for _, b := range m.bindingsOf(s.nai, s.home) {
			if b.state == detecting || b.association == a {
				m.revoke(now, b, mh.RevokeAdministrative)
			}
		}
		s.due(m, now)
	}
}

// authorize asks by an AA-Request.
func (k *kernel) authorize(o AuthorizeService) {
	k.client.Ask(&diameter.AARequest{
		Application: diameter.S6b, Identity: k.identity, User: o.NAI, Type: diameter.AuthorizeOnly, Service: o.Service,
		Agent: &diameter.AgentInfo{Addresses: []netip.Addr{k.address}, Host: k.identity.Host, Realm: k.identity.Realm},
	}, func(r diampeer.Outcome) {
		k.answers(ServiceAuthorized{NAI: o.NAI, SPI: o.SPI, Result: uint32(r.Result), Reason: r.Reason, SessionID: r.Session, Server: r.Host})
	})
}
