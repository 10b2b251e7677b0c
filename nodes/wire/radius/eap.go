package radius

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// An EAPRequest brings what an EAP peer said to the server: an Access-Request of
// an authenticator, RFC 3579, section 2.1. It must have a Message-Authenticator,
// which Guard adds.
type EAPRequest struct {
	NAS                // the authenticator
	User        string // User-Name: the identity that the peer gave; empty: none yet
	EAP         []byte // EAP-Message: an EAP packet; empty: EAP-Start
	State       []byte // of the Access-Challenge that this answers; nil: it begins
	Port        uint32 // NAS-Port; 0: not told
	PortType    uint32 // NAS-Port-Type; 0: not told
	Service     uint32 // Service-Type; 0: not told
	MTU         uint32 // Framed-MTU: the largest EAP packet that reaches the peer, in octets; 0: not told
	Called      string // Called-Station-Id: the authenticator's link address
	Calling     string // Calling-Station-Id: the peer's
	ConnectInfo string
}

var eapRequestRules = slices.Concat(nasRules, []rule{{EAPMessage, 1, 1, 0}},
	optional(UserName, State, NASPort, NASPortType, ServiceType, FramedMTU, CalledStationID, CallingStationID, ConnectInfo))

// AppendTo appends the attributes of the request.
func (r *EAPRequest) AppendTo(as []Attribute) ([]Attribute, error) {
	w := &writer{what: "EAP request", as: as}
	w.text(UserName, r.User)
	r.NAS.append(w)
	for _, n := range [...]struct {
		t Type
		n uint32
	}{{NASPort, r.Port}, {NASPortType, r.PortType}, {ServiceType, r.Service}, {FramedMTU, r.MTU}} {
		if n.n != 0 {
			w.number(n.t, n.n)
		}
	}
	w.text(CalledStationID, r.Called)
	w.text(CallingStationID, r.Calling)
	w.text(ConnectInfo, r.ConnectInfo)
	w.add(EAPMessage, r.EAP)
	w.octets(State, r.State)
	return w.end(len(as), eapRequestRules)
}

// ParseEAPRequest reads the attributes of a request. Every error wraps
// ErrMalformed. Whether EAP is an EAP packet is not looked at.
func ParseEAPRequest(as []Attribute) (*EAPRequest, error) {
	const what = "EAP request"
	v, err := read(what, as, eapRequestRules)
	if err != nil {
		return nil, err
	}
	nas, err := parseNAS(what, v)
	if err != nil {
		return nil, err
	}
	return &EAPRequest{
		NAS:         nas,
		User:        v.text(UserName),
		EAP:         v.octets(EAPMessage),
		State:       v.octets(State),
		Port:        v.number(NASPort),
		PortType:    v.number(NASPortType),
		Service:     v.number(ServiceType),
		MTU:         v.number(FramedMTU),
		Called:      v.text(CalledStationID),
		Calling:     v.text(CallingStationID),
		ConnectInfo: v.text(ConnectInfo),
	}, nil
}

// An EAPChallenge carries an EAP Request to the peer: an Access-Challenge.
type EAPChallenge struct {
	EAP     []byte
	State   []byte        // comes back in the next EAPRequest: RFC 5080, section 2.1.1
	Timeout time.Duration // Session-Timeout: for the peer to answer; whole seconds; 0: not told. RFC 3579, section 2.3
	Ignored bool          // Error-Cause: what the peer has said was ignored, and EAP is what it was asked before. RFC 3579, section 2.6.1
}

// ignoredEAP is the Error-Cause of an invalid EAP packet that was ignored: RFC 5176,
// section 3.5.
const ignoredEAP = 202

var eapChallengeRules = append(optional(State, SessionTimeout, ErrorCause), rule{EAPMessage, 1, 1, 0})

// AppendTo appends the attributes of the challenge.
func (c *EAPChallenge) AppendTo(as []Attribute) ([]Attribute, error) {
	w := &writer{what: "EAP challenge", as: as}
	w.add(EAPMessage, c.EAP)
	w.octets(State, c.State)
	w.seconds(SessionTimeout, c.Timeout)
	if c.Ignored {
		w.number(ErrorCause, ignoredEAP)
	}
	return w.end(len(as), eapChallengeRules)
}

// ParseEAPChallenge reads the attributes of a challenge. Every error wraps
// ErrMalformed.
func ParseEAPChallenge(as []Attribute) (*EAPChallenge, error) {
	v, err := read("EAP challenge", as, eapChallengeRules)
	if err != nil {
		return nil, err
	}
	return &EAPChallenge{EAP: v.octets(EAPMessage), State: v.octets(State), Timeout: v.seconds(SessionTimeout), Ignored: v.number(ErrorCause) == ignoredEAP}, nil
}

// An EAPReject ends an EAP conversation that failed: an Access-Reject with EAP
// Failure. RFC 3579, section 2.6.3: the code decides, not the EAP packet.
type EAPReject struct {
	EAP []byte // empty: none
}

// AppendTo appends the attributes of the reject.
func (r *EAPReject) AppendTo(as []Attribute) ([]Attribute, error) {
	w := &writer{what: "EAP reject", as: as}
	w.octets(EAPMessage, r.EAP)
	return w.end(len(as), optional(EAPMessage))
}

