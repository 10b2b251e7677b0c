package diameter

// tgpp makes the codes that the 3GPP has given out.
const tgpp = Code(TGPP) << 32

// Codes that the 3GPP has given out: TS 29.061 (13), TS 29.109, table 6.1 (4xx),
// TS 29.214 (5xx), TS 29.229, table 6.3.1 (6xx), TS 32.299 (848), TS 29.212,
// table 5.3.1 (10xx), TS 29.272, table 7.3.1 (14xx), and TS 29.273, tables 5.2.3.1
// and 8.2.3.1 (318, 15xx).
const (
	ChargingCharacteristics     = tgpp | 13
	AAAServerName               = tgpp | 318
	GBAUserSecSettings          = tgpp | 400
	TransactionIdentifier       = tgpp | 401
	NAFID                       = tgpp | 402
	GAAServiceIdentifier        = tgpp | 403
	KeyExpiryTime               = tgpp | 404
	MEKeyMaterial               = tgpp | 405
	UICCKeyMaterial             = tgpp | 406
	GBAUAwarenessIndicator      = tgpp | 407
	BootstrapInfoCreationTime   = tgpp | 408
	GUSSTimestamp               = tgpp | 409
	GBATypeAVP                  = tgpp | 410
	MaxRequestedBandwidthDL     = tgpp | 515
	MaxRequestedBandwidthUL     = tgpp | 516
	VisitedNetworkIdentifier    = tgpp | 600
	SIPNumberAuthItems          = tgpp | 607
	SIPAuthenticationScheme     = tgpp | 608
	SIPAuthenticate             = tgpp | 609
	SIPAuthorization            = tgpp | 610
	SIPAuthDataItem             = tgpp | 612
	SIPItemNumber               = tgpp | 613
	ServerAssignmentTypeAVP     = tgpp | 614
	DeregistrationReasonAVP     = tgpp | 615
	ReasonCode                  = tgpp | 616
	ReasonInfo                  = tgpp | 617
	ConfidentialityKey          = tgpp | 625
	IntegrityKey                = tgpp | 626
	SupportedFeatures           = tgpp | 628
	FeatureListID               = tgpp | 629
	FeatureList                 = tgpp | 630
	ServedPartyIPAddress        = tgpp | 848
	QoSClassIdentifier          = tgpp | 1028
	RATTypeAVP                  = tgpp | 1032
	AllocationRetentionPriority = tgpp | 1034
	PriorityLevel               = tgpp | 1046
	PreemptionCapability        = tgpp | 1047
	PreemptionVulnerability     = tgpp | 1048
	ContextIdentifier           = tgpp | 1423
	APNOIReplacement            = tgpp | 1427
	APNConfigurationAVP         = tgpp | 1430
	EPSSubscribedQoSProfile     = tgpp | 1431
	VPLMNDynamicAddressAllowed  = tgpp | 1432
	AMBRAVP                     = tgpp | 1435
	PDNGWAllocationType         = tgpp | 1438
	PDNTypeAVP                  = tgpp | 1456
	SpecificAPNInfo             = tgpp | 1472
	Non3GPPUserDataAVP          = tgpp | 1500
	Non3GPPIPAccess             = tgpp | 1501
	Non3GPPIPAccessAPN          = tgpp | 1502
	ANTrusted                   = tgpp | 1503
	ANID                        = tgpp | 1504
	PPRFlags                    = tgpp | 1508
	AAAFailureIndication        = tgpp | 1518
)

