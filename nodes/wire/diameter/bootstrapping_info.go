package diameter

import "time"

// A GBAType says how a bootstrapping was authenticated: TS 29.109, section 6.3.1.11.
type GBAType uint32

const (
	GBA3G GBAType = 0
	GBA2G GBAType = 1
)

// A BootstrappingInfoRequest (BIR) asks a bootstrapping server for the key that it
// shares with a mobile node: TS 29.109, section 6.2.
type BootstrappingInfoRequest struct {
	Session string
	Identity
	DestinationRealm string
	DestinationHost  string   // empty: not told
	Services         []string // GAA-Service-Identifier
	Transaction      string   // Transaction-Identifier: the B-TID
	NAFID            []byte   // NAF-Id: the host's name, then the 5 octets of the Ua protocol (TS 33.220, annex H)
	GBAU             bool     // GBA_U-Awareness-Indicator YES
	ProxyInfo        []AVP    // of a parsed request, for its answer; not sent
}

// AppendTo appends the whole message; of h, the identifiers and the T bit are taken.
func (r *BootstrappingInfoRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = appendOctets(h.request(BootstrappingInfo, Zn).append(b), SessionID, r.Session)
	b = appendVendorApplication(b, Zn)
	b = r.Identity.append(b)
	b = appendOctets(b, DestinationRealm, r.DestinationRealm)
	b = appendText(b, DestinationHost, r.DestinationHost)
	for _, s := range r.Services {
		b = appendOctets(b, GAAServiceIdentifier, s)
	}
	b = appendOctets(b, TransactionIdentifier, r.Transaction)
	b = appendOctets(b, NAFID, r.NAFID)
	if r.GBAU {
		b = appendUint32(b, GBAUAwarenessIndicator, uint32(1))
	}
	return finish(r.appendState(b), start)
}

// ParseBootstrappingInfoRequest checks and reads m. Errors are *Failure.
func ParseBootstrappingInfoRequest(m *Message) (*BootstrappingInfoRequest, error) {
	if err := checkAs(m, BootstrappingInfo, Request); err != nil {
		return nil, err
	}
	r := &BootstrappingInfoRequest{
		Session:          text(m.AVPs, SessionID),
		Identity:         parseIdentity(m.AVPs),
		DestinationRealm: text(m.AVPs, DestinationRealm),
		DestinationHost:  text(m.AVPs, DestinationHost),
		Transaction:      text(m.AVPs, TransactionIdentifier),
		NAFID:            octets(m.AVPs, NAFID),
		GBAU:             number(m.AVPs, GBAUAwarenessIndicator) == 1,
		ProxyInfo:        all(m.AVPs, ProxyInfo),
	}
	for _, a := range all(m.AVPs, GAAServiceIdentifier) {
		r.Services = append(r.Services, string(a.Data))
	}
	return r, nil
}

// A BootstrappingInfoAnswer (BIA) brings it: TS 29.109, section 6.2.
type BootstrappingInfoAnswer struct {
	Session string
	Outcome
	Identity
	User      string    // User-Name: the IMPI; empty: not told
	Key       []byte    // ME-Key-Material: Ks_NAF, or Ks_ext_NAF of GBA_U; nil: none
	UICCKey   []byte    // UICC-Key-Material: Ks_int_NAF; nil: none
	Expires   time.Time // Key-ExpiryTime, whole seconds; zero: not told
	Created   time.Time // BootstrapInfoCreationTime, whole seconds; zero: not told
	Settings  []byte    // GBA-UserSecSettings, XML: TS 29.109, annex A; nil: not told
	Type      GBAType   // absent means GBA3G
	ProxyInfo []AVP     // of the request, in its order
}

// AppendTo appends the whole message; h is the request's header.
func (a *BootstrappingInfoAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = appendOctets(h.answer(BootstrappingInfo, Zn, a.Result).append(b), SessionID, a.Session)
	b = appendVendorApplication(b, Zn)
	b = a.Identity.append(a.Outcome.append(b))
	b = appendText(b, UserName, a.User)
	b = appendHeld(b, MEKeyMaterial, a.Key)
	b = appendHeld(b, UICCKeyMaterial, a.UICCKey)
	b, err := appendTime(b, KeyExpiryTime, a.Expires)
	if err != nil {
		return nil, err
	}
	if b, err = appendTime(b, BootstrapInfoCreationTime, a.Created); err != nil {
		return nil, err
	}
	b = appendHeld(b, GBAUserSecSettings, a.Settings)
	if a.Type != GBA3G {
		b = appendUint32(b, GBATypeAVP, a.Type)
	}
	b = appendAll(a.appendState(a.appendRest(b)), a.ProxyInfo)
	return finish(b, start)
}

// ParseBootstrappingInfoAnswer checks and reads m. Errors are *Failure. With
// Success, there is a key.
func ParseBootstrappingInfoAnswer(m *Message) (*BootstrappingInfoAnswer, error) {
	if err := checkAs(m, BootstrappingInfo, 0); err != nil {
		return nil, err
	}
	a := &BootstrappingInfoAnswer{
		Session:   text(m.AVPs, SessionID),
		Outcome:   parseOutcome(m.AVPs),
		Identity:  parseIdentity(m.AVPs),
		User:      text(m.AVPs, UserName),
		Key:       octets(m.AVPs, MEKeyMaterial),
		UICCKey:   octets(m.AVPs, UICCKeyMaterial),
		Expires:   instant(m.AVPs, KeyExpiryTime),
		Created:   instant(m.AVPs, BootstrapInfoCreationTime),
		Settings:  octets(m.AVPs, GBAUserSecSettings),
		Type:      GBAType(number(m.AVPs, GBATypeAVP)),
		ProxyInfo: all(m.AVPs, ProxyInfo),
	}
	if a.Result == Success {
		if err := wantTop(m.AVPs, MEKeyMaterial); err != nil {
			return nil, err
		}
	}
	return a, nil
}
