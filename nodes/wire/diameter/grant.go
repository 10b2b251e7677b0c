package diameter

import "time"

// A Grant is what an answer that authorises lets a subscriber have: TS 29.273,
// sections 5.2.2, 7.2.2 and 9.2.2.
type Grant struct {
	SessionTimeout time.Duration // whole seconds, up to 4,294,967,295 s; 0: not told
	FeatureVector  *uint64       // MIP6-Feature-Vector: what the server allows; nil: not told
	Trust          *Trust        // AN-Trusted; nil: not told
	Charging       string        // 3GPP-Charging-Characteristics; empty: not told
	DefaultContext *uint32       // Context-Identifier of the APN that is meant where none is named
	OIReplacement  string        // APN-OI-Replacement; empty: none
	APNs           []APNConfiguration
	AMBR           *AMBR // nil: not told
}

func (g *Grant) append(b []byte) ([]byte, error) {
	timeout, err := inSeconds("Session-Timeout", g.SessionTimeout)
	if err != nil {
		return nil, err
	}
	if timeout != 0 {
		b = appendUint32(b, SessionTimeout, timeout)
	}
	b = appendVector(b, g.FeatureVector)
	b = appendTold(b, ANTrusted, g.Trust)
	b = appendText(b, ChargingCharacteristics, g.Charging)
	b = appendTold(b, ContextIdentifier, g.DefaultContext)
	b = appendText(b, APNOIReplacement, g.OIReplacement)
	if b, err = appendAPNs(b, g.APNs); err != nil {
		return nil, err
	}
	return g.AMBR.append(b), nil
}

// parseGrant reads AVPs that Check has checked.
func parseGrant(avps []AVP) Grant {
	return Grant{
		SessionTimeout: seconds(avps, SessionTimeout),
		FeatureVector:  parseVector(avps),
		Trust:          told[Trust](avps, ANTrusted),
		Charging:       text(avps, ChargingCharacteristics),
		DefaultContext: told[uint32](avps, ContextIdentifier),
		OIReplacement:  text(avps, APNOIReplacement),
		APNs:           parseAPNs(avps),
		AMBR:           parseAMBR(avps),
	}
}
