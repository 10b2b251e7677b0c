package hss

import (
	"maps"
	"strings"

	"s2clab/nodes/hss/store"
	"s2clab/nodes/wire/diameter"
)

// An AssignmentRequest tells or asks who serves a subscriber: the
// Server-Assignment-Request of TS 29.273, section 8.1.2.2.
type AssignmentRequest struct {
	Server  string // Diameter identity of the AAA server
	IMSI    string
	Type    diameter.ServerAssignmentType
	APN     string        // with PGWUpdate: Service-Selection
	Gateway store.Gateway // with PGWUpdate: MIP6-Agent-Info; the zero one: none serves it any more
}

// An AssignmentAnswer has a Profile where one was asked for and Result is Success.
type AssignmentAnswer struct {
	Result  diameter.ResultCode
	Text    string // why it is not Success, for people
	Server  string // with IdentityAlreadyRegistered: the AAA server that is
	Profile *Profile
	Err     error // what failed here, which is nobody else's business
}

// Assign follows TS 29.273, section 8.1.2.2.2. Of a server that is not the
// registered one: lab decision. Where it would register, it is told which that is,
// by IdentityAlreadyRegistered, and may come back by a request for vectors that
// tells of its failure; in all else it cannot be followed. Where nobody is
// registered, it is told so. A failed authentication ends no registration, for the
// one that holds was proven.
func (m *Machine) Assign(r AssignmentRequest) AssignmentAnswer {
	s, err := m.store.Subscriber(r.IMSI)
	if err != nil {
		return AssignmentAnswer{Result: diameter.UserUnknown, Text: "there is no such subscriber"}
	}
	held, err := m.store.Registration(r.IMSI)
	if err != nil {
		return AssignmentAnswer{Result: diameter.UnableToComply, Text: "try again later", Err: err}
	}
	serves := strings.EqualFold(held.Server, r.Server) && r.Server != ""
	switch {
	case r.Type == diameter.Registration, r.Type == diameter.ReRegistration:
		return m.register(s, held, r)
	case r.Type == diameter.AuthenticationFailure, r.Type == diameter.AuthenticationTimeout:
		return AssignmentAnswer{Result: diameter.Success}
	case held.Server == "":
		return AssignmentAnswer{Result: diameter.IdentityNotRegistered, Text: "the subscriber is not registered"}
	case !serves:
		return AssignmentAnswer{Result: diameter.UnableToComply, Text: "another AAA server serves the subscriber"}
	}
	switch r.Type {
	case diameter.AAAUserDataRequest:
		return AssignmentAnswer{Result: diameter.Success, Profile: profile(s, held)}
	case diameter.PGWUpdate:
		return m.update(s, held, r)
	case diameter.UserDeregistration, diameter.TimeoutDeregistration, diameter.AdministrativeDeregistration:
		return m.keep(r.IMSI, store.Registration{})
	}
	return AssignmentAnswer{Result: diameter.UnableToComply, Text: "this Server-Assignment-Type has no meaning here"}
}

// register makes the server that asks the one that serves the subscriber. Its PDN
// connections go on where it was so already.
func (m *Machine) register(s *store.Subscriber, held store.Registration, r AssignmentRequest) AssignmentAnswer {
	switch {
	case len(s.APNs) == 0:
		return AssignmentAnswer{Result: diameter.UserNoNon3GPPSubscription, Text: "the subscriber has no subscription for non-3GPP access"}
	case held.Server != "" && !strings.EqualFold(held.Server, r.Server):
		return AssignmentAnswer{Result: diameter.IdentityAlreadyRegistered, Text: "another AAA server serves the subscriber", Server: held.Server}
	case r.Server == "":
		return AssignmentAnswer{Result: diameter.UnableToComply, Text: "an AAA server without a name"}
	}
	if held.Server == "" {
		held = store.Registration{Server: r.Server}
		if a := m.keep(r.IMSI, held); a.Result != diameter.Success {
			return a
		}
	}
	return AssignmentAnswer{Result: diameter.Success, Profile: profile(s, held)}
}

// update keeps which PDN gateway serves an APN.
func (m *Machine) update(s *store.Subscriber, held store.Registration, r AssignmentRequest) AssignmentAnswer {
	apn, subscribed := s.APN(r.APN)
	switch {
	case r.APN == "" || r.APN == store.Wildcard:
		return AssignmentAnswer{Result: diameter.MissingAVP, Text: "want the APN"}
	case !subscribed || apn.Barred:
		return AssignmentAnswer{Result: diameter.UserNoAPNSubscription, Text: "the subscriber may not use this APN"}
	case apn.Allocation == store.Static && !r.Gateway.IsZero() && !apn.Gateway.Equal(r.Gateway):
		return AssignmentAnswer{Result: diameter.UnableToComply, Text: "the PDN gateway of this APN is fixed, and is another"}
	}
	next := store.Registration{Server: held.Server, Gateways: maps.Clone(held.Gateways)}
	name := strings.ToLower(r.APN)
	switch {
	case r.Gateway.IsZero():
		delete(next.Gateways, name)
	case next.Gateways == nil:
		next.Gateways = map[string]store.Gateway{name: r.Gateway}
	default:
		next.Gateways[name] = r.Gateway
	}
	if err := next.Check(); err != nil {
		return AssignmentAnswer{Result: diameter.UnableToComply, Text: err.Error()}
	}
	return m.keep(r.IMSI, next)
}

func (m *Machine) keep(imsi string, r store.Registration) AssignmentAnswer {
	if err := r.Check(); err != nil {
		return AssignmentAnswer{Result: diameter.UnableToComply, Text: err.Error()}
	}
	if err := m.store.Register(imsi, r); err != nil {
		return AssignmentAnswer{Result: diameter.UnableToComply, Text: "try again later", Err: err}
	}
	return AssignmentAnswer{Result: diameter.Success}
}
