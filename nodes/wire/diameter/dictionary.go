package diameter

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// A Code is an AVP code in the low 32 bits, and in the high ones the vendor that
// has given it out: 0 is the IETF.
type Code uint64

// Number is the code as its AVP has it.
func (c Code) Number() uint32 { return uint32(c) }

// Vendor is the Vendor-ID that stands beside the code; 0: none.
func (c Code) Vendor() uint32 { return uint32(c >> 32) }

// TGPP is the Vendor-Id of the 3GPP.
const TGPP uint32 = 10415

// Codes that the IETF has given out.
const (
	UserName                    Code = 1
	NASIPAddress                Code = 4
	NASPort                     Code = 5
	ServiceType                 Code = 6
	FramedMTU                   Code = 12
	ReplyMessage                Code = 18
	StateAVP                    Code = 24
	Class                       Code = 25
	SessionTimeout              Code = 27
	IdleTimeout                 Code = 28
	CalledStationID             Code = 30
	CallingStationID            Code = 31
	NASIdentifier               Code = 32
	ProxyState                  Code = 33
	NASPortType                 Code = 61
	ConnectInfo                 Code = 77
	AcctInterimInterval         Code = 85
	ChargeableUserIdentity      Code = 89
	NASIPv6Address              Code = 95
	EAPKeyName                  Code = 102
	MIP6FeatureVector           Code = 124
	MIP6HomeLinkPrefix          Code = 125
	HostIPAddress               Code = 257
	AuthApplicationID           Code = 258
	AcctApplicationID           Code = 259
	VendorSpecificApplicationID Code = 260
	RedirectHostUsage           Code = 261
	RedirectMaxCacheTime        Code = 262
	SessionID                   Code = 263
	OriginHost                  Code = 264
	SupportedVendorID           Code = 265
	VendorID                    Code = 266
	FirmwareRevision            Code = 267
	ResultCodeAVP               Code = 268
	ProductName                 Code = 269
	MultiRoundTimeOut           Code = 272
	DisconnectCauseAVP          Code = 273
	AuthRequestType             Code = 274
	AuthGracePeriod             Code = 276
	AuthSessionState            Code = 277
	OriginStateID               Code = 278
	FailedAVP                   Code = 279
	ProxyHost                   Code = 280
	ErrorMessage                Code = 281
	RouteRecord                 Code = 282
	DestinationRealm            Code = 283
	ProxyInfo                   Code = 284
	ReAuthRequestType           Code = 285
	AuthorizationLifetime       Code = 291
	RedirectHost                Code = 292
	DestinationHost             Code = 293
	ErrorReportingHost          Code = 294
	TerminationCauseAVP         Code = 295
	OriginRealm                 Code = 296
	ExperimentalResult          Code = 297
	ExperimentalResultCode      Code = 298
	InbandSecurityID            Code = 299
	MIPRegRequest               Code = 320
	MIPMNAAAAuth                Code = 322
	MIPMNToHAMSA                Code = 331
	MIPHAToMNMSA                Code = 332
	MIPMobileNodeAddress        Code = 333
	MIPHomeAgentAddress         Code = 334
	MIPNonce                    Code = 335
	MIPFeatureVector            Code = 337
	MIPAuthInputDataLength      Code = 338
	MIPAuthenticatorLength      Code = 339
	MIPAuthenticatorOffset      Code = 340
	MIPMNAAASPI                 Code = 341
	MIPSessionKey               Code = 343
	MIPAlgorithmType            Code = 345
	MIPReplayMode               Code = 346
	MIPHomeAgentHost            Code = 348
	MIPMSALifetime              Code = 367
	SubscriptionIDAVP           Code = 443
	SubscriptionIDData          Code = 444
	SubscriptionIDType          Code = 450
	EAPPayload                  Code = 462
	EAPReissuedPayload          Code = 463
	EAPMasterSessionKey         Code = 464
	AccountingEAPAuthMethod     Code = 465
	MIP6AgentInfo               Code = 486
	MIPCareofAddress            Code = 487
	MIPAuthenticator            Code = 488
	MIPMACMobilityData          Code = 489
	MIPTimestamp                Code = 490
	MIPMNHASPI                  Code = 491
	MIPMNHAMSA                  Code = 492
	ServiceSelection            Code = 493
	MIP6AuthMode                Code = 494
	MobileNodeIdentifier        Code = 506
	QoSResources                Code = 508
	QoSCapability               Code = 578
)

// A kind is a data format: RFC 6733, sections 4.2 and 4.3.
type kind uint8

