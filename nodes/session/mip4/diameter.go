package mip4

import (
	"s2clab/nodes/keys"
	"s2clab/nodes/wire/diameter"
	wire "s2clab/nodes/wire/mip4"
)

// Request is what an AAA server is asked: RFC 4004, section 3.3. Session and
// DestinationRealm are left to who sends it; the Session-Id begins with the host of id.
func (q *Ask) Request(id diameter.Identity) *diameter.AAMobileNodeRequest {
	r := &diameter.AAMobileNodeRequest{
		Identity: id, User: q.NAI, Registration: q.Octets, SPI: q.Place.SPI,
		Covers: uint32(q.Place.Covers), Offset: uint32(q.Place.Covers), Size: uint32(len(q.Place.Authenticator)),
		HomeAgent: q.HomeAgent, KeyRequested: q.Key,
	}
	if !q.Home.IsUnspecified() {
		r.Home = q.Home
	}
	return r
}

// Read is what an AAA server has said.
func Read(m *diameter.Message) Answer {
	a, err := diameter.ParseAAMobileNodeAnswer(m)
	switch {
	case err != nil:
		return Answer{Code: wire.ReasonUnspecified, Reason: "malformed-answer"}
	case a.Result != diameter.Success:
		return Answer{Code: codeOf(a.Result), Reason: a.Result.String()}
	case !a.Home.Is4():
		return Answer{Code: wire.ReasonUnspecified, Reason: "home-address"}
	}
	answer := Answer{Home: a.Home}
	if a.MSA == nil {
		return answer
	}
	transform := keys.Transform(a.MSA.Algorithm) // HMAC-SHA-1 is 2 in both registries, and Diameter has no other
	if a.MSA.Algorithm != diameter.HMACSHA1 || a.MSA.Replay != diameter.ReplayTimestamp || a.MSA.SPI < FirstSPI || len(a.MSA.Key) == 0 || len(a.MSA.Nonce) < keys.KeyGenerationNonceSize {
		return Answer{Code: wire.ReasonUnspecified, Reason: "unusable-association"}
	}
	answer.Key, answer.SPI, answer.Transform, answer.Nonce, answer.Lifetime = a.MSA.Key, a.MSA.SPI, transform, a.MSA.Nonce, a.MSA.Lifetime
	return answer
}

// Unanswered is what is made of a request to which an AAA server has not answered as to
// an AA-Mobile-Node-Request: with a protocol error, or not at all (result 0).
func Unanswered(result diameter.ResultCode, reason string) Answer {
	return Answer{Code: codeOf(result), Reason: reason}
}

// codeOf says by a code of a Registration Reply why a server did not grant: RFC 4721,
// section 10, and RFC 5944, section 3.4. RFC 4004 leaves that open.
func codeOf(r diameter.ResultCode) wire.Code {
	switch r {
	case diameter.AuthenticationRejected:
		return wire.MobileFailedAAA
	case diameter.AuthorizationRejected:
		return wire.Prohibited
	case diameter.TooBusy, diameter.OutOfSpace, diameter.ResourcesExceeded, diameter.HomeAgentNotAvailable:
		return wire.InsufficientResources
	}
	return wire.ReasonUnspecified
}
