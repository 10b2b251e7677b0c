package diameter

import (
	"fmt"
	"net/netip"
	"time"
)

// Bits of MIP-Feature-Vector: RFC 4004, section 7.5.
const (
	featureHomeAddressRequested uint32 = 1
	featureKeyRequested         uint32 = 16 // MN-HA
	featureCoLocated            uint32 = 256
)

// An AAMobileNodeRequest (AMR) has a Registration Request of Mobile IPv4 authenticated
// and authorised, for a home agent whose mobile node has a co-located care-of address:
// RFC 4004, sections 3.3 and 5.1. Optional AVPs that a home agent of ours does not send
// are checked and not kept.
type AAMobileNodeRequest struct {
	Session          string     // Session-Id: begins with Identity.Host and ";"
	Identity                    // of the home agent
	DestinationRealm string     // of the mobile node's home: the realm of its NAI
	DestinationHost  string     // empty: any server of that realm
	User             string     // User-Name: the NAI
	Registration     []byte     // MIP-Reg-Request: the Registration Request
	SPI              uint32     // MIP-MN-AAA-SPI
	Covers           uint32     // MIP-Auth-Input-Data-Length: octets from the first that the authenticator covers
	Offset           uint32     // MIP-Authenticator-Offset: where in Registration it begins
	Size             uint32     // MIP-Authenticator-Length
	Home             netip.Addr // MIP-Mobile-Node-Address, IPv4; not valid: the mobile node has none yet
	HomeAgent        netip.Addr // MIP-Home-Agent-Address, IPv4
	KeyRequested     bool       // of MIP-Feature-Vector: an MN-HA key is wanted
	NoState          bool       // Auth-Session-State NO_STATE_MAINTAINED, as a hint
	ProxyInfo        []AVP      // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *AAMobileNodeRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	if !r.HomeAgent.Is4() || r.Home.IsValid() && !r.Home.Is4() {
		return nil, fmt.Errorf("aa-mobile-node-request: home agent %v and home address %v: want IPv4", r.HomeAgent, r.Home)
	}
	if err := r.inside(); err != nil {
		return nil, fmt.Errorf("aa-mobile-node-request: %w", err)
	}
	start := len(b)
	b = appendOctets(h.request(AAMobileNode, MIP4).append(b), SessionID, r.Session)
	b = appendUint32(b, AuthApplicationID, uint32(MIP4))
	b = appendOctets(b, UserName, r.User)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = r.Identity.append(b)
	b = appendOctets(b, MIPRegRequest, r.Registration)
	b = appendGroup(b, MIPMNAAAAuth, func(b []byte) []byte {
		b = appendUint32(b, MIPMNAAASPI, r.SPI)
		b = appendUint32(b, MIPAuthInputDataLength, r.Covers)
		b = appendUint32(b, MIPAuthenticatorLength, r.Size)
		return appendUint32(b, MIPAuthenticatorOffset, r.Offset)
	})
	b = appendText(b, DestinationHost, r.DestinationHost)
	b = r.appendState(b)
	features := featureCoLocated
	if r.Home.IsValid() {
		b = appendAddress(b, MIPMobileNodeAddress, r.Home)
	} else {
		features |= featureHomeAddressRequested
	}
	if r.KeyRequested {
		features |= featureKeyRequested
	}
	b = appendAddress(b, MIPHomeAgentAddress, r.HomeAgent)
	b = appendUint32(b, MIPFeatureVector, features)
	if r.NoState {
		b = appendUint32(b, AuthSessionState, NoStateMaintained)
	}
	b = appendGroup(b, MIPHomeAgentHost, func(b []byte) []byte {
		return appendOctets(appendOctets(b, DestinationRealm, r.Realm), DestinationHost, r.Host)
	})
	return finish(b, start)
}

