package radius

// Attributes of no vendor: RFC 2865, section 5, but where another RFC is named.
const (
	UserName             Type = 1
	UserPassword         Type = 2
	CHAPPassword         Type = 3
	NASIPAddress         Type = 4
	NASPort              Type = 5
	ServiceType          Type = 6
	FramedIPAddress      Type = 8
	FramedMTU            Type = 12
	ReplyMessage         Type = 18
	State                Type = 24
	Class                Type = 25
	VendorSpecific       Type = 26
	SessionTimeout       Type = 27
	IdleTimeout          Type = 28
	TerminationAction    Type = 29
	CalledStationID      Type = 30
	CallingStationID     Type = 31
	NASIdentifier        Type = 32
	ProxyState           Type = 33
	AcctSessionID        Type = 44 // RFC 2866, section 5.5
	NASPortType          Type = 61
	ARAPPassword         Type = 70  // RFC 2869, section 5.4
	ConnectInfo          Type = 77  // RFC 2869, section 5.11
	EAPMessage           Type = 79  // RFC 3579, section 3.1
	MessageAuthenticator Type = 80  // RFC 3579, section 3.2
	NASPortID            Type = 87  // RFC 2869, section 5.17
	ChargeableUser       Type = 89  // RFC 4372, section 2.2
	NASIPv6Address       Type = 95  // RFC 3162, section 2.1
	ErrorCause           Type = 101 // RFC 5176, section 3.5
)

// Attributes of Microsoft: RFC 2548, sections 2.4.2 and 2.4.3.
const (
	MPPESendKey = Type(Microsoft)<<8 | 16
	MPPERecvKey = Type(Microsoft)<<8 | 17
)

// Attributes of 3GPP2, X.S0011-005-D, by Wireshark's dictionary. That one does not
// say whether MIP6-Session-Key is covered, and the text was not to be had; it is
// here, as MN-HA-Shared-Key is and RFC 2868, section 3.5, has it: our choice.
const (
	ThreeGPP2MNHASPI                    = Type(ThreeGPP2)<<8 | 57
	ThreeGPP2MNHASharedKey              = Type(ThreeGPP2)<<8 | 58
	ThreeGPP2MIP6HomeAgentAddressFromBU = Type(ThreeGPP2)<<8 | 118
	ThreeGPP2MIP6CareOfAddress          = Type(ThreeGPP2)<<8 | 119
	ThreeGPP2HomeAgentNotAuthorized     = Type(ThreeGPP2)<<8 | 120
	ThreeGPP2MIP6SessionKey             = Type(ThreeGPP2)<<8 | 121
	ThreeGPP2MIP6MesgID                 = Type(ThreeGPP2)<<8 | 123
	ThreeGPP2MIP6HomeLinkPrefix         = Type(ThreeGPP2)<<8 | 128
	ThreeGPP2MIP6Authenticator          = Type(ThreeGPP2)<<8 | 134
	ThreeGPP2MIP6MACMobilityData        = Type(ThreeGPP2)<<8 | 138
	ThreeGPP2MIP6HomeAgentAddress       = Type(ThreeGPP2)<<8 | 140
	ThreeGPP2MIP6HOAReceivedFromBU      = Type(ThreeGPP2)<<8 | 141
)

