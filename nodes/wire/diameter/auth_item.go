package diameter

import "fmt"

// Authentication schemes: TS 29.273, section 8.2.3, and TS 29.109, section 5.2.
const (
	SchemeEAPAKA      = "EAP-AKA"
	SchemeEAPAKAPrime = "EAP-AKA'"
	SchemeDigestAKA   = "Digest-AKAv1-MD5" // over Zh
)

// An AuthItem is an authentication vector as an HSS sends it: SIP-Auth-Data-Item,
// TS 29.229, section 6.3.13. Of EAP-AKA', CK and IK are CK' and IK': TS 29.273,
// section 8.2.3.
type AuthItem struct {
	Number uint32 // SIP-Item-Number: the order in which to use vectors; 0: not told
	Scheme string // SIP-Authentication-Scheme
	RAND   [16]byte
	AUTN   [16]byte // with RAND: SIP-Authenticate
	XRES   []byte   // SIP-Authorization, 4 to 16 octets
	CK     [16]byte // Confidentiality-Key
	IK     [16]byte // Integrity-Key
}

func (v *AuthItem) append(b []byte) ([]byte, error) {
	if len(v.XRES) < leastRES || len(v.XRES) > mostRES {
		return nil, fmt.Errorf("%v: XRES of %d octets, want %d to %d", SIPAuthDataItem, len(v.XRES), leastRES, mostRES)
	}
	return appendGroup(b, SIPAuthDataItem, func(b []byte) []byte {
		if v.Number != 0 {
			b = appendUint32(b, SIPItemNumber, v.Number)
		}
		b = appendOctets(b, SIPAuthenticationScheme, v.Scheme)
		b = appendOctets(b, SIPAuthenticate, append(v.RAND[:len(v.RAND):len(v.RAND)], v.AUTN[:]...))
		b = appendOctets(b, SIPAuthorization, v.XRES)
		b = appendOctets(b, ConfidentialityKey, v.CK[:])
		return appendOctets(b, IntegrityKey, v.IK[:])
	}), nil
}

// Lengths of RES and XRES in octets: TS 33.102, section 6.3.7.
const (
	leastRES = 4
	mostRES  = 16
)

// parseAuthItem reads a SIP-Auth-Data-Item of an answer, which Check has checked.
func parseAuthItem(group *AVP) (*AuthItem, error) {
	held, _ := ParseAVPs(group.Data)
	if err := want(held, group, SIPAuthenticationScheme, SIPAuthenticate, SIPAuthorization, ConfidentialityKey, IntegrityKey); err != nil {
		return nil, err
	}
	v := &AuthItem{
		Number: number(held, SIPItemNumber),
		Scheme: text(held, SIPAuthenticationScheme),
		XRES:   octets(held, SIPAuthorization),
		CK:     [16]byte(find(held, ConfidentialityKey).Data),
		IK:     [16]byte(find(held, IntegrityKey).Data),
	}
	challenge := find(held, SIPAuthenticate)
	if len(challenge.Data) != 32 {
		return nil, fail(InvalidAVPValue, challenge, []*AVP{group}, "%v of %d octets, want RAND and AUTN of 16 each", SIPAuthenticate, len(challenge.Data))
	}
	v.RAND, v.AUTN = [16]byte(challenge.Data), [16]byte(challenge.Data[16:])
	if n := len(v.XRES); n < leastRES || n > mostRES {
		return nil, fail(InvalidAVPValue, find(held, SIPAuthorization), []*AVP{group}, "%v of %d octets, want %d to %d", SIPAuthorization, n, leastRES, mostRES)
	}
	return v, nil
}

// A Resync asks an HSS to put its sequence number right: TS 33.102, section 6.3.5.
type Resync struct {
	RAND [16]byte // of the challenge that was not fresh
	AUTS [14]byte // what the card said to it
}

// appendAsk appends the SIP-Auth-Data-Item of a request.
func appendAsk(b []byte, scheme string, r *Resync) []byte {
	return appendGroup(b, SIPAuthDataItem, func(b []byte) []byte {
		b = appendText(b, SIPAuthenticationScheme, scheme)
		if r != nil {
			b = appendOctets(b, SIPAuthorization, append(r.RAND[:len(r.RAND):len(r.RAND)], r.AUTS[:]...))
		}
		return b
	})
}

// parseAsk reads the SIP-Auth-Data-Item of a request, which Check has checked.
func parseAsk(group *AVP) (scheme string, r *Resync, err error) {
	held, _ := ParseAVPs(group.Data)
	if a := find(held, SIPAuthorization); a != nil {
		if len(a.Data) != 30 {
			return "", nil, fail(InvalidAVPValue, a, []*AVP{group}, "%v of %d octets, want RAND of 16 and AUTS of 14", SIPAuthorization, len(a.Data))
		}
		r = &Resync{RAND: [16]byte(a.Data), AUTS: [14]byte(a.Data[16:])}
	}
	return text(held, SIPAuthenticationScheme), r, nil
}