// inside says whether the authenticator, and what it covers, are in the registration.
func (r *AAMobileNodeRequest) inside() error {
	n := uint64(len(r.Registration))
	if uint64(r.Covers) > n || uint64(r.Offset)+uint64(r.Size) > n || r.Size == 0 {
		return fmt.Errorf("authenticator of %d octets at %d, over %d, in a registration of %d", r.Size, r.Offset, r.Covers, n)
	}
	return nil
}

// Covered is what the MN-AAA authenticator is over.
func (r *AAMobileNodeRequest) Covered() []byte { return r.Registration[:r.Covers] }

// Authenticator is that of the mobile node.
func (r *AAMobileNodeRequest) Authenticator() []byte {
	return r.Registration[r.Offset : r.Offset+r.Size]
}

// ParseAAMobileNodeRequest checks and reads m. Errors are *Failure. The authenticator,
// and what it covers, are in the registration; the home agent has told its address.
func ParseAAMobileNodeRequest(m *Message) (*AAMobileNodeRequest, error) {
	if err := checkAs(m, AAMobileNode, Request); err != nil {
		return nil, err
	}
	avps := m.AVPs
	if err := wantTop(avps, MIPHomeAgentAddress); err != nil {
		return nil, err
	}
	group := inner(avps, MIPMNAAAAuth)
	r := &AAMobileNodeRequest{
		Session:          text(avps, SessionID),
		Identity:         parseIdentity(avps),
		DestinationRealm: text(avps, DestinationRealm),
		DestinationHost:  text(avps, DestinationHost),
		User:             text(avps, UserName),
		Registration:     octets(avps, MIPRegRequest),
		SPI:              number(group, MIPMNAAASPI),
		Covers:           number(group, MIPAuthInputDataLength),
		Offset:           number(group, MIPAuthenticatorOffset),
		Size:             number(group, MIPAuthenticatorLength),
		HomeAgent:        find(avps, MIPHomeAgentAddress).Address(),
		KeyRequested:     number(avps, MIPFeatureVector)&featureKeyRequested != 0,
		NoState:          number(avps, AuthSessionState) == NoStateMaintained,
		ProxyInfo:        all(avps, ProxyInfo),
	}
	if a := find(avps, MIPMobileNodeAddress); a != nil {
		r.Home = a.Address()
		if !r.Home.Is4() {
			return nil, &Failure{Result: InvalidAVPValue, AVP: a, What: fmt.Sprintf("%v %v, want an IPv4 one", MIPMobileNodeAddress, r.Home)}
		}
	}
	if !r.HomeAgent.Is4() {
		return nil, &Failure{Result: InvalidAVPValue, AVP: find(avps, MIPHomeAgentAddress), What: fmt.Sprintf("%v %v, want an IPv4 one", MIPHomeAgentAddress, r.HomeAgent)}
	}
	if err := r.inside(); err != nil {
		return nil, &Failure{Result: InvalidAVPValue, AVP: find(avps, MIPMNAAAAuth), What: err.Error()}
	}
	return r, nil
}