// Attributes of the WiMAX Forum, by the dictionaries of Wireshark and FreeRADIUS.
const (
	WiMAXAAASessionID   = Type(WiMAX)<<8 | 4
	WiMAXMSK            = Type(WiMAX)<<8 | 5
	WiMAXhHAIPMIP4      = Type(WiMAX)<<8 | 6
	WiMAXhHAIPMIP6      = Type(WiMAX)<<8 | 7
	WiMAXMNhHAMIP4Key   = Type(WiMAX)<<8 | 10
	WiMAXMNhHAMIP4SPI   = Type(WiMAX)<<8 | 11
	WiMAXMNhHAMIP6Key   = Type(WiMAX)<<8 | 12
	WiMAXMNhHAMIP6SPI   = Type(WiMAX)<<8 | 13
	WiMAXFARKKey        = Type(WiMAX)<<8 | 14
	WiMAXHARKKey        = Type(WiMAX)<<8 | 15
	WiMAXHARKSPI        = Type(WiMAX)<<8 | 16
	WiMAXHARKLifetime   = Type(WiMAX)<<8 | 17
	WiMAXRRQHAIP        = Type(WiMAX)<<8 | 18
	WiMAXRRQMNHAKey     = Type(WiMAX)<<8 | 19
	WiMAXRRQMNHASPI     = Type(WiMAX)<<8 | 20
	WiMAXIPTechnology   = Type(WiMAX)<<8 | 23
	WiMAXHARKKeyRequest = Type(WiMAX)<<8 | 58
	WiMAXFARKSPI        = Type(WiMAX)<<8 | 61
	WiMAXvHAIPMIP4      = Type(WiMAX)<<8 | 64
	WiMAXvHAIPMIP6      = Type(WiMAX)<<8 | 65
	WiMAXMNvHAMIP6Key   = Type(WiMAX)<<8 | 70
	WiMAXMNvHAMIP4SPI   = Type(WiMAX)<<8 | 71
	WiMAXMNvHAMIP6SPI   = Type(WiMAX)<<8 | 72
)

// A kind is what a value consists of.
type kind uint8

const (
	octets  kind = iota // of any number
	text                // UTF-8, at least one octet
	integer             // 32 bits
	ipv4
	ipv6
	eitherIP        // IPv4 or IPv6
	covered         // a key under a Cover
	coveredPassword // under a Cover, by RFC 2865
	coveredByUs     // covered here; a dictionary does not say so
)

type definition struct {
	name string // as dictionaries have it
	kind kind
}

