package diameter

import "fmt"

// A Failure is why a message cannot be served, in the terms in which a request
// is answered: RFC 6733, section 7. It unwraps to ErrMalformed.
type Failure struct {
	Result ResultCode
	AVP    *AVP // goes into Failed-AVP; nil: none
	What   string
}

func (f *Failure) Error() string {
	return fmt.Sprintf("%s (%v, %d)", f.What, f.Result, f.Result.Number())
}

func (f *Failure) Unwrap() error { return ErrMalformed }

// failed gives what stands in Failed-AVP.
func (f *Failure) failed() []AVP {
	if f.AVP == nil {
		return nil
	}
	return []AVP{*f.AVP}
}

// An Identity says who a Diameter node is.
type Identity struct {
	Host  string // Origin-Host
	Realm string // Origin-Realm
	State uint32 // Origin-State-Id: grows with each start that loses state; 0: not told
}

func (id Identity) append(b []byte) []byte {
	b = appendOctets(b, OriginHost, id.Host)
	return appendOctets(b, OriginRealm, id.Realm)
}

func (id Identity) appendState(b []byte) []byte {
	if id.State != 0 {
		b = appendUint32(b, OriginStateID, id.State)
	}
	return b
}

func parseIdentity(avps []AVP) Identity {
	return Identity{Host: text(avps, OriginHost), Realm: text(avps, OriginRealm), State: number(avps, OriginStateID)}
}

// answerTo is the header of an answer: RFC 6733, section 6.2.
func (h Header) answerTo() Header {
	h.Flags &= Proxiable
	return h
}

// AppendFailure appends the answer to a request that cannot be served. It has
// the E bit where the code is that of a protocol error, and where the request
// does not allow the form of its own command's answer: RFC 6733, sections 7.1.5
// and 7.2. It fails where the failure is a vendor's and the answer has no place
// for that.
func AppendFailure(b []byte, request *Message, from Identity, f *Failure) ([]byte, error) {
	h := request.answerTo()
	session := request.Find(SessionID)
	if session != nil && (h.Application == Base || SessionID.kind().check(session.Data) != 0) {
		session = nil // peers have no sessions between them
	}
	form := grammarOf(h.Command, h.Application, 0)
	if f.Result.ProtocolError() || form == nil || !form.refusable(session != nil) {
		h.Flags |= Error
		form = nil
	}
	o := f.Refused()
	if form != nil && !form.allows(ExperimentalResult) {
		if err := o.plain(h.Command); err != nil {
			return nil, err
		}
	}
	start := len(b)
	b = h.append(b)
	if session != nil {
		b = session.append(b)
	}
	if form != nil {
		b = form.appendNeeds(b, request)
	}
	if form == nil && f.Result.Vendor() != 0 { // section 7.2: Result-Code must be there
		b = appendUint32(b, ResultCodeAVP, UnableToComply.Number())
	}
	b = o.append(b)
	b = from.append(b)
	b = o.appendRest(b)
	if form == nil || form.allows(OriginStateID) {
		b = from.appendState(b)
	}
	for _, a := range all(request.AVPs, ProxyInfo) { // section 6.2: in the same order
		if checkValue(&a, define(ProxyInfo), nil) == nil {
			b = a.append(b)
		}
	}
	return finish(b, start)
}

// refusable says whether an answer of that form can be made without serving the
// request.
func (g *grammar) refusable(session bool) bool {
	for _, r := range g.rules {
		switch r.code {
		case SessionID:
			if r.min > 0 && !session {
				return false
			}
		case ResultCodeAVP, OriginHost, OriginRealm, AuthApplicationID, VendorSpecificApplicationID, AuthRequestType, AuthSessionState:
		default:
			if r.min > 0 {
				return false
			}
		}
	}
	return true
}

// appendNeeds appends what an answer of that form must have besides an Outcome and
// an Identity.
func (g *grammar) appendNeeds(b []byte, request *Message) []byte {
	if g.needs(AuthApplicationID) {
		b = appendUint32(b, AuthApplicationID, request.Application)
	}
	if g.needs(VendorSpecificApplicationID) {
		b = appendVendorApplication(b, request.Application)
	}
	if g.needs(AuthRequestType) {
		asked := AuthorizeAuthenticate
		if a := request.Find(AuthRequestType); a != nil && len(a.Data) == 4 && request.Command != MIP6 { // RFC 5778, section 5.2.2: always this one
			asked = a.Uint32()
		}
		b = appendUint32(b, AuthRequestType, asked)
	}
	if g.needs(AuthSessionState) {
		b = appendUint32(b, AuthSessionState, NoStateMaintained)
	}
	if user := request.Find(UserName); user != nil && g.needs(VendorSpecificApplicationID) && g.allows(UserName) && UserName.kind().check(user.Data) == 0 {
		b = appendOctets(b, UserName, user.Data) // TS 29.273, section 8.2.2
	}
	return b
}

// appendVendorApplication appends the Vendor-Specific-Application-Id of an
// application of the 3GPP.
func appendVendorApplication(b []byte, a Application) []byte {
	return appendGroup(b, VendorSpecificApplicationID, func(b []byte) []byte {
		return appendUint32(appendUint32(b, VendorID, TGPP), AuthApplicationID, a)
	})
}

func (c Code) kind() kind { return define(c).kind }