const (
	octetString kind = iota
	unsigned32
	unsigned64
	utf8String
	identity // DiameterIdentity: a host or a realm
	uri      // DiameterURI
	address
	grouped
	octets4  // an OctetString that its definition says has 4 octets
	octets8  // ... 8 octets
	octets16 // ... 16 octets
	prefix   // MIP6-Home-Link-Prefix: a length in bits and 16 octets
)

// least is the least length in octets that a value can have.
func (k kind) least() int {
	switch k {
	case unsigned32, octets4:
		return 4
	case unsigned64, octets8:
		return 8
	case octets16:
		return 16
	case prefix:
		return 17
	case address:
		return 6
	case identity, uri:
		return 1
	}
	return 0
}

// check says what is wrong with a value, as a result code; 0: nothing.
func (k kind) check(b []byte) ResultCode {
	switch k {
	case unsigned32, unsigned64, octets4, octets8, octets16, prefix:
		if len(b) != k.least() {
			return InvalidAVPLength
		}
		if k == prefix && b[0] > 128 {
			return InvalidAVPValue
		}
	case address:
		if len(b) < 2 {
			return InvalidAVPLength
		}
		switch family := binary.BigEndian.Uint16(b); {
		case family == familyIPv4 && len(b) != 6, family == familyIPv6 && len(b) != 18:
			return InvalidAVPLength
		case family != familyIPv4 && family != familyIPv6:
			return InvalidAVPValue
		}
	case identity, uri:
		if len(b) == 0 {
			return InvalidAVPLength
		}
		if k == identity && len(b) > 255 { // a domain name
			return InvalidAVPValue
		}
		for _, c := range b {
			if c <= ' ' || c >= 0x7f { // ASCII: RFC 6733, section 4.3.1
				return InvalidAVPValue
			}
		}
	case utf8String:
		if !utf8.Valid(b) {
			return InvalidAVPValue
		}
	}
	return 0
}

// A definition is what RFCs say of one AVP.
type definition struct {
	code  Code
	name  string
	kind  kind
	flags AVPFlags // as we send it
	group []rule   // of a Grouped AVP: what it holds; nil: anything
}

