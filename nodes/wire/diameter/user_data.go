package diameter

import (
	"fmt"
	"time"
)

// An IPAccess says whether a subscriber may use other accesses than the 3GPP's:
// TS 29.273, section 8.2.3.3.
type IPAccess uint32

const (
	Non3GPPAllowed IPAccess = 0
	Non3GPPBarred  IPAccess = 1
)

// An APNAccess says whether all APNs are barred there: TS 29.273, section 8.2.3.4.
type APNAccess uint32

const (
	APNsEnabled  APNAccess = 0
	APNsDisabled APNAccess = 1
)

// Non3GPPUserData is a subscription as an HSS tells it to an AAA server: TS
// 29.273, section 8.2.3.1. Pointers are nil where something is not told, which in
// a Push-Profile-Request means that it has not changed.
type Non3GPPUserData struct {
	Subscriptions  []SubscriptionID
	Access         *IPAccess     // Non-3GPP-IP-Access
	APNAccess      *APNAccess    // Non-3GPP-IP-Access-APN
	RATTypes       []RATType     // RAT-Type, as many as the subscription names
	SessionTimeout time.Duration // whole seconds, up to 4,294,967,295 s; 0: not told
	FeatureVector  *uint64       // MIP6-Feature-Vector
	AMBR           *AMBR         // of the subscriber
	Charging       string        // 3GPP-Charging-Characteristics; empty: not told
	DefaultContext *uint32       // Context-Identifier of the APN that is meant where none is named
	OIReplacement  string        // APN-OI-Replacement; empty: none
	APNs           []APNConfiguration
}

// append appends the group; nil appends nothing.
func (d *Non3GPPUserData) append(b []byte) ([]byte, error) {
	if d == nil {
		return b, nil
	}
	timeout, err := inSeconds("Session-Timeout", d.SessionTimeout)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", Non3GPPUserDataAVP, err)
	}
	apns, err := appendAPNs(nil, d.APNs)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", Non3GPPUserDataAVP, err)
	}
	return appendGroup(b, Non3GPPUserDataAVP, func(b []byte) []byte {
		b = appendSubscriptions(b, d.Subscriptions)
		b = appendTold(b, Non3GPPIPAccess, d.Access)
		b = appendTold(b, Non3GPPIPAccessAPN, d.APNAccess)
		for _, t := range d.RATTypes {
			b = appendUint32(b, RATTypeAVP, t)
		}
		if timeout != 0 {
			b = appendUint32(b, SessionTimeout, timeout)
		}
		b = appendVector(b, d.FeatureVector)
		b = d.AMBR.append(b)
		b = appendText(b, ChargingCharacteristics, d.Charging)
		b = appendTold(b, ContextIdentifier, d.DefaultContext)
		b = appendText(b, APNOIReplacement, d.OIReplacement)
		return append(b, apns...)
	}), nil
}

// parseUserData reads Non-3GPP-User-Data, which Check has checked; nil: there is
// none.
func parseUserData(avps []AVP) *Non3GPPUserData {
	if find(avps, Non3GPPUserDataAVP) == nil {
		return nil
	}
	held := inner(avps, Non3GPPUserDataAVP)
	return &Non3GPPUserData{
		Subscriptions:  parseSubscriptions(held),
		Access:         told[IPAccess](held, Non3GPPIPAccess),
		APNAccess:      told[APNAccess](held, Non3GPPIPAccessAPN),
		RATTypes:       numbers[RATType](held, RATTypeAVP),
		SessionTimeout: seconds(held, SessionTimeout),
		FeatureVector:  parseVector(held),
		AMBR:           parseAMBR(held),
		Charging:       text(held, ChargingCharacteristics),
		DefaultContext: told[uint32](held, ContextIdentifier),
		OIReplacement:  text(held, APNOIReplacement),
		APNs:           parseAPNs(held),
	}
}

// Bits of MIP6-Feature-Vector: RFC 5447, section 4.2.5, and RFC 5779, section 9.2.
const (
	MIP6Integrated           uint64 = 1 << 0
	LocalHomeAgentAssignment uint64 = 1 << 1
	PMIP6Supported           uint64 = 1 << 40
	IP4HoASupported          uint64 = 1 << 41
	LocalMAGRoutingSupported uint64 = 1 << 42
)

func appendVector(b []byte, v *uint64) []byte {
	if v == nil {
		return b
	}
	return appendUint64(b, MIP6FeatureVector, *v)
}

func parseVector(avps []AVP) *uint64 {
	a := find(avps, MIP6FeatureVector)
	if a == nil {
		return nil
	}
	return new(a.Uint64())
}
