package diameter

// A SubscriptionIDKind says what a Subscription-Id is: RFC 8506, section 8.47.
type SubscriptionIDKind uint32

const (
	EndUserE164   SubscriptionIDKind = 0 // an MSISDN
	EndUserIMSI   SubscriptionIDKind = 1
	EndUserSIPURI SubscriptionIDKind = 2
	EndUserNAI    SubscriptionIDKind = 3
)

// A SubscriptionID is one name of a subscriber: RFC 8506, section 8.46.
type SubscriptionID struct {
	Kind SubscriptionIDKind
	Name string // Subscription-Id-Data
}

func appendSubscriptions(b []byte, all []SubscriptionID) []byte {
	for _, s := range all {
		b = appendGroup(b, SubscriptionIDAVP, func(b []byte) []byte {
			return appendOctets(appendUint32(b, SubscriptionIDType, s.Kind), SubscriptionIDData, s.Name)
		})
	}
	return b
}

func parseSubscriptions(avps []AVP) (read []SubscriptionID) {
	for _, group := range all(avps, SubscriptionIDAVP) {
		held, _ := ParseAVPs(group.Data) // Check has parsed it
		read = append(read, SubscriptionID{SubscriptionIDKind(number(held, SubscriptionIDType)), text(held, SubscriptionIDData)})
	}
	return read
}
