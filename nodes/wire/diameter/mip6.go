package diameter

import (
	"crypto/sha1"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// An AuthMode says how a mobile node is authenticated: RFC 5778, section 6.20.
type AuthMode uint32

const (
	AuthMNAAA AuthMode = 1 // MIP6_AUTH_MN_AAA, the only mode that is defined

	// AuthAKA has AKA run inside Binding Updates: the answer to a first request is
	// MultiRoundAuth with a Challenge, and a second request names that one and is
	// authenticated, as in AuthMNAAA, by a key that the card made of it. Differs from RFC 5778, which has no such mode and no value
	// for private use: this one is far from those that a registry would give out.
	AuthAKA AuthMode = 0xffff0001
)

// AuthorizeAuthenticate is the Auth-Request-Type of every MIP6-Request: RFC
// 5778, section 5.2.1; RFC 6733, section 8.7.
const AuthorizeAuthenticate uint32 = 3

// Values of Auth-Session-State: RFC 6733, section 8.11.
const (
	StateMaintained   uint32 = 0
	NoStateMaintained uint32 = 1
)

// Algorithms of an MN-HA association: RFC 4004, section 9.8.
const HMACSHA1 uint32 = 2

// A ReplayMode says how replays are found: RFC 5778, section 6.14.
type ReplayMode uint32

const (
	ReplayNone      ReplayMode = 1
	ReplayTimestamp ReplayMode = 2
)

// A MIP6Request (MIR) has a Binding Update authenticated and authorised: RFC
// 5778, section 5.2.1. Optional AVPs that a home agent of ours does not send
// are checked and not kept.
type MIP6Request struct {
	Session          string // Session-Id: begins with Identity.Host and ";"
	Identity                // of the home agent
	DestinationRealm string // of the mobile node's home: the realm of its NAI
	DestinationHost  string // empty: any server of that realm
	User             string // User-Name: the NAI of the MN-NAI option
	Mode             AuthMode
	SPI              uint32       // MIP-MN-AAA-SPI; 0 in another mode than AuthMNAAA: not told
	Home             netip.Addr   // MIP-Mobile-Node-Address; unspecified: the server assigns one
	HomeAgent        netip.Addr   // MIP-Home-Agent-Address in MIP6-Agent-Info; where the Binding Update went
	CareOf           netip.Addr   // MIP-Careof-Address
	Authenticator    []byte       // MIP-Authenticator: data of the MN-AAA option; nil in another mode: none
	MobilityData     []byte       // MIP-MAC-Mobility-Data: RFC 4285, section 5.2; 20 octets; nil in another mode: none
	Answer           []byte       // SIP-Authorization (TS 29.229, section 6.3.11), 16 or 30 octets: RAND of a Challenge that was answered, with the AUTS that the card had for it; nil: none
	Timestamp        []byte       // MIP-Timestamp, 8 octets; nil: the Binding Update had none
	Service          string       // Service-Selection; empty: none
	NoState          bool         // Auth-Session-State NO_STATE_MAINTAINED, as a hint
	ProxyInfo        []AVP        // of a parsed request, for its answer; not sent
	Homes            []netip.Addr // all MIP-Mobile-Node-Address of a parsed request, Home first; not sent
	Type             uint32       // Auth-Request-Type of a parsed request; AuthorizeAuthenticate is sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *MIP6Request) AppendTo(b []byte, h Header) ([]byte, error) {
	for _, a := range []netip.Addr{r.Home, r.HomeAgent, r.CareOf} {
		if !a.IsValid() {
			return nil, fmt.Errorf("mip6a-request: address %v: want home, home agent's and care-of address", a)
		}
	}
	if r.Timestamp != nil && len(r.Timestamp) != 8 {
		return nil, fmt.Errorf("mip6a-request: timestamp of %d octets, want 8", len(r.Timestamp))
	}
	if n := len(r.Answer); r.Answer != nil && n != answerSize && n != resyncSize {
		return nil, fmt.Errorf("mip6a-request: answer to a challenge of %d octets, want %d or %d", n, answerSize, resyncSize)
	}
	start := len(b)
	b = appendOctets(h.request(MIP6, MIP6A).append(b), SessionID, r.Session)
	b = appendUint32(b, AuthApplicationID, uint32(MIP6A))
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	if r.DestinationHost != "" {
		b = appendOctets(b, DestinationHost, r.DestinationHost)
	}
	b = appendOctets(b, UserName, r.User)
	b = appendUint32(b, AuthRequestType, AuthorizeAuthenticate)
	b = r.appendState(b)
	b = appendUint32(b, MIP6AuthMode, uint32(r.Mode))
	if r.Mode == AuthMNAAA || r.SPI != 0 {
		b = appendUint32(b, MIPMNAAASPI, r.SPI)
	}
	b = appendAddress(b, MIPMobileNodeAddress, r.Home)
	b = appendGroup(b, MIP6AgentInfo, func(b []byte) []byte {
		b = appendAddress(b, MIPHomeAgentAddress, r.HomeAgent)
		return appendGroup(b, MIPHomeAgentHost, func(b []byte) []byte { // RFC 5447, section 4.2.3: RECOMMENDED
			b = appendOctets(b, DestinationRealm, r.Realm)
			return appendOctets(b, DestinationHost, r.Host)
		})
	})
	b = appendAddress(b, MIPCareofAddress, r.CareOf)
	if r.Mode == AuthMNAAA || r.Authenticator != nil {
		b = appendOctets(b, MIPAuthenticator, r.Authenticator)
	}
	if r.Mode == AuthMNAAA || r.MobilityData != nil {
		b = appendOctets(b, MIPMACMobilityData, r.MobilityData)
	}
	if r.Answer != nil {
		b = appendExtra(b, SIPAuthorization, r.Answer)
	}
	if r.Timestamp != nil {
		b = appendOctets(b, MIPTimestamp, r.Timestamp)
	}
	if r.Service != "" {
		b = appendOctets(b, ServiceSelection, r.Service)
	}
	if r.NoState {
		b = appendUint32(b, AuthSessionState, NoStateMaintained)
	}
	return finish(b, start)
}

// ParseMIP6Request checks and reads m. Errors are *Failure. With AuthMNAAA, the
// AVPs that this mode needs are there (RFC 5778, sections 6.3, 6.8 and 6.9);
// another mode is the server's to refuse.
func ParseMIP6Request(m *Message) (*MIP6Request, error) {
	if err := checkAs(m, MIP6, Request); err != nil {
		return nil, err
	}
	avps := m.AVPs
	r := &MIP6Request{
		Session:          text(avps, SessionID),
		Identity:         parseIdentity(avps),
		DestinationRealm: text(avps, DestinationRealm),
		DestinationHost:  text(avps, DestinationHost),
		User:             text(avps, UserName),
		Mode:             AuthMode(number(avps, MIP6AuthMode)),
		SPI:              number(avps, MIPMNAAASPI),
		CareOf:           find(avps, MIPCareofAddress).Address(),
		Authenticator:    octets(avps, MIPAuthenticator),
		MobilityData:     octets(avps, MIPMACMobilityData),
		Answer:           octets(avps, SIPAuthorization),
		Timestamp:        octets(avps, MIPTimestamp),
		Service:          text(avps, ServiceSelection),
		NoState:          number(avps, AuthSessionState) == NoStateMaintained,
		ProxyInfo:        all(avps, ProxyInfo),
		Homes:            addresses(avps, MIPMobileNodeAddress),
		Type:             number(avps, AuthRequestType),
	}
	r.Home = firstIPv6(r.Homes)
	agent := find(avps, MIP6AgentInfo)
	inner, _ := ParseAVPs(agent.Data) // Check has parsed it
	held := addresses(inner, MIPHomeAgentAddress)
	if len(held) == 0 { // RFC 5778, section 6.6: where the Binding Update went
		return nil, want(inner, agent, MIPHomeAgentAddress)
	}
	r.HomeAgent = firstIPv6(held)
	if n := len(r.Answer); r.Answer != nil && n != answerSize && n != resyncSize {
		return nil, &Failure{Result: InvalidAVPValue, AVP: find(avps, SIPAuthorization), What: fmt.Sprintf("%v of %d octets, want %d or %d", SIPAuthorization, n, answerSize, resyncSize)}
	}
	if r.Mode != AuthMNAAA {
		return r, nil
	}
	if err := wantTop(avps, MIPMNAAASPI, MIPAuthenticator, MIPMACMobilityData); err != nil {
		return nil, err
	}
	if len(r.MobilityData) != sha1.Size { // RFC 4285, section 5.2
		return nil, &Failure{Result: InvalidAVPValue, AVP: find(avps, MIPMACMobilityData), What: fmt.Sprintf("%v of %d octets, want %d", MIPMACMobilityData, len(r.MobilityData), sha1.Size)}
	}
	if r.Type != AuthorizeAuthenticate { // RFC 5778, section 6.20
		return nil, &Failure{Result: InvalidAVPValue, AVP: find(avps, AuthRequestType), What: fmt.Sprintf("Auth-Request-Type %d, want AUTHORIZE_AUTHENTICATE (3)", r.Type)}
	}
	return r, nil
}

// firstIPv6 prefers an IPv6 address: a mobile node with both homes has one
// MIP-Mobile-Node-Address of each kind.
func firstIPv6(all []netip.Addr) netip.Addr {
	for _, a := range all {
		if a.Is6() {
			return a
		}
	}
	return all[0]
}

// An MSA is the security association between mobile node and home agent that an
// AAA server hands out: MIP-MN-HA-MSA, RFC 5778, section 6.12.
type MSA struct {
	Key       []byte        // MIP-Session-Key
	Lifetime  time.Duration // of the key; whole seconds, 0 s to 4,294,967,295 s
	SPI       uint32        // MIP-MN-HA-SPI
	Algorithm uint32        // MIP-Algorithm-Type: HMACSHA1
	Replay    ReplayMode    // absent means ReplayNone
	Nonce     []byte        // MIP-Nonce: what the mobile node derives Key from (RFC 4004, section 9.12; RFC 3957); nil: none
}

// Lengths of what answers a Challenge in a MIP6Request.
const (
	answerSize = 16      // RAND
	resyncSize = 16 + 14 // RAND and AUTS
)

// A Challenge is what a card answers: TS 33.102, section 6.3.
type Challenge struct {
	RAND, AUTN [16]byte
}

// appendExtra appends an AVP of the 3GPP to a command that does not name it: the M
// bit would have it refused.
func appendExtra(b []byte, c Code, data []byte) []byte {
	extra := AVP{Code: c, Flags: flagsOf(c) &^ Mandatory, Data: data}
	return extra.append(b)
}

// A MIP6Answer (MIA) answers a MIP6Request: RFC 5778, section 5.2.2.
type MIP6Answer struct {
	Session string
	Outcome
	Identity                 // of the server
	User       string        // User-Name; empty: not told
	Homes      []netip.Addr  // MIP-Mobile-Node-Address: a must with Success
	Agent      netip.Addr    // MIP6-Agent-Info: the home agent to go to; not valid: not told
	MSA        *MSA          // nil: none
	Challenge  *Challenge    // SIP-Authenticate (TS 29.229, section 6.3.10): with MultiRoundAuth; nil: none
	Timestamp  []byte        // MIP-Timestamp, 8 octets; nil: not told
	Service    string        // Service-Selection; empty: not told
	State      uint32        // Auth-Session-State; absent means StateMaintained
	Authorized time.Duration // Authorization-Lifetime, whole seconds; 0: not told
	ProxyInfo  []AVP         // of the request, in its order: RFC 6733, section 6.2
}

// AppendTo appends the whole message; h is the request's header.
func (a *MIP6Answer) AppendTo(b []byte, h Header) ([]byte, error) {
	if err := a.plain(MIP6); err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.answer(MIP6, MIP6A, a.Result).append(b), SessionID, a.Session)
	b = appendUint32(b, AuthApplicationID, uint32(MIP6A))
	b = a.Outcome.append(b)
	b = a.Identity.append(b)
	b = appendUint32(b, AuthRequestType, AuthorizeAuthenticate)
	if a.User != "" {
		b = appendOctets(b, UserName, a.User)
	}
	if a.Authorized != 0 {
		seconds, err := inSeconds("Authorization-Lifetime", a.Authorized)
		if err != nil {
			return nil, err
		}
		b = appendUint32(b, AuthorizationLifetime, seconds)
	}
	b = appendUint32(b, AuthSessionState, a.State)
	b = a.appendRest(b)
	if a.Agent.IsValid() {
		b = appendGroup(b, MIP6AgentInfo, func(b []byte) []byte { return appendAddress(b, MIPHomeAgentAddress, a.Agent) })
	}
	for _, home := range a.Homes {
		b = appendAddress(b, MIPMobileNodeAddress, home)
	}
	if a.MSA != nil {
		seconds, err := inSeconds("MIP-MSA-Lifetime", a.MSA.Lifetime)
		if err != nil {
			return nil, err
		}
		b = appendGroup(b, MIPMNHAMSA, func(b []byte) []byte {
			b = appendOctets(b, MIPSessionKey, a.MSA.Key)
			b = appendUint32(b, MIPMSALifetime, seconds)
			b = appendUint32(b, MIPMNHASPI, a.MSA.SPI)
			b = appendUint32(b, MIPAlgorithmType, a.MSA.Algorithm)
			b = appendUint32(b, MIPReplayMode, uint32(a.MSA.Replay))
			return appendHeld(b, MIPNonce, a.MSA.Nonce)
		})
	}
	if a.Challenge != nil {
		b = appendExtra(b, SIPAuthenticate, append(a.Challenge.RAND[:16:16], a.Challenge.AUTN[:]...))
	}
	if a.Timestamp != nil {
		if len(a.Timestamp) != 8 {
			return nil, fmt.Errorf("mip6a-answer: timestamp of %d octets, want 8", len(a.Timestamp))
		}
		b = appendOctets(b, MIPTimestamp, a.Timestamp)
	}
	if a.Service != "" {
		b = appendOctets(b, ServiceSelection, a.Service)
	}
	b = a.appendState(b)
	b = appendAll(b, a.ProxyInfo)
	return finish(b, start)
}

