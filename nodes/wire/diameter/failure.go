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
	return fmt.Sprintf("%s (%v, %d)", f.What, f.Result, uint32(f.Result))
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
// and 7.2.
func AppendFailure(b []byte, request *Message, from Identity, f *Failure) ([]byte, error) {
	h := request.answerTo()
	session := request.Find(SessionID)
	if session != nil && (h.Application == Base || SessionID.kind().check(session.Data) != 0) {
		session = nil // peers have no sessions between them
	}
	mip6 := h.Command == MIP6 && h.Application == MIP6A && session != nil
	plain := h.Application == Base && (h.Command == DeviceWatchdog || h.Command == DisconnectPeer) ||
		h.Application == MIP6A && (h.Command == SessionTermination || h.Command == AbortSession) && session != nil
	if f.Result.ProtocolError() || !mip6 && !plain {
		h.Flags |= Error
		mip6 = false
	}
	start := len(b)
	b = h.append(b)
	if session != nil {
		b = session.append(b)
	}
	if mip6 { // RFC 5778, section 5.2.2
		b = appendUint32(b, AuthApplicationID, uint32(MIP6A))
		b = appendUint32(b, AuthRequestType, AuthorizeAuthenticate)
	}
	o := f.Refused()
	b = o.append(b)
	b = from.append(b)
	b = o.appendRest(b)
	if h.Command != DisconnectPeer {
		b = from.appendState(b)
	}
	for _, a := range all(request.AVPs, ProxyInfo) { // section 6.2: in the same order
		if checkValue(&a, define(ProxyInfo, 0), nil) == nil {
			b = a.append(b)
		}
	}
	return finish(b, start)
}

func (c Code) kind() kind { return define(c, 0).kind }