// tgppDictionary holds the AVPs of the 3GPP that this package understands, by
// code. The M bit is where the tables of the specifications above have it among
// "must"; where they have it among "must not", an agent that knows the AVP
// refuses it with that bit.
var tgppDictionary = [...]definition{
	{code: ChargingCharacteristics, name: "3GPP-Charging-Characteristics", kind: utf8String, flags: Vendor | Mandatory},
	{code: AAAServerName, name: "3GPP-AAA-Server-Name", kind: identity, flags: Vendor | Mandatory},
	{code: GBAUserSecSettings, name: "GBA-UserSecSettings", kind: octetString, flags: Vendor | Mandatory},
	{code: TransactionIdentifier, name: "Transaction-Identifier", kind: octetString, flags: Vendor | Mandatory},
	{code: NAFID, name: "NAF-Id", kind: octetString, flags: Vendor | Mandatory},
	{code: GAAServiceIdentifier, name: "GAA-Service-Identifier", kind: octetString, flags: Vendor | Mandatory},
	{code: KeyExpiryTime, name: "Key-ExpiryTime", kind: octets4, flags: Vendor | Mandatory},
	{code: MEKeyMaterial, name: "ME-Key-Material", kind: octetString, flags: Vendor | Mandatory},
	{code: UICCKeyMaterial, name: "UICC-Key-Material", kind: octetString, flags: Vendor | Mandatory},
	{code: GBAUAwarenessIndicator, name: "GBA_U-Awareness-Indicator", kind: unsigned32, flags: Vendor | Mandatory},
	{code: BootstrapInfoCreationTime, name: "BootstrapInfoCreationTime", kind: octets4, flags: Vendor | Mandatory},
	{code: GUSSTimestamp, name: "GUSS-Timestamp", kind: octets4, flags: Vendor},
	{code: GBATypeAVP, name: "GBA-Type", kind: unsigned32, flags: Vendor | Mandatory},
	{code: MaxRequestedBandwidthDL, name: "Max-Requested-Bandwidth-DL", kind: unsigned32, flags: Vendor | Mandatory},
	{code: MaxRequestedBandwidthUL, name: "Max-Requested-Bandwidth-UL", kind: unsigned32, flags: Vendor | Mandatory},
	{code: VisitedNetworkIdentifier, name: "Visited-Network-Identifier", kind: octetString, flags: Vendor | Mandatory},
	{code: SIPNumberAuthItems, name: "SIP-Number-Auth-Items", kind: unsigned32, flags: Vendor | Mandatory},
	{code: SIPAuthenticationScheme, name: "SIP-Authentication-Scheme", kind: utf8String, flags: Vendor | Mandatory},
	{code: SIPAuthenticate, name: "SIP-Authenticate", kind: octetString, flags: Vendor | Mandatory},
	{code: SIPAuthorization, name: "SIP-Authorization", kind: octetString, flags: Vendor | Mandatory},
	{code: SIPAuthDataItem, name: "SIP-Auth-Data-Item", kind: grouped, flags: Vendor | Mandatory, group: authItemRules[:]},
	{code: SIPItemNumber, name: "SIP-Item-Number", kind: unsigned32, flags: Vendor | Mandatory},
	{code: ServerAssignmentTypeAVP, name: "Server-Assignment-Type", kind: unsigned32, flags: Vendor | Mandatory},
	{code: DeregistrationReasonAVP, name: "Deregistration-Reason", kind: grouped, flags: Vendor | Mandatory, group: deregistrationRules[:]},
	{code: ReasonCode, name: "Reason-Code", kind: unsigned32, flags: Vendor | Mandatory},
	{code: ReasonInfo, name: "Reason-Info", kind: utf8String, flags: Vendor | Mandatory},
	{code: ConfidentialityKey, name: "Confidentiality-Key", kind: octets16, flags: Vendor | Mandatory},
	{code: IntegrityKey, name: "Integrity-Key", kind: octets16, flags: Vendor | Mandatory},
	{code: SupportedFeatures, name: "Supported-Features", kind: grouped, flags: Vendor, group: featuresRules[:]},
	{code: FeatureListID, name: "Feature-List-ID", kind: unsigned32, flags: Vendor},
	{code: FeatureList, name: "Feature-List", kind: unsigned32, flags: Vendor},
	{code: ServedPartyIPAddress, name: "Served-Party-IP-Address", kind: address, flags: Vendor | Mandatory},
	{code: QoSClassIdentifier, name: "QoS-Class-Identifier", kind: unsigned32, flags: Vendor | Mandatory},
	{code: RATTypeAVP, name: "RAT-Type", kind: unsigned32, flags: Vendor},
	{code: AllocationRetentionPriority, name: "Allocation-Retention-Priority", kind: grouped, flags: Vendor, group: retentionRules[:]},
	{code: PriorityLevel, name: "Priority-Level", kind: unsigned32, flags: Vendor},
	{code: PreemptionCapability, name: "Pre-emption-Capability", kind: unsigned32, flags: Vendor},
	{code: PreemptionVulnerability, name: "Pre-emption-Vulnerability", kind: unsigned32, flags: Vendor},
	{code: ContextIdentifier, name: "Context-Identifier", kind: unsigned32, flags: Vendor | Mandatory},
	{code: APNOIReplacement, name: "APN-OI-Replacement", kind: utf8String, flags: Vendor | Mandatory},
	{code: APNConfigurationAVP, name: "APN-Configuration", kind: grouped, flags: Vendor | Mandatory, group: apnRules[:]},
	{code: EPSSubscribedQoSProfile, name: "EPS-Subscribed-QoS-Profile", kind: grouped, flags: Vendor | Mandatory, group: qosRules[:]},
	{code: VPLMNDynamicAddressAllowed, name: "VPLMN-Dynamic-Address-Allowed", kind: unsigned32, flags: Vendor | Mandatory},
	{code: AMBRAVP, name: "AMBR", kind: grouped, flags: Vendor | Mandatory, group: ambrRules[:]},
	{code: PDNGWAllocationType, name: "PDN-GW-Allocation-Type", kind: unsigned32, flags: Vendor | Mandatory},
	{code: PDNTypeAVP, name: "PDN-Type", kind: unsigned32, flags: Vendor | Mandatory},
	{code: SpecificAPNInfo, name: "Specific-APN-Info", kind: grouped, flags: Vendor | Mandatory, group: specificAPNRules[:]},
	{code: Non3GPPUserDataAVP, name: "Non-3GPP-User-Data", kind: grouped, flags: Vendor | Mandatory, group: userDataRules[:]},
	{code: Non3GPPIPAccess, name: "Non-3GPP-IP-Access", kind: unsigned32, flags: Vendor | Mandatory},
	{code: Non3GPPIPAccessAPN, name: "Non-3GPP-IP-Access-APN", kind: unsigned32, flags: Vendor | Mandatory},
	{code: ANTrusted, name: "AN-Trusted", kind: unsigned32, flags: Vendor | Mandatory},
	{code: ANID, name: "ANID", kind: utf8String, flags: Vendor | Mandatory},
	{code: PPRFlags, name: "PPR-Flags", kind: unsigned32, flags: Vendor},
	{code: AAAFailureIndication, name: "AAA-Failure-Indication", kind: unsigned32, flags: Vendor},
}