// dictionary holds the AVPs that this package understands, by code. It is laid
// out by the compiler: there is nothing to do when the program starts. Where
// the M bit MUST be set is in RFC 6733, section 4.5, RFC 5778, section 6, RFC
// 5447, section 8, RFC 4072, section 4.1, RFC 4004, sections 7 and 9, and RFC 8506, section
// 8; Mobile-Node-Identifier has it in TS 29.273, table 5.2.3.1.
//
// A value whose M bit is not as here is accepted: the bit asks the receiver to
// understand, and we do.
var dictionary = [...]definition{
	{code: UserName, name: "User-Name", kind: utf8String, flags: Mandatory},
	{code: NASIPAddress, name: "NAS-IP-Address", kind: octets4, flags: Mandatory},
	{code: NASPort, name: "NAS-Port", kind: unsigned32, flags: Mandatory},
	{code: ServiceType, name: "Service-Type", kind: unsigned32, flags: Mandatory},
	{code: FramedMTU, name: "Framed-MTU", kind: unsigned32, flags: Mandatory},
	{code: ReplyMessage, name: "Reply-Message", kind: utf8String, flags: Mandatory},
	{code: StateAVP, name: "State", kind: octetString, flags: Mandatory},
	{code: Class, name: "Class", kind: octetString, flags: Mandatory},
	{code: SessionTimeout, name: "Session-Timeout", kind: unsigned32, flags: Mandatory},
	{code: IdleTimeout, name: "Idle-Timeout", kind: unsigned32, flags: Mandatory},
	{code: CalledStationID, name: "Called-Station-Id", kind: utf8String, flags: Mandatory},
	{code: CallingStationID, name: "Calling-Station-Id", kind: utf8String, flags: Mandatory},
	{code: NASIdentifier, name: "NAS-Identifier", kind: utf8String, flags: Mandatory},
	{code: ProxyState, name: "Proxy-State", kind: octetString, flags: Mandatory},
	{code: NASPortType, name: "NAS-Port-Type", kind: unsigned32, flags: Mandatory},
	{code: ConnectInfo, name: "Connect-Info", kind: utf8String, flags: Mandatory},
	{code: AcctInterimInterval, name: "Acct-Interim-Interval", kind: unsigned32, flags: Mandatory},
	{code: ChargeableUserIdentity, name: "Chargeable-User-Identity", kind: octetString, flags: Mandatory},
	{code: NASIPv6Address, name: "NAS-IPv6-Address", kind: octets16, flags: Mandatory},
	{code: EAPKeyName, name: "EAP-Key-Name", kind: octetString, flags: Mandatory},
	{code: MIP6FeatureVector, name: "MIP6-Feature-Vector", kind: unsigned64, flags: Mandatory},
	{code: MIP6HomeLinkPrefix, name: "MIP6-Home-Link-Prefix", kind: prefix, flags: Mandatory},
	{code: HostIPAddress, name: "Host-IP-Address", kind: address, flags: Mandatory},
	{code: AuthApplicationID, name: "Auth-Application-Id", kind: unsigned32, flags: Mandatory},
	{code: AcctApplicationID, name: "Acct-Application-Id", kind: unsigned32, flags: Mandatory},
	{code: VendorSpecificApplicationID, name: "Vendor-Specific-Application-Id", kind: grouped, flags: Mandatory, group: vendorApplicationRules[:]},
	{code: RedirectHostUsage, name: "Redirect-Host-Usage", kind: unsigned32, flags: Mandatory},
	{code: RedirectMaxCacheTime, name: "Redirect-Max-Cache-Time", kind: unsigned32, flags: Mandatory},
	{code: SessionID, name: "Session-Id", kind: utf8String, flags: Mandatory},
	{code: OriginHost, name: "Origin-Host", kind: identity, flags: Mandatory},
	{code: SupportedVendorID, name: "Supported-Vendor-Id", kind: unsigned32, flags: Mandatory},
	{code: VendorID, name: "Vendor-Id", kind: unsigned32, flags: Mandatory},
	{code: FirmwareRevision, name: "Firmware-Revision", kind: unsigned32},
	{code: ResultCodeAVP, name: "Result-Code", kind: unsigned32, flags: Mandatory},
	{code: ProductName, name: "Product-Name", kind: utf8String},
	{code: MultiRoundTimeOut, name: "Multi-Round-Time-Out", kind: unsigned32, flags: Mandatory},
	{code: DisconnectCauseAVP, name: "Disconnect-Cause", kind: unsigned32, flags: Mandatory},
	{code: AuthRequestType, name: "Auth-Request-Type", kind: unsigned32, flags: Mandatory},
	{code: AuthGracePeriod, name: "Auth-Grace-Period", kind: unsigned32, flags: Mandatory},
	{code: AuthSessionState, name: "Auth-Session-State", kind: unsigned32, flags: Mandatory},
	{code: OriginStateID, name: "Origin-State-Id", kind: unsigned32, flags: Mandatory},
	{code: FailedAVP, name: "Failed-AVP", kind: grouped, flags: Mandatory},
	{code: ProxyHost, name: "Proxy-Host", kind: identity, flags: Mandatory},
	{code: ErrorMessage, name: "Error-Message", kind: utf8String},
	{code: RouteRecord, name: "Route-Record", kind: identity, flags: Mandatory},
	{code: DestinationRealm, name: "Destination-Realm", kind: identity, flags: Mandatory},
	{code: ProxyInfo, name: "Proxy-Info", kind: grouped, flags: Mandatory, group: proxyInfoRules[:]},
	{code: ReAuthRequestType, name: "Re-Auth-Request-Type", kind: unsigned32, flags: Mandatory},
	{code: AuthorizationLifetime, name: "Authorization-Lifetime", kind: unsigned32, flags: Mandatory},
	{code: RedirectHost, name: "Redirect-Host", kind: uri, flags: Mandatory},
	{code: DestinationHost, name: "Destination-Host", kind: identity, flags: Mandatory},
	{code: ErrorReportingHost, name: "Error-Reporting-Host", kind: identity},
	{code: TerminationCauseAVP, name: "Termination-Cause", kind: unsigned32, flags: Mandatory},
	{code: OriginRealm, name: "Origin-Realm", kind: identity, flags: Mandatory},
	{code: ExperimentalResult, name: "Experimental-Result", kind: grouped, flags: Mandatory, group: experimentalResultRules[:]},
	{code: ExperimentalResultCode, name: "Experimental-Result-Code", kind: unsigned32, flags: Mandatory},
	{code: InbandSecurityID, name: "Inband-Security-Id", kind: unsigned32, flags: Mandatory},
	{code: MIPRegRequest, name: "MIP-Reg-Request", kind: octetString, flags: Mandatory},
	{code: MIPMNAAAAuth, name: "MIP-MN-AAA-Auth", kind: grouped, flags: Mandatory, group: authenticationRules[:]},
	{code: MIPMNToHAMSA, name: "MIP-MN-to-HA-MSA", kind: grouped, flags: Mandatory, group: mobileAssociationRules[:]},
	{code: MIPHAToMNMSA, name: "MIP-HA-to-MN-MSA", kind: grouped, flags: Mandatory, group: agentAssociationRules[:]},
	{code: MIPMobileNodeAddress, name: "MIP-Mobile-Node-Address", kind: address, flags: Mandatory},
	{code: MIPHomeAgentAddress, name: "MIP-Home-Agent-Address", kind: address, flags: Mandatory},
	{code: MIPNonce, name: "MIP-Nonce", kind: octetString, flags: Mandatory},
	{code: MIPFeatureVector, name: "MIP-Feature-Vector", kind: unsigned32, flags: Mandatory},
	{code: MIPAuthInputDataLength, name: "MIP-Auth-Input-Data-Length", kind: unsigned32, flags: Mandatory},
	{code: MIPAuthenticatorLength, name: "MIP-Authenticator-Length", kind: unsigned32, flags: Mandatory},
	{code: MIPAuthenticatorOffset, name: "MIP-Authenticator-Offset", kind: unsigned32, flags: Mandatory},
	{code: MIPMNAAASPI, name: "MIP-MN-AAA-SPI", kind: unsigned32, flags: Mandatory},
	{code: MIPSessionKey, name: "MIP-Session-Key", kind: octetString, flags: Mandatory},
	{code: MIPAlgorithmType, name: "MIP-Algorithm-Type", kind: unsigned32, flags: Mandatory},
	{code: MIPReplayMode, name: "MIP-Replay-Mode", kind: unsigned32, flags: Mandatory},
	{code: MIPHomeAgentHost, name: "MIP-Home-Agent-Host", kind: grouped, flags: Mandatory, group: homeAgentHostRules[:]},
	{code: MIPMSALifetime, name: "MIP-MSA-Lifetime", kind: unsigned32, flags: Mandatory},
	{code: SubscriptionIDAVP, name: "Subscription-Id", kind: grouped, flags: Mandatory, group: subscriptionRules[:]},
	{code: SubscriptionIDData, name: "Subscription-Id-Data", kind: utf8String, flags: Mandatory},
	{code: SubscriptionIDType, name: "Subscription-Id-Type", kind: unsigned32, flags: Mandatory},
	{code: EAPPayload, name: "EAP-Payload", kind: octetString, flags: Mandatory},
	{code: EAPReissuedPayload, name: "EAP-Reissued-Payload", kind: octetString, flags: Mandatory},
	{code: EAPMasterSessionKey, name: "EAP-Master-Session-Key", kind: octetString, flags: Mandatory},
	{code: AccountingEAPAuthMethod, name: "Accounting-EAP-Auth-Method", kind: unsigned64, flags: Mandatory},
	{code: MIP6AgentInfo, name: "MIP6-Agent-Info", kind: grouped, flags: Mandatory, group: agentInfoRules[:]},
	{code: MIPCareofAddress, name: "MIP-Careof-Address", kind: address, flags: Mandatory},
	{code: MIPAuthenticator, name: "MIP-Authenticator", kind: octetString, flags: Mandatory},
	{code: MIPMACMobilityData, name: "MIP-MAC-Mobility-Data", kind: octetString, flags: Mandatory},
	{code: MIPTimestamp, name: "MIP-Timestamp", kind: octets8, flags: Mandatory},
	{code: MIPMNHASPI, name: "MIP-MN-HA-SPI", kind: unsigned32, flags: Mandatory},
	{code: MIPMNHAMSA, name: "MIP-MN-HA-MSA", kind: grouped, flags: Mandatory, group: associationRules[:]},
	{code: ServiceSelection, name: "Service-Selection", kind: utf8String, flags: Mandatory},
	{code: MIP6AuthMode, name: "MIP6-Auth-Mode", kind: unsigned32, flags: Mandatory},
	{code: MobileNodeIdentifier, name: "Mobile-Node-Identifier", kind: utf8String, flags: Mandatory},
	{code: QoSResources, name: "QoS-Resources", kind: grouped, flags: Mandatory},
	{code: QoSCapability, name: "QoS-Capability", kind: grouped, flags: Mandatory},
}

// define finds what is known of an AVP; nil: nothing.
func define(c Code) *definition {
	words := dictionary[:]
	if c.Vendor() != 0 {
		words = tgppDictionary[:]
	}
	low, high := 0, len(words)
	for low < high {
		switch middle := (low + high) / 2; {
		case words[middle].code == c:
			return &words[middle]
		case words[middle].code < c:
			low = middle + 1
		default:
			high = middle
		}
	}
	return nil
}

// flagsOf gives the flags with which an AVP of the dictionary is sent.
func flagsOf(c Code) AVPFlags { return define(c).flags }

// String is the AVP's name as RFCs and 3GPP spell it; one that is not known is
// AVP and its number, after that of its vendor.
func (c Code) String() string {
	if d := define(c); d != nil {
		return d.name
	}
	if c.Vendor() != 0 {
		return fmt.Sprintf("AVP %d/%d", c.Vendor(), c.Number())
	}
	return fmt.Sprintf("AVP %d", c.Number())
}