// inSeconds gives d in whole seconds, which 32 bits must hold.
func inSeconds(what string, d time.Duration) (uint32, error) {
	seconds := d / time.Second
	if d < 0 || d%time.Second != 0 || seconds > math.MaxUint32 {
		return 0, fmt.Errorf("%s %v: want 0 s to %d s in steps of 1 s", what, d, uint32(math.MaxUint32))
	}
	return uint32(seconds), nil
}

// ParseMIP6Answer checks and reads m. Errors are *Failure. With Success there is
// a home address, and an MSA names its SPI and algorithm: RFC 5778, sections
// 5.2.2, 6.4 and 6.13. With MultiRoundAuth there is a Challenge. An answer with the E bit is read by ParseError.
func ParseMIP6Answer(m *Message) (*MIP6Answer, error) {
	if err := checkAs(m, MIP6, 0); err != nil {
		return nil, err
	}
	avps := m.AVPs
	a := &MIP6Answer{
		Session:    text(avps, SessionID),
		Outcome:    parseOutcome(avps),
		Identity:   parseIdentity(avps),
		User:       text(avps, UserName),
		Homes:      addresses(avps, MIPMobileNodeAddress),
		Timestamp:  octets(avps, MIPTimestamp),
		Service:    text(avps, ServiceSelection),
		State:      number(avps, AuthSessionState),
		Authorized: time.Duration(number(avps, AuthorizationLifetime)) * time.Second,
		ProxyInfo:  all(avps, ProxyInfo),
	}
	if agent := find(avps, MIP6AgentInfo); agent != nil {
		inner, _ := ParseAVPs(agent.Data) // Check has parsed it
		if held := addresses(inner, MIPHomeAgentAddress); len(held) > 0 {
			a.Agent = firstIPv6(held)
		}
	}
	if group := find(avps, MIPMNHAMSA); group != nil {
		inner, _ := ParseAVPs(group.Data)
		if err := want(inner, group, MIPMNHASPI, MIPAlgorithmType); err != nil {
			return nil, err
		}
		a.MSA = &MSA{
			Key:       octets(inner, MIPSessionKey),
			Lifetime:  time.Duration(number(inner, MIPMSALifetime)) * time.Second,
			SPI:       number(inner, MIPMNHASPI),
			Algorithm: number(inner, MIPAlgorithmType),
			Replay:    ReplayNone, // section 6.12: absence is none
			Nonce:     octets(inner, MIPNonce),
		}
		if replay := find(inner, MIPReplayMode); replay != nil {
			a.MSA.Replay = ReplayMode(replay.Uint32())
		}
	}
	if challenge := find(avps, SIPAuthenticate); challenge != nil {
		if len(challenge.Data) != 32 {
			return nil, &Failure{Result: InvalidAVPValue, AVP: challenge, What: fmt.Sprintf("%v of %d octets, want RAND and AUTN of 16 each", SIPAuthenticate, len(challenge.Data))}
		}
		a.Challenge = &Challenge{RAND: [16]byte(challenge.Data), AUTN: [16]byte(challenge.Data[16:])}
	}
	if a.Result == MultiRoundAuth {
		if err := wantTop(avps, SIPAuthenticate); err != nil {
			return nil, err
		}
	}
	if a.Result == Success && len(a.Homes) == 0 {
		missing := AVP{Code: MIPMobileNodeAddress, Flags: Mandatory}
		return nil, &Failure{Result: MissingAVP, AVP: missing.example(), What: "no MIP-Mobile-Node-Address beside success"}
	}
	return a, nil
}