// ParseEAPReject reads the attributes of a reject. Every error wraps ErrMalformed.
func ParseEAPReject(as []Attribute) (*EAPReject, error) {
	v, err := read("EAP reject", as, optional(EAPMessage))
	if err != nil {
		return nil, err
	}
	return &EAPReject{EAP: v.octets(EAPMessage)}, nil
}

// MSKSize is the length of a Master Session Key in octets: RFC 3748, section 7.10.
const MSKSize = 64

// An EAPAccept ends an EAP conversation that succeeded: an Access-Accept with EAP
// Success and the keys for the authenticator.
type EAPAccept struct {
	EAP     []byte        // empty: none
	User    string        // User-Name; empty: not told
	MSK     []byte        // MSKSize octets, as MS-MPPE-Recv-Key and MS-MPPE-Send-Key; nil: the method makes none
	Timeout time.Duration // Session-Timeout: of the whole session; whole seconds; 0: not told
	Class   []byte        // nil: none
	WiMAX   *WiMAXSession // nil: none
}

// A WiMAXSession is what an access network of WiMAX gets beside EAP's keys. Of
// each, the zero value is: not told. Keys are covered.
type WiMAXSession struct {
	Session   []byte     // WiMAX-AAA-Session-Id
	MSK       []byte     // WiMAX-MSK
	HomeAgent netip.Addr // WiMAX-hHA-IP-MIP6
	Key       []byte     // WiMAX-MN-hHA-MIP6-Key: for an access network that is a proxy of the mobile node
	SPI       uint32     // WiMAX-MN-hHA-MIP6-SPI
	FARK      []byte     // WiMAX-FA-RK-Key
	FARKSPI   uint32     // WiMAX-FA-RK-SPI
}

var eapAcceptRules = optional(EAPMessage, UserName, SessionTimeout, Class, MPPERecvKey, MPPESendKey,
	WiMAXAAASessionID, WiMAXMSK, WiMAXhHAIPMIP6, WiMAXMNhHAMIP6Key, WiMAXMNhHAMIP6SPI, WiMAXFARKKey, WiMAXFARKSPI)

// AppendTo appends the attributes of the answer, whose keys c covers.
func (a *EAPAccept) AppendTo(as []Attribute, c *Cover) ([]Attribute, error) {
	w := &writer{what: "EAP accept", as: as}
	w.octets(EAPMessage, a.EAP)
	w.text(UserName, a.User)
	w.seconds(SessionTimeout, a.Timeout)
	w.octets(Class, a.Class)
	switch len(a.MSK) {
	case 0:
	case MSKSize: // RFC 5216, section 2.3: the first half is for what the peer sends
		w.key(MPPERecvKey, a.MSK[:MSKSize/2], c)
		w.key(MPPESendKey, a.MSK[MSKSize/2:], c)
	default:
		w.fail("MSK of %d octets, want %d", len(a.MSK), MSKSize)
	}
	if x := a.WiMAX; x != nil {
		w.octets(WiMAXAAASessionID, x.Session)
		w.key(WiMAXMSK, x.MSK, c)
		w.address(WiMAXhHAIPMIP6, x.HomeAgent)
		w.key(WiMAXMNhHAMIP6Key, x.Key, c)
		if x.SPI != 0 {
			w.number(WiMAXMNhHAMIP6SPI, x.SPI)
		}
		w.key(WiMAXFARKKey, x.FARK, c)
		if x.FARKSPI != 0 {
			w.number(WiMAXFARKSPI, x.FARKSPI)
		}
	}
	return w.end(len(as), eapAcceptRules)
}

// ParseEAPAccept reads the attributes of an answer, whose keys c uncovers. Every
// error wraps ErrMalformed.
func ParseEAPAccept(as []Attribute, c *Cover) (*EAPAccept, error) {
	const what = "EAP accept"
	v, err := read(what, as, eapAcceptRules)
	if err != nil {
		return nil, err
	}
	a := &EAPAccept{EAP: v.octets(EAPMessage), User: v.text(UserName), Timeout: v.seconds(SessionTimeout), Class: v.octets(Class)}
	keys := map[Type][]byte{}
	for _, t := range [...]Type{MPPERecvKey, MPPESendKey, WiMAXMSK, WiMAXMNhHAMIP6Key, WiMAXFARKKey} {
		if keys[t], err = v.key(t, c); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	if recv, send := keys[MPPERecvKey], keys[MPPESendKey]; recv != nil || send != nil {
		if len(recv) != MSKSize/2 || len(send) != MSKSize/2 {
			return nil, fmt.Errorf("%s: %v and %v of %d and %d octets, want %d: %w", what, MPPERecvKey, MPPESendKey, len(recv), len(send), MSKSize/2, ErrMalformed)
		}
		a.MSK = slices.Concat(recv, send)
	}
	if slices.ContainsFunc(v, func(a Attribute) bool { return a.Type.Vendor() == WiMAX }) {
		a.WiMAX = &WiMAXSession{
			Session:   v.octets(WiMAXAAASessionID),
			MSK:       keys[WiMAXMSK],
			HomeAgent: v.address(WiMAXhHAIPMIP6),
			Key:       keys[WiMAXMNhHAMIP6Key],
			SPI:       v.number(WiMAXMNhHAMIP6SPI),
			FARK:      keys[WiMAXFARKKey],
			FARKSPI:   v.number(WiMAXFARKSPI),
		}
	}
	return a, nil
}
