package diameter

import "time"

// A MultimediaAuthRequest (MAR) asks an HSS for authentication vectors: TS 29.273,
// section 8.2.2, of an AAA server over SWx; TS 29.109, section 5.2, of a
// bootstrapping server over Zh.
type MultimediaAuthRequest struct {
	Application Application // SWx or Zh
	Session     string
	Identity
	DestinationRealm string
	DestinationHost  string    // empty: not told
	User             string    // User-Name: over SWx an IMSI, over Zh an IMPI
	Vectors          uint32    // SIP-Number-Auth-Items; 0: not told
	Scheme           string    // SIP-Authentication-Scheme: SchemeEAPAKA, ...; empty: not told
	Resync           *Resync   // nil: the sequence number is right
	RAT              *RATType  // nil: not told
	AccessNetwork    string    // ANID: with SchemeEAPAKAPrime, what CK' and IK' are bound to; empty: not told
	VisitedNetwork   string    // Visited-Network-Identifier; empty: not told
	AAAFailure       bool      // AAA-Failure-Indication: the server that was assigned cannot be reached
	SettingsTime     time.Time // GUSS-Timestamp: of the settings that the bootstrapping server has; zero: none
	ProxyInfo        []AVP     // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *MultimediaAuthRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	h = h.request(MultimediaAuth, r.Application)
	if err := h.known(); err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.append(b), SessionID, r.Session)
	b = appendStateless(b, r.Application)
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = appendText(b, DestinationHost, r.DestinationHost)
	b = appendOctets(b, UserName, r.User)
	b = appendTold(b, RATTypeAVP, r.RAT)
	b = appendText(b, ANID, r.AccessNetwork)
	b = appendText(b, VisitedNetworkIdentifier, r.VisitedNetwork)
	if r.Scheme != "" || r.Resync != nil {
		b = appendAsk(b, r.Scheme, r.Resync)
	}
	if r.Vectors != 0 {
		b = appendUint32(b, SIPNumberAuthItems, r.Vectors)
	}
	b = appendAAAFailure(b, r.AAAFailure)
	b, err := appendTime(b, GUSSTimestamp, r.SettingsTime)
	if err != nil {
		return nil, err
	}
	return finish(r.appendState(b), start)
}

// ParseMultimediaAuthRequest checks and reads m. Errors are *Failure. Over SWx,
// the scheme and the number of vectors are there.
func ParseMultimediaAuthRequest(m *Message) (*MultimediaAuthRequest, error) {
	if err := checkAs(m, MultimediaAuth, Request); err != nil {
		return nil, err
	}
	r := &MultimediaAuthRequest{
		Application:      m.Application,
		Session:          text(m.AVPs, SessionID),
		Identity:         parseIdentity(m.AVPs),
		DestinationRealm: text(m.AVPs, DestinationRealm),
		DestinationHost:  text(m.AVPs, DestinationHost),
		User:             text(m.AVPs, UserName),
		Vectors:          number(m.AVPs, SIPNumberAuthItems),
		RAT:              told[RATType](m.AVPs, RATTypeAVP),
		AccessNetwork:    text(m.AVPs, ANID),
		VisitedNetwork:   text(m.AVPs, VisitedNetworkIdentifier),
		AAAFailure:       parseAAAFailure(m.AVPs),
		SettingsTime:     instant(m.AVPs, GUSSTimestamp),
		ProxyInfo:        all(m.AVPs, ProxyInfo),
	}
	if m.Application == SWx {
		if err := wantTop(m.AVPs, SIPNumberAuthItems, SIPAuthDataItem); err != nil {
			return nil, err
		}
	}
	group := find(m.AVPs, SIPAuthDataItem)
	if group == nil {
		return r, nil
	}
	if m.Application == SWx {
		if err := want(inner(m.AVPs, SIPAuthDataItem), group, SIPAuthenticationScheme); err != nil {
			return nil, err
		}
	}
	var err error
	r.Scheme, r.Resync, err = parseAsk(group)
	return r, err
}

// A MultimediaAuthAnswer (MAA) brings them: TS 29.273, section 8.2.2; TS 29.109,
// section 5.2.
type MultimediaAuthAnswer struct {
	Session string
	Outcome
	Identity
	User      string     // User-Name; empty: not told
	Items     []AuthItem // in the order in which to use them; their count is told with them
	Server    string     // 3GPP-AAA-Server-Name: with IdentityAlreadyRegistered, the server that was assigned
	Settings  []byte     // GBA-UserSecSettings, XML: TS 29.109, annex A; nil: not told
	ProxyInfo []AVP      // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *MultimediaAuthAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	h = h.answer(MultimediaAuth, h.Application, a.Result)
	if err := h.known(); err != nil {
		return nil, err
	}
	start := len(b)
	b = appendOctets(h.append(b), SessionID, a.Session)
	b = appendStateless(b, h.Application)
	b = a.Identity.append(a.Outcome.append(b))
	b = appendText(b, UserName, a.User)
	if len(a.Items) > 0 {
		b = appendUint32(b, SIPNumberAuthItems, uint32(len(a.Items)))
	}
	for i := range a.Items {
		var err error
		if b, err = a.Items[i].append(b); err != nil {
			return nil, err
		}
	}
	b = appendText(b, AAAServerName, a.Server)
	b = appendHeld(b, GBAUserSecSettings, a.Settings)
	b = appendAll(a.appendState(a.appendRest(b)), a.ProxyInfo)
	return finish(b, start)
}

// ParseMultimediaAuthAnswer checks and reads m. Errors are *Failure. Each item is
// a whole vector.
func ParseMultimediaAuthAnswer(m *Message) (*MultimediaAuthAnswer, error) {
	if err := checkAs(m, MultimediaAuth, 0); err != nil {
		return nil, err
	}
	a := &MultimediaAuthAnswer{
		Session:   text(m.AVPs, SessionID),
		Outcome:   parseOutcome(m.AVPs),
		Identity:  parseIdentity(m.AVPs),
		User:      text(m.AVPs, UserName),
		Server:    text(m.AVPs, AAAServerName),
		Settings:  octets(m.AVPs, GBAUserSecSettings),
		ProxyInfo: all(m.AVPs, ProxyInfo),
	}
	for _, group := range all(m.AVPs, SIPAuthDataItem) {
		v, err := parseAuthItem(&group)
		if err != nil {
			return nil, err
		}
		a.Items = append(a.Items, *v)
	}
	return a, nil
}