// An AAMobileNodeAnswer (AMA) answers it: RFC 4004, section 5.2.
type AAMobileNodeAnswer struct {
	Session string
	Outcome
	Identity             // of the server
	User      string     // User-Name; empty: not told
	HomeAgent netip.Addr // MIP-Home-Agent-Address: a must with Success; not valid: not told
	Home      netip.Addr // MIP-Mobile-Node-Address: a must with Success; 0.0.0.0 leaves it to the home agent

	// MSA is MIP-MN-to-HA-MSA and MIP-HA-to-MN-MSA, which have one key, and
	// MIP-MSA-Lifetime; nil: none. Its Nonce is a must. The SPI is that of Requests:
	// RFC 4004 has the home agent choose it, and no AVP in which it could tell; here
	// the server does, as in RFC 5778. That of Replies the home agent knows from the
	// Request.
	MSA       *MSA
	State     uint32 // Auth-Session-State; absent means StateMaintained
	ProxyInfo []AVP  // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *AAMobileNodeAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	if err := a.plain(AAMobileNode); err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.answer(AAMobileNode, MIP4, a.Result).append(b), SessionID, a.Session)
	b = appendUint32(b, AuthApplicationID, uint32(MIP4))
	b = a.Outcome.append(b)
	b = a.Identity.append(b)
	b = appendText(b, UserName, a.User)
	b = appendUint32(b, AuthSessionState, a.State)
	b = a.appendRest(b)
	if a.MSA != nil {
		seconds, err := inSeconds("MIP-MSA-Lifetime", a.MSA.Lifetime)
		if err != nil {
			return nil, err
		}
		of := func(b []byte) []byte {
			return appendUint32(appendUint32(b, MIPAlgorithmType, a.MSA.Algorithm), MIPReplayMode, uint32(a.MSA.Replay))
		}
		b = appendGroup(b, MIPMNToHAMSA, func(b []byte) []byte {
			return appendOctets(of(appendUint32(b, MIPMNHASPI, a.MSA.SPI)), MIPNonce, a.MSA.Nonce)
		})
		b = appendGroup(b, MIPHAToMNMSA, func(b []byte) []byte { return appendOctets(of(b), MIPSessionKey, a.MSA.Key) })
		b = appendUint32(b, MIPMSALifetime, seconds)
	}
	if a.HomeAgent.IsValid() {
		b = appendAddress(b, MIPHomeAgentAddress, a.HomeAgent)
	}
	if a.Home.IsValid() {
		b = appendAddress(b, MIPMobileNodeAddress, a.Home)
	}
	b = appendAll(a.appendState(b), a.ProxyInfo)
	return finish(b, start)
}

// ParseAAMobileNodeAnswer checks and reads m. Errors are *Failure. With Success there
// are a home agent and a home address; of the two associations there are both, which
// agree, or none. An answer with the E bit is read by ParseError.
func ParseAAMobileNodeAnswer(m *Message) (*AAMobileNodeAnswer, error) {
	if err := checkAs(m, AAMobileNode, 0); err != nil {
		return nil, err
	}
	avps := m.AVPs
	a := &AAMobileNodeAnswer{
		Session:   text(avps, SessionID),
		Outcome:   parseOutcome(avps),
		Identity:  parseIdentity(avps),
		User:      text(avps, UserName),
		State:     number(avps, AuthSessionState),
		ProxyInfo: all(avps, ProxyInfo),
	}
	if agent := find(avps, MIPHomeAgentAddress); agent != nil {
		a.HomeAgent = agent.Address()
	}
	if home := find(avps, MIPMobileNodeAddress); home != nil {
		a.Home = home.Address()
	}
	if a.Result == Success {
		if err := wantTop(avps, MIPHomeAgentAddress, MIPMobileNodeAddress); err != nil {
			return nil, err
		}
	}
	toAgent, toMobile := find(avps, MIPMNToHAMSA), find(avps, MIPHAToMNMSA)
	if toAgent == nil && toMobile == nil {
		return a, nil
	}
	if err := wantTop(avps, MIPMNToHAMSA, MIPHAToMNMSA, MIPMSALifetime); err != nil {
		return nil, err
	}
	ours, theirs := inner(avps, MIPHAToMNMSA), inner(avps, MIPMNToHAMSA)
	a.MSA = &MSA{
		Key:       octets(ours, MIPSessionKey),
		Lifetime:  time.Duration(number(avps, MIPMSALifetime)) * time.Second,
		SPI:       number(theirs, MIPMNHASPI),
		Algorithm: number(theirs, MIPAlgorithmType),
		Replay:    ReplayMode(number(theirs, MIPReplayMode)),
		Nonce:     octets(theirs, MIPNonce),
	}
	if number(ours, MIPAlgorithmType) != a.MSA.Algorithm || ReplayMode(number(ours, MIPReplayMode)) != a.MSA.Replay {
		return nil, &Failure{Result: ContradictingAVPs, AVP: toMobile, What: "two associations that do not agree"}
	}
	return a, nil
}