var dictionary = map[Type]definition{
	UserName:             {"User-Name", text},
	UserPassword:         {"User-Password", coveredPassword},
	CHAPPassword:         {"CHAP-Password", octets},
	NASIPAddress:         {"NAS-IP-Address", ipv4},
	NASPort:              {"NAS-Port", integer},
	ServiceType:          {"Service-Type", integer},
	FramedIPAddress:      {"Framed-IP-Address", ipv4},
	FramedMTU:            {"Framed-MTU", integer},
	ReplyMessage:         {"Reply-Message", text},
	State:                {"State", octets},
	Class:                {"Class", octets},
	VendorSpecific:       {"Vendor-Specific", octets},
	SessionTimeout:       {"Session-Timeout", integer},
	IdleTimeout:          {"Idle-Timeout", integer},
	TerminationAction:    {"Termination-Action", integer},
	CalledStationID:      {"Called-Station-Id", text},
	CallingStationID:     {"Calling-Station-Id", text},
	NASIdentifier:        {"NAS-Identifier", text},
	ProxyState:           {"Proxy-State", octets},
	AcctSessionID:        {"Acct-Session-Id", text},
	NASPortType:          {"NAS-Port-Type", integer},
	ARAPPassword:         {"ARAP-Password", octets},
	ConnectInfo:          {"Connect-Info", text},
	EAPMessage:           {"EAP-Message", octets},
	MessageAuthenticator: {"Message-Authenticator", octets},
	NASPortID:            {"NAS-Port-Id", text},
	ChargeableUser:       {"Chargeable-User-Identity", text},
	NASIPv6Address:       {"NAS-IPv6-Address", ipv6},
	ErrorCause:           {"Error-Cause", integer},

	MPPESendKey: {"MS-MPPE-Send-Key", covered},
	MPPERecvKey: {"MS-MPPE-Recv-Key", covered},

	ThreeGPP2MNHASPI:                    {"3GPP2-MN-HA-SPI", integer},
	ThreeGPP2MNHASharedKey:              {"3GPP2-MN-HA-Shared-Key", covered},
	ThreeGPP2MIP6HomeAgentAddressFromBU: {"3GPP2-MIP6-Home-Agent-Address-From-BU", ipv6},
	ThreeGPP2MIP6CareOfAddress:          {"3GPP2-MIP6-Care-of-Address", ipv6},
	ThreeGPP2HomeAgentNotAuthorized:     {"3GPP2-Home-Agent-Not-Authorized", integer},
	ThreeGPP2MIP6SessionKey:             {"3GPP2-MIP6-Session-Key", coveredByUs},
	ThreeGPP2MIP6MesgID:                 {"3GPP2-MIP6-Mesg-ID", octets},
	ThreeGPP2MIP6HomeLinkPrefix:         {"3GPP2-MIP6-Home-Link-Prefix-Attr-A", octets},
	ThreeGPP2MIP6Authenticator:          {"3GPP2-MIP6-Authenticator", octets},
	ThreeGPP2MIP6MACMobilityData:        {"3GPP2-MIP6-MAC-Mobility-Data", octets},
	ThreeGPP2MIP6HomeAgentAddress:       {"3GPP2-MIP6-Home-Agent-Address-Attr-B", ipv6},
	ThreeGPP2MIP6HOAReceivedFromBU:      {"3GPP2-MIP6-HOA-Received-From-BU", ipv6},

	WiMAXAAASessionID:   {"WiMAX-AAA-Session-Id", octets},
	WiMAXMSK:            {"WiMAX-MSK", covered},
	WiMAXhHAIPMIP4:      {"WiMAX-hHA-IP-MIP4", ipv4},
	WiMAXhHAIPMIP6:      {"WiMAX-hHA-IP-MIP6", ipv6},
	WiMAXMNhHAMIP4Key:   {"WiMAX-MN-hHA-MIP4-Key", covered},
	WiMAXMNhHAMIP4SPI:   {"WiMAX-MN-hHA-MIP4-SPI", integer},
	WiMAXMNhHAMIP6Key:   {"WiMAX-MN-hHA-MIP6-Key", covered},
	WiMAXMNhHAMIP6SPI:   {"WiMAX-MN-hHA-MIP6-SPI", integer},
	WiMAXFARKKey:        {"WiMAX-FA-RK-Key", covered},
	WiMAXHARKKey:        {"WiMAX-HA-RK-Key", covered},
	WiMAXHARKSPI:        {"WiMAX-HA-RK-SPI", integer},
	WiMAXHARKLifetime:   {"WiMAX-HA-RK-Lifetime", integer},
	WiMAXRRQHAIP:        {"WiMAX-RRQ-HA-IP", eitherIP},
	WiMAXRRQMNHAKey:     {"WiMAX-RRQ-MN-HA-Key", covered},
	WiMAXRRQMNHASPI:     {"WiMAX-RRQ-MN-HA-SPI", integer},
	WiMAXIPTechnology:   {"WiMAX-IP-Technology", integer},
	WiMAXHARKKeyRequest: {"WiMAX-HA-RK-Key-Requested", integer},
	WiMAXFARKSPI:        {"WiMAX-FA-RK-SPI", integer},
	WiMAXvHAIPMIP4:      {"WiMAX-vHA-IP-MIP4", ipv4},
	WiMAXvHAIPMIP6:      {"WiMAX-vHA-IP-MIP6", ipv6},
	WiMAXMNvHAMIP6Key:   {"WiMAX-MN-vHA-MIP6-Key", covered},
	WiMAXMNvHAMIP4SPI:   {"WiMAX-MN-vHA-MIP4-SPI", integer},
	WiMAXMNvHAMIP6SPI:   {"WiMAX-MN-vHA-MIP6-SPI", integer},
}

// Values of Service-Type: RFC 2865, section 5.6.
const (
	ServiceFramed           uint32 = 2
	ServiceAuthenticateOnly uint32 = 8
)

// Values of NAS-Port-Type: RFC 2865, section 5.41, and IANA's registry.
const (
	PortEthernet      uint32 = 15
	PortWireless80211 uint32 = 19
	PortWirelessCDMA  uint32 = 22
	PortWireless80216 uint32 = 27
)
