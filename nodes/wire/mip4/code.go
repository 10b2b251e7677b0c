package mip4

import "fmt"

// A Code is what became of a Registration Request: RFC 5944, section 3.4.
type Code uint8

// Codes: RFC 5944, section 3.4; RFC 3024, section 3.4; RFC 4721, section 10; RFC
// 2794, section 5; RFC 3957, section 7. Those of foreign agents are here as far as
// somebody who has none may be told them.
const (
	Accepted                 Code = 0
	AcceptedNoSimultaneous   Code = 1   // simultaneous bindings are not supported
	ReasonUnspecified        Code = 128 // this and those that follow are the home agent's
	Prohibited               Code = 129
	InsufficientResources    Code = 130
	MobileFailed             Code = 131 // mobile node failed authentication
	ForeignAgentFailed       Code = 132
	IdentificationMismatch   Code = 133
	PoorlyFormed             Code = 134
	TooManyBindings          Code = 135
	UnknownHomeAgent         Code = 136
	NoReverseTunnel          Code = 137
	ReverseTunnelMandatory   Code = 138
	EncapsulationUnavailable Code = 139
	MobileFailedAAA          Code = 144 // ha_bad_aaa_auth
	InvalidHomeAgentAddress  Code = 194 // a foreign agent's, among those of home agents
)

// Where those who deny begin.
const (
	foreignAgents Code = 64
	homeAgents    Code = 128
)

// Denied says whether there is no binding by this code.
func (c Code) Denied() bool { return c >= foreignAgents }

// OfHomeAgent says whether a home agent has given the code, which it has to prove.
func (c Code) OfHomeAgent() bool {
	return c < foreignAgents || c >= homeAgents && c != InvalidHomeAgentAddress
}

// String is the name of the code in kebab-case, as the RFCs have it.
func (c Code) String() string {
	switch c {
	case Accepted:
		return "accepted"
	case AcceptedNoSimultaneous:
		return "accepted-without-simultaneous-bindings"
	case ReasonUnspecified:
		return "reason-unspecified"
	case Prohibited:
		return "administratively-prohibited"
	case InsufficientResources:
		return "insufficient-resources"
	case MobileFailed:
		return "mobile-node-failed-authentication"
	case ForeignAgentFailed:
		return "foreign-agent-failed-authentication"
	case IdentificationMismatch:
		return "registration-identification-mismatch"
	case PoorlyFormed:
		return "poorly-formed-request"
	case TooManyBindings:
		return "too-many-simultaneous-bindings"
	case UnknownHomeAgent:
		return "unknown-home-agent-address"
	case NoReverseTunnel:
		return "requested-reverse-tunnel-unavailable"
	case ReverseTunnelMandatory:
		return "reverse-tunnel-is-mandatory"
	case EncapsulationUnavailable:
		return "requested-encapsulation-unavailable"
	case MobileFailedAAA:
		return "mobile-node-failed-aaa-authentication"
	case InvalidHomeAgentAddress:
		return "invalid-home-agent-address"
	}
	return fmt.Sprintf("code-%d", uint8(c))
}
