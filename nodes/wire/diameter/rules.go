package diameter

import (
	"fmt"
	"slices"
)

// A rule says how often an AVP may stand in a command or a Grouped AVP.
type rule struct {
	code Code
	min  uint8
	max  uint8 // many: without limit
}

const many = 255

// A grammar is a Command Code Format: RFC 6733, section 3.2. All of them end in
// *[ AVP ]: AVPs that are not named may stand there too, unless they have the M
// bit, for then they must be understood.
type grammar struct {
	command      Command
	applications []Application
	flags        Flags // Request, Proxiable; as the definition has them
	rules        []rule
}

// Applications that share grammars.
var (
	baseOnly  = []Application{Base}
	mip6aOnly = []Application{MIP6A}
	mip4Only  = []Application{MIP4}
	sessions  = []Application{MIP4, EAP, MIP6A, STa, SWm, S6b} // have commands to end one
	eapUsers  = []Application{EAP, STa, SWm, S6b}
	gateways  = []Application{STa, SWm, S6b}
	swxOnly   = []Application{SWx}
	vectors   = []Application{SWx, Zh}
	znOnly    = []Application{Zn}
)

// Grammars of commands: RFC 6733, sections 5.3 to 5.5, 8.4 and 8.5; RFC 5778,
// sections 5.2 and 8.1. MIA names MIP-Agent-Info where section 8.1 has
// MIP6-Agent-Info, which is meant; it lists MIP-MSA-Lifetime as a must of its
// own, which stands inside MIP-MN-HA-MSA.
//
// Those of the 3GPP are in TS 29.273, sections 5.2.2, 7.2.2, 8.2.2 and 9.2.2, and
// in TS 29.109, sections 5.2 and 6.2. Where one of them has both Result-Code and
// Experimental-Result, an answer has one of the two. User-Name, which TS 29.273
// wants in answers over SWx, may be missing in one to a request without it.
//
// Differs from RFC 6733, section 6.7.1: Route-Record may stand in answers, because
// relays are found (freeDiameter 1.2.1) that put it there, with the M bit.
var grammars = [...]grammar{
	{CapabilitiesExchange, baseOnly, Request, []rule{
		{OriginHost, 1, 1}, {OriginRealm, 1, 1}, {HostIPAddress, 1, many}, {VendorID, 1, 1}, {ProductName, 1, 1},
		{OriginStateID, 0, 1}, {SupportedVendorID, 0, many}, {AuthApplicationID, 0, many}, {InbandSecurityID, 0, many},
		{AcctApplicationID, 0, many}, {VendorSpecificApplicationID, 0, many}, {FirmwareRevision, 0, 1},
		{ResultCodeAVP, 0, 0}, {FailedAVP, 0, 0}, {SessionID, 0, 0}, {DestinationHost, 0, 0}, {DestinationRealm, 0, 0},
	}},
	{CapabilitiesExchange, baseOnly, 0, []rule{
		{ResultCodeAVP, 1, 1},
		{OriginHost, 1, 1}, {OriginRealm, 1, 1}, {HostIPAddress, 1, many}, {VendorID, 1, 1}, {ProductName, 1, 1},
		{OriginStateID, 0, 1}, {ErrorMessage, 0, 1}, {FailedAVP, 0, 1}, {SupportedVendorID, 0, many},
		{AuthApplicationID, 0, many}, {InbandSecurityID, 0, many},
		{AcctApplicationID, 0, many}, {VendorSpecificApplicationID, 0, many}, {FirmwareRevision, 0, 1},
		{SessionID, 0, 0}, {DestinationHost, 0, 0}, {DestinationRealm, 0, 0},
	}},
	{DeviceWatchdog, baseOnly, Request, []rule{
		{OriginHost, 1, 1}, {OriginRealm, 1, 1}, {OriginStateID, 0, 1},
		{ResultCodeAVP, 0, 0}, {SessionID, 0, 0},
	}},
	{DeviceWatchdog, baseOnly, 0, []rule{
		{ResultCodeAVP, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {ErrorMessage, 0, 1}, {FailedAVP, 0, 1}, {OriginStateID, 0, 1},
	}},
	{DisconnectPeer, baseOnly, Request, []rule{
		{OriginHost, 1, 1}, {OriginRealm, 1, 1}, {DisconnectCauseAVP, 1, 1},
		{ResultCodeAVP, 0, 0}, {SessionID, 0, 0},
	}},
	{DisconnectPeer, baseOnly, 0, []rule{
		{ResultCodeAVP, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {ErrorMessage, 0, 1}, {FailedAVP, 0, 1},
	}},
	{AbortSession, sessions, Request | Proxiable, []rule{
		{SessionID, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {DestinationRealm, 1, 1}, {DestinationHost, 1, 1},
		{AuthApplicationID, 1, 1}, {UserName, 0, 1}, {AuthSessionState, 0, 1}, {OriginStateID, 0, 1}, {ProxyInfo, 0, many},
		{RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0},
	}},
	{AbortSession, sessions, Proxiable, []rule{
		{SessionID, 1, 1}, {ResultCodeAVP, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {UserName, 0, 1},
		{ErrorMessage, 0, 1}, {ErrorReportingHost, 0, 1}, {FailedAVP, 0, many}, {OriginStateID, 0, 1}, {RedirectHost, 0, many},
		{RedirectHostUsage, 0, 1}, {RedirectMaxCacheTime, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
	}},
	{SessionTermination, sessions, Request | Proxiable, []rule{
		{SessionID, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {DestinationRealm, 1, 1}, {AuthApplicationID, 1, 1},
		{TerminationCauseAVP, 1, 1}, {UserName, 0, 1}, {DestinationHost, 0, 1}, {Class, 0, many}, {OriginStateID, 0, 1},
		{ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0},
	}},
	{SessionTermination, sessions, Proxiable, []rule{
		{SessionID, 1, 1}, {ResultCodeAVP, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {UserName, 0, 1}, {Class, 0, many},
		{ErrorMessage, 0, 1}, {ErrorReportingHost, 0, 1}, {FailedAVP, 0, many}, {OriginStateID, 0, 1}, {RedirectHost, 0, many},
		{RedirectHostUsage, 0, 1}, {RedirectMaxCacheTime, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
	}},
	{MIP6, mip6aOnly, Request | Proxiable, []rule{
		{SessionID, 1, 1}, {AuthApplicationID, 1, 1}, {UserName, 1, 1}, {DestinationRealm, 1, 1}, {OriginHost, 1, 1},
		{OriginRealm, 1, 1}, {AuthRequestType, 1, 1}, {DestinationHost, 0, 1}, {OriginStateID, 0, 1}, {NASIdentifier, 0, 1},
		{NASIPAddress, 0, 1}, {NASIPv6Address, 0, 1}, {NASPortType, 0, 1}, {CalledStationID, 0, 1}, {CallingStationID, 0, 1},
		{MIP6FeatureVector, 0, 1}, {MIP6AuthMode, 1, 1}, {MIPMNAAASPI, 0, 1}, {MIPMNHASPI, 0, 1}, {MIPMobileNodeAddress, 1, 2},
		{MIP6AgentInfo, 1, 1}, {MIPCareofAddress, 1, 1}, {MIPAuthenticator, 0, 1}, {MIPMACMobilityData, 0, 1}, {MIPTimestamp, 0, 1},
		{QoSCapability, 0, 1}, {QoSResources, 0, many}, {ChargeableUserIdentity, 0, 1}, {ServiceSelection, 0, 1},
		{AuthorizationLifetime, 0, 1}, {AuthSessionState, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{SIPAuthorization, 0, 1},                                                                 // with AuthAKA
		{ResultCodeAVP, 0, 0}, {MIPMNHAMSA, 0, 0}, {MIPSessionKey, 0, 0}, {MIPMSALifetime, 0, 0}, // section 8.1
	}},
	{MIP6, mip6aOnly, Proxiable, []rule{
		{SessionID, 1, 1}, {AuthApplicationID, 1, 1}, {ResultCodeAVP, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1},
		{AuthRequestType, 1, 1}, {UserName, 0, 1}, {AuthorizationLifetime, 0, 1}, {AuthSessionState, 0, 1}, {ErrorMessage, 0, 1},
		{ErrorReportingHost, 0, 1}, {ReAuthRequestType, 0, 1}, {MIP6FeatureVector, 0, 1}, {MIP6AgentInfo, 0, 1},
		{MIPMobileNodeAddress, 0, 2}, {MIPMNHAMSA, 0, 1}, {MIPTimestamp, 0, 1}, {QoSResources, 0, many},
		{SIPAuthenticate, 0, 1}, // with AuthAKA
		{ChargeableUserIdentity, 0, 1}, {ServiceSelection, 0, 1}, {OriginStateID, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many}, {RedirectHost, 0, many},
		{RedirectHostUsage, 0, 1}, {RedirectMaxCacheTime, 0, 1}, {FailedAVP, 0, many},
		{DestinationHost, 0, 0}, {DestinationRealm, 0, 0}, // RFC 6733, section 6.2
		{MIPMNAAASPI, 0, 0}, {MIPMNHASPI, 0, 0}, {MIPCareofAddress, 0, 0}, {MIPAuthenticator, 0, 0}, {MIPMACMobilityData, 0, 0},
		{QoSCapability, 0, 0}, {MIP6AuthMode, 0, 0},
	}},
	{AAMobileNode, mip4Only, Request | Proxiable, []rule{ // RFC 4004, sections 5.1 and 11.1
		{SessionID, 1, 1}, {AuthApplicationID, 1, 1}, {UserName, 1, 1}, {DestinationRealm, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1},
		{MIPRegRequest, 1, 1}, {MIPMNAAAAuth, 1, 1}, {DestinationHost, 0, 1}, {OriginStateID, 0, 1}, {MIPMobileNodeAddress, 0, 1},
		{MIPHomeAgentAddress, 0, 1}, {MIPFeatureVector, 0, 1}, {AuthorizationLifetime, 0, 1}, {AuthSessionState, 0, 1},
		{MIPHomeAgentHost, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0}, {MIPMNToHAMSA, 0, 0}, {MIPHAToMNMSA, 0, 0}, {MIPMSALifetime, 0, 0}, {ErrorMessage, 0, 0},
	}},
	{AAMobileNode, mip4Only, Proxiable, []rule{ // sections 5.2 and 11.1
		{SessionID, 1, 1}, {AuthApplicationID, 1, 1}, {ResultCodeAVP, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {UserName, 0, 1},
		{AuthorizationLifetime, 0, 1}, {AuthSessionState, 0, 1}, {ErrorMessage, 0, 1}, {ErrorReportingHost, 0, 1}, {ReAuthRequestType, 0, 1},
		{MIPFeatureVector, 0, 1}, {MIPMNToHAMSA, 0, 1}, {MIPHAToMNMSA, 0, 1}, {MIPMSALifetime, 0, 1}, {MIPHomeAgentAddress, 0, 1},
		{MIPMobileNodeAddress, 0, 1}, {OriginStateID, 0, 1}, {FailedAVP, 0, many}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{RedirectHost, 0, many}, {RedirectHostUsage, 0, 1}, {RedirectMaxCacheTime, 0, 1},
		{DestinationHost, 0, 0}, {DestinationRealm, 0, 0}, {MIPRegRequest, 0, 0}, {MIPMNAAAAuth, 0, 0}, {MIPHomeAgentHost, 0, 0},
	}},
	{DiameterEAP, eapUsers, Request | Proxiable, []rule{
		{SessionID, 1, 1}, {AuthApplicationID, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {DestinationRealm, 1, 1},
		{AuthRequestType, 1, 1}, {EAPPayload, 1, 1}, {DestinationHost, 0, 1}, {OriginStateID, 0, 1}, {UserName, 0, 1},
		{NASIdentifier, 0, 1}, {NASIPAddress, 0, 1}, {NASIPv6Address, 0, 1}, {NASPort, 0, 1}, {NASPortType, 0, 1},
		{EAPKeyName, 0, 1}, {ServiceType, 0, 1}, {StateAVP, 0, 1}, {AuthorizationLifetime, 0, 1}, {AuthGracePeriod, 0, 1},
		{AuthSessionState, 0, 1}, {CalledStationID, 0, 1}, {CallingStationID, 0, 1}, {ConnectInfo, 0, 1}, {FramedMTU, 0, 1},
		{RATTypeAVP, 0, 1}, {ANID, 0, 1}, {MIP6FeatureVector, 0, 1}, {MIP6AgentInfo, 0, 1}, {QoSCapability, 0, 1},
		{VisitedNetworkIdentifier, 0, 1}, {ServiceSelection, 0, 1}, {AAAFailureIndication, 0, 1}, {SupportedFeatures, 0, many},
		{ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0}, {EAPMasterSessionKey, 0, 0}, {EAPReissuedPayload, 0, 0}, // RFC 4072, section 5.1
	}},
	{DiameterEAP, eapUsers, Proxiable, []rule{
		{SessionID, 1, 1}, {AuthApplicationID, 1, 1}, {AuthRequestType, 1, 1}, {ResultCodeAVP, 0, 1}, {ExperimentalResult, 0, 1},
		{OriginHost, 1, 1}, {OriginRealm, 1, 1}, {UserName, 0, 1}, {EAPPayload, 0, 1}, {EAPReissuedPayload, 0, 1},
		{EAPMasterSessionKey, 0, 1}, {EAPKeyName, 0, 1}, {MultiRoundTimeOut, 0, 1}, {AccountingEAPAuthMethod, 0, many},
		{ServiceType, 0, 1}, {Class, 0, many}, {AcctInterimInterval, 0, 1}, {ErrorMessage, 0, 1}, {ErrorReportingHost, 0, 1},
		{FailedAVP, 0, many}, {IdleTimeout, 0, 1}, {AuthorizationLifetime, 0, 1}, {AuthGracePeriod, 0, 1}, {AuthSessionState, 0, 1},
		{ReAuthRequestType, 0, 1}, {SessionTimeout, 0, 1}, {StateAVP, 0, 1}, {ReplyMessage, 0, many}, {OriginStateID, 0, 1},
		{FramedMTU, 0, 1}, {MIP6FeatureVector, 0, 1}, {MIP6AgentInfo, 0, 1}, {MobileNodeIdentifier, 0, 1}, {ANTrusted, 0, 1},
		{SubscriptionIDAVP, 0, many}, {ContextIdentifier, 0, 1}, {APNOIReplacement, 0, 1}, {APNConfigurationAVP, 0, many}, {AMBRAVP, 0, 1},
		{ChargingCharacteristics, 0, 1}, {SupportedFeatures, 0, many}, {RedirectHost, 0, many}, {RedirectHostUsage, 0, 1},
		{RedirectMaxCacheTime, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{DestinationHost, 0, 0}, {DestinationRealm, 0, 0},
	}},
	{AA, gateways, Request | Proxiable, []rule{
		{SessionID, 1, 1}, {AuthApplicationID, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {DestinationRealm, 1, 1},
		{AuthRequestType, 1, 1}, {DestinationHost, 0, 1}, {OriginStateID, 0, 1}, {UserName, 0, 1}, {MIP6AgentInfo, 0, 1},
		{MIP6FeatureVector, 0, 1}, {VisitedNetworkIdentifier, 0, 1}, {QoSCapability, 0, 1}, {ServiceSelection, 0, 1}, {RATTypeAVP, 0, 1},
		{AuthSessionState, 0, 1}, {SupportedFeatures, 0, many}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0},
	}},
	{AA, gateways, Proxiable, []rule{
		{SessionID, 1, 1}, {AuthApplicationID, 1, 1}, {AuthRequestType, 1, 1}, {ResultCodeAVP, 0, 1}, {ExperimentalResult, 0, 1},
		{OriginHost, 1, 1}, {OriginRealm, 1, 1}, {UserName, 0, 1}, {MIP6FeatureVector, 0, 1}, {SessionTimeout, 0, 1},
		{APNConfigurationAVP, 0, many}, {QoSResources, 0, many}, {ANTrusted, 0, 1}, {AcctInterimInterval, 0, 1}, {ContextIdentifier, 0, 1},
		{APNOIReplacement, 0, 1}, {AMBRAVP, 0, 1}, {SubscriptionIDAVP, 0, many}, {ChargingCharacteristics, 0, 1}, {AuthSessionState, 0, 1},
		{AuthorizationLifetime, 0, 1}, {ReAuthRequestType, 0, 1}, {Class, 0, many}, {ErrorMessage, 0, 1}, {ErrorReportingHost, 0, 1},
		{FailedAVP, 0, many}, {OriginStateID, 0, 1}, {SupportedFeatures, 0, many}, {RedirectHost, 0, many}, {RedirectHostUsage, 0, 1},
		{RedirectMaxCacheTime, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{DestinationHost, 0, 0}, {DestinationRealm, 0, 0},
	}},
	{ReAuth, sessions, Request | Proxiable, []rule{ // RFC 6733, section 8.3
		{SessionID, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {DestinationRealm, 1, 1}, {DestinationHost, 1, 1},
		{AuthApplicationID, 1, 1}, {ReAuthRequestType, 1, 1}, {UserName, 0, 1}, {OriginStateID, 0, 1}, {ProxyInfo, 0, many},
		{RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0},
	}},
	{ReAuth, sessions, Proxiable, []rule{
		{SessionID, 1, 1}, {ResultCodeAVP, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {UserName, 0, 1},
		{ErrorMessage, 0, 1}, {ErrorReportingHost, 0, 1}, {FailedAVP, 0, many}, {OriginStateID, 0, 1}, {RedirectHost, 0, many},
		{RedirectHostUsage, 0, 1}, {RedirectMaxCacheTime, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
	}},
	{MultimediaAuth, vectors, Request | Proxiable, []rule{
		{SessionID, 1, 1}, {VendorSpecificApplicationID, 1, 1}, {AuthSessionState, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1},
		{DestinationRealm, 1, 1}, {DestinationHost, 0, 1}, {UserName, 1, 1}, {SIPAuthDataItem, 0, 1}, {SIPNumberAuthItems, 0, 1},
		{RATTypeAVP, 0, 1}, {ANID, 0, 1}, {VisitedNetworkIdentifier, 0, 1}, {AAAFailureIndication, 0, 1}, {GUSSTimestamp, 0, 1},
		{SupportedFeatures, 0, many}, {OriginStateID, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0},
	}},
	{MultimediaAuth, vectors, Proxiable, []rule{
		{SessionID, 1, 1}, {VendorSpecificApplicationID, 1, 1}, {ResultCodeAVP, 0, 1}, {ExperimentalResult, 0, 1}, {AuthSessionState, 1, 1},
		{OriginHost, 1, 1}, {OriginRealm, 1, 1}, {UserName, 0, 1}, {SIPNumberAuthItems, 0, 1}, {SIPAuthDataItem, 0, many},
		{AAAServerName, 0, 1}, {GBAUserSecSettings, 0, 1}, {ErrorMessage, 0, 1}, {ErrorReportingHost, 0, 1}, {FailedAVP, 0, many},
		{SupportedFeatures, 0, many}, {OriginStateID, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{DestinationHost, 0, 0}, {DestinationRealm, 0, 0},
	}},
	{ServerAssignment, swxOnly, Request | Proxiable, []rule{
		{SessionID, 1, 1}, {VendorSpecificApplicationID, 1, 1}, {AuthSessionState, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1},
		{DestinationRealm, 1, 1}, {DestinationHost, 0, 1}, {UserName, 1, 1}, {ServerAssignmentTypeAVP, 1, 1}, {ServiceSelection, 0, 1},
		{ContextIdentifier, 0, 1}, {MIP6AgentInfo, 0, 1}, {VisitedNetworkIdentifier, 0, 1}, {SupportedFeatures, 0, many},
		{OriginStateID, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0},
	}},
	{ServerAssignment, swxOnly, Proxiable, []rule{
		{SessionID, 1, 1}, {VendorSpecificApplicationID, 1, 1}, {ResultCodeAVP, 0, 1}, {ExperimentalResult, 0, 1}, {AuthSessionState, 1, 1},
		{OriginHost, 1, 1}, {OriginRealm, 1, 1}, {UserName, 0, 1}, {Non3GPPUserDataAVP, 0, 1}, {AAAServerName, 0, 1},
		{ErrorMessage, 0, 1}, {ErrorReportingHost, 0, 1}, {FailedAVP, 0, many}, {SupportedFeatures, 0, many}, {OriginStateID, 0, 1},
		{ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{DestinationHost, 0, 0}, {DestinationRealm, 0, 0},
	}},
	{RegistrationTermination, swxOnly, Request | Proxiable, []rule{
		{SessionID, 1, 1}, {VendorSpecificApplicationID, 1, 1}, {AuthSessionState, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1},
		{DestinationHost, 1, 1}, {DestinationRealm, 1, 1}, {UserName, 1, 1}, {DeregistrationReasonAVP, 1, 1}, {SupportedFeatures, 0, many},
		{OriginStateID, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0},
	}},
	{RegistrationTermination, swxOnly, Proxiable, acknowledgementRules[:]},
	{PushProfile, swxOnly, Request | Proxiable, []rule{
		{SessionID, 1, 1}, {VendorSpecificApplicationID, 1, 1}, {AuthSessionState, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1},
		{DestinationHost, 1, 1}, {DestinationRealm, 1, 1}, {UserName, 1, 1}, {Non3GPPUserDataAVP, 0, 1}, {PPRFlags, 0, 1},
		{SupportedFeatures, 0, many}, {OriginStateID, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0},
	}},
	{PushProfile, swxOnly, Proxiable, acknowledgementRules[:]},
	{BootstrappingInfo, znOnly, Request | Proxiable, []rule{
		{SessionID, 1, 1}, {VendorSpecificApplicationID, 1, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {DestinationRealm, 1, 1},
		{DestinationHost, 0, 1}, {GAAServiceIdentifier, 0, many}, {TransactionIdentifier, 1, 1}, {NAFID, 1, 1},
		{GBAUAwarenessIndicator, 0, 1}, {AuthSessionState, 0, 1}, {OriginStateID, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
		{ResultCodeAVP, 0, 0}, {MEKeyMaterial, 0, 0}, {UICCKeyMaterial, 0, 0},
	}},
	{BootstrappingInfo, znOnly, Proxiable, []rule{
		{SessionID, 1, 1}, {VendorSpecificApplicationID, 1, 1}, {ResultCodeAVP, 0, 1}, {ExperimentalResult, 0, 1},
		{OriginHost, 1, 1}, {OriginRealm, 1, 1}, {UserName, 0, 1}, {MEKeyMaterial, 0, 1}, {UICCKeyMaterial, 0, 1}, {KeyExpiryTime, 0, 1},
		{BootstrapInfoCreationTime, 0, 1}, {GBAUserSecSettings, 0, 1}, {GBATypeAVP, 0, 1}, {AuthSessionState, 0, 1},
		{ErrorMessage, 0, 1}, {ErrorReportingHost, 0, 1}, {FailedAVP, 0, many}, {OriginStateID, 0, 1}, {ProxyInfo, 0, many},
		{RouteRecord, 0, many},
		{DestinationHost, 0, 0}, {DestinationRealm, 0, 0},
	}},
}

// acknowledgementRules are those of RTA and PPA.
var acknowledgementRules = [...]rule{
	{SessionID, 1, 1}, {VendorSpecificApplicationID, 1, 1}, {ResultCodeAVP, 0, 1}, {ExperimentalResult, 0, 1}, {AuthSessionState, 1, 1},
	{OriginHost, 1, 1}, {OriginRealm, 1, 1}, {ErrorMessage, 0, 1}, {ErrorReportingHost, 0, 1}, {FailedAVP, 0, many},
	{SupportedFeatures, 0, many}, {OriginStateID, 0, 1}, {ProxyInfo, 0, many}, {RouteRecord, 0, many},
	{DestinationHost, 0, 0}, {DestinationRealm, 0, 0},
}

// errorRules are what an answer with the E bit holds, whatever its command:
// RFC 6733, section 7.2.
var errorRules = [...]rule{
	{SessionID, 0, 1}, {OriginHost, 1, 1}, {OriginRealm, 1, 1}, {ResultCodeAVP, 1, 1}, {OriginStateID, 0, 1}, {ErrorMessage, 0, 1},
	{ErrorReportingHost, 0, 1}, {FailedAVP, 0, 1}, {ExperimentalResult, 0, 1}, {ProxyInfo, 0, many},
	{RedirectHost, 0, many}, {RedirectHostUsage, 0, 1}, {RedirectMaxCacheTime, 0, 1}, // with 3006: section 6.1.8
	{RouteRecord, 0, many},
	{AuthApplicationID, 0, 1}, {VendorSpecificApplicationID, 0, 1}, {AuthRequestType, 0, 1}, {AuthSessionState, 0, 1}, {UserName, 0, 1}, // as commands have them
}

// Grammars of Grouped AVPs.
var (
	vendorApplicationRules  = [...]rule{{VendorID, 1, 1}, {AuthApplicationID, 0, 1}, {AcctApplicationID, 0, 1}}                                                               // RFC 6733, section 6.11
	proxyInfoRules          = [...]rule{{ProxyHost, 1, 1}, {ProxyState, 1, 1}}                                                                                                // RFC 6733, section 6.7.2
	experimentalResultRules = [...]rule{{VendorID, 1, 1}, {ExperimentalResultCode, 1, 1}}                                                                                     // RFC 6733, section 7.6
	homeAgentHostRules      = [...]rule{{DestinationRealm, 1, 1}, {DestinationHost, 1, 1}}                                                                                    // RFC 4004, section 7.11
	agentInfoRules          = [...]rule{{MIPHomeAgentAddress, 0, 2}, {MIPHomeAgentHost, 0, 1}, {MIP6HomeLinkPrefix, 0, 1}}                                                    // RFC 5447, section 4.2.1
	associationRules        = [...]rule{{MIPSessionKey, 1, 1}, {MIPMSALifetime, 1, 1}, {MIPMNHASPI, 0, 1}, {MIPAlgorithmType, 0, 1}, {MIPReplayMode, 0, 1}, {MIPNonce, 0, 1}} // RFC 5778, section 6.12; the nonce as in RFC 4004, section 9.6
	authenticationRules     = [...]rule{{MIPMNAAASPI, 1, 1}, {MIPAuthInputDataLength, 1, 1}, {MIPAuthenticatorLength, 1, 1}, {MIPAuthenticatorOffset, 1, 1}}                  // RFC 4004, section 7.6
	mobileAssociationRules  = [...]rule{{MIPMNHASPI, 1, 1}, {MIPAlgorithmType, 1, 1}, {MIPReplayMode, 1, 1}, {MIPNonce, 1, 1}}                                                // RFC 4004, section 9.6; the SPI has no code there, and that of RFC 5778 here
	agentAssociationRules   = [...]rule{{MIPMNHASPI, 0, 1}, {MIPAlgorithmType, 1, 1}, {MIPReplayMode, 1, 1}, {MIPSessionKey, 1, 1}}                                           // RFC 4004, section 9.4; the SPI is a must and has no code there: it is left out
	subscriptionRules       = [...]rule{{SubscriptionIDType, 1, 1}, {SubscriptionIDData, 1, 1}}                                                                               // RFC 8506, section 8.46

	authItemRules       = [...]rule{{SIPItemNumber, 0, 1}, {SIPAuthenticationScheme, 0, 1}, {SIPAuthenticate, 0, 1}, {SIPAuthorization, 0, 1}, {ConfidentialityKey, 0, 1}, {IntegrityKey, 0, 1}} // TS 29.229, section 6.3.13
	deregistrationRules = [...]rule{{ReasonCode, 1, 1}, {ReasonInfo, 0, 1}}                                                                                                                      // TS 29.229, section 6.3.16
	featuresRules       = [...]rule{{VendorID, 1, 1}, {FeatureListID, 1, 1}, {FeatureList, 1, 1}}                                                                                                // TS 29.229, section 6.3.29
	ambrRules           = [...]rule{{MaxRequestedBandwidthUL, 1, 1}, {MaxRequestedBandwidthDL, 1, 1}}                                                                                            // TS 29.272, section 7.3.41
	qosRules            = [...]rule{{QoSClassIdentifier, 1, 1}, {AllocationRetentionPriority, 1, 1}}                                                                                             // TS 29.272, section 7.3.37
	retentionRules      = [...]rule{{PriorityLevel, 1, 1}, {PreemptionCapability, 0, 1}, {PreemptionVulnerability, 0, 1}}                                                                        // TS 29.212, section 5.3.32
	specificAPNRules    = [...]rule{{ServiceSelection, 1, 1}, {MIP6AgentInfo, 1, 1}, {VisitedNetworkIdentifier, 0, 1}}                                                                           // TS 29.272, section 7.3.82
	apnRules            = [...]rule{                                                                                                                                                             // TS 29.272, section 7.3.35
		{ContextIdentifier, 1, 1}, {ServedPartyIPAddress, 0, 2}, {PDNTypeAVP, 1, 1}, {ServiceSelection, 1, 1}, {EPSSubscribedQoSProfile, 0, 1},
		{VPLMNDynamicAddressAllowed, 0, 1}, {MIP6AgentInfo, 0, 1}, {VisitedNetworkIdentifier, 0, 1}, {PDNGWAllocationType, 0, 1},
		{ChargingCharacteristics, 0, 1}, {AMBRAVP, 0, 1}, {SpecificAPNInfo, 0, many}, {APNOIReplacement, 0, 1},
	}
	userDataRules = [...]rule{ // TS 29.273, section 8.2.3.1
		{SubscriptionIDAVP, 0, many}, {Non3GPPIPAccess, 0, 1}, {Non3GPPIPAccessAPN, 0, 1}, {RATTypeAVP, 0, many}, {SessionTimeout, 0, 1},
		{MIP6FeatureVector, 0, 1}, {AMBRAVP, 0, 1}, {ChargingCharacteristics, 0, 1}, {ContextIdentifier, 0, 1}, {APNOIReplacement, 0, 1},
		{APNConfigurationAVP, 0, many},
	}
)

// grammarOf finds the grammar of a command; nil: it is not known. A command of
// the base protocol that an application uses (STR, ASR) is known with it alone.
func grammarOf(c Command, a Application, f Flags) *grammar {
	for i := range grammars {
		if g := &grammars[i]; g.command == c && slices.Contains(g.applications, a) && g.flags&Request == f&Request {
			return g
		}
	}
	return nil
}

// Check says whether m follows its command's definition. The error is a
// *Failure with the first thing that is wrong: RFC 6733, section 7.
func Check(m *Message) error {
	if m.Flags&(Request|Error) == Request|Error {
		return &Failure{Result: InvalidHeaderBits, What: "a request with the E bit"} // section 3
	}
	if m.Flags&(Request|Error) == Error {
		return checkAll(m.AVPs, errorRules[:], nil)
	}
	g := grammarOf(m.Command, m.Application, m.Flags)
	if g == nil {
		for i := range grammars {
			if slices.Contains(grammars[i].applications, m.Application) {
				return &Failure{Result: CommandUnsupported, What: fmt.Sprintf("%v is not a command of application %v here", m.Command, m.Application)}
			}
		}
		return &Failure{Result: ApplicationUnsupported, What: fmt.Sprintf("%v is not served here", m.Application)}
	}
	if m.IsRequest() && m.Flags&Proxiable != g.flags&Proxiable {
		return &Failure{Result: InvalidHeaderBits, What: m.Name() + " with the wrong P bit"}
	}
	if err := checkAll(m.AVPs, g.rules, nil); err != nil {
		return err
	}
	if m.Command != CapabilitiesExchange {
		if err := checkApplication(m); err != nil {
			return err
		}
	}
	if !m.IsRequest() && g.allows(ExperimentalResult) {
		switch result, experimental := m.Find(ResultCodeAVP), m.Find(ExperimentalResult); {
		case result == nil && experimental == nil: // RFC 6733, section 7
			missing := AVP{Code: ResultCodeAVP, Flags: Mandatory}
			return &Failure{Result: MissingAVP, AVP: missing.example(), What: "neither Result-Code nor Experimental-Result"}
		case result != nil && experimental != nil:
			return &Failure{Result: ContradictingAVPs, AVP: experimental, What: "Result-Code and Experimental-Result"}
		}
	}
	return nil
}

// allows says whether an AVP is named, and may be there.
func (g *grammar) allows(c Code) bool {
	return slices.ContainsFunc(g.rules, func(r rule) bool { return r.code == c && r.max > 0 })
}

// needs says whether an AVP must be there.
func (g *grammar) needs(c Code) bool {
	return slices.ContainsFunc(g.rules, func(r rule) bool { return r.code == c && r.min > 0 })
}

// checkApplication holds the application that AVPs name to that of the header:
// RFC 6733, sections 6.8 and 6.11.
func checkApplication(m *Message) error {
	if a := m.Find(AuthApplicationID); a != nil && Application(a.Uint32()) != m.Application {
		return &Failure{Result: InvalidAVPValue, AVP: a, What: fmt.Sprintf("Auth-Application-Id %d in a message of application %d", a.Uint32(), m.Application)}
	}
	group := m.Find(VendorSpecificApplicationID)
	if group == nil {
		return nil
	}
	held, _ := ParseAVPs(group.Data)
	switch a := find(held, AuthApplicationID); {
	case a == nil:
		missing := AVP{Code: AuthApplicationID, Flags: Mandatory}
		return fail(MissingAVP, missing.example(), []*AVP{group}, "%v is missing in %v", AuthApplicationID, VendorSpecificApplicationID)
	case Application(a.Uint32()) != m.Application:
		return fail(InvalidAVPValue, a, []*AVP{group}, "Auth-Application-Id %d in a message of application %d", a.Uint32(), m.Application)
	}
	return nil
}

// deepest is how many Grouped AVPs may stand in one another.
const deepest = 8

// checkAll holds AVPs to the rules of the command or group that they stand in.
// Nil rules allow anything.
func checkAll(avps []AVP, rules []rule, within []*AVP) error {
	var counts [48]uint8
	for i := range avps {
		a := &avps[i]
		d := define(a.Code)
		at := -1
		for j := range rules {
			if rules[j].code == a.Code {
				at = j
				break
			}
		}
		switch {
		case d == nil || at < 0 && rules != nil:
			if a.Flags&Mandatory != 0 && rules != nil {
				return fail(AVPUnsupported, a, within, "%v with the M bit is not understood here", a.Code)
			}
			continue
		case at >= 0 && rules[at].max == 0:
			return fail(AVPNotAllowed, a, within, "%v may not stand here", a.Code)
		case at >= 0 && counts[at] >= rules[at].max && rules[at].max != many:
			return fail(AVPTooManyTimes, a, within, "%v more than %d times", a.Code, rules[at].max)
		}
		if at >= 0 && counts[at] < many {
			counts[at]++
		}
		if rules == nil {
			continue // well-formed is all that can be said
		}
		if err := checkValue(a, d, within); err != nil {
			return err
		}
	}
	for j := range rules {
		if counts[j] < rules[j].min {
			missing := AVP{Code: rules[j].code, Flags: flagsOf(rules[j].code)}
			return fail(MissingAVP, missing.example(), within, "%v is missing", rules[j].code)
		}
	}
	return nil
}

func checkValue(a *AVP, d *definition, within []*AVP) error {
	if d.kind != grouped {
		switch result := d.kind.check(a.Data); result {
		case 0:
			return nil
		case InvalidAVPLength:
			return fail(result, a, within, "%v with a value of %d octets", a.Code, len(a.Data))
		default:
			return fail(result, a, within, "%v with a value that its type does not have", a.Code)
		}
	}
	if a.Code == FailedAVP {
		return nil // it shows what was wrong, and need not be right
	}
	if len(within) >= deepest {
		return fail(UnableToComply, within[0], nil, "Grouped AVPs more than %d deep", deepest)
	}
	inner, err := ParseAVPs(a.Data)
	if f, ok := err.(*Failure); ok {
		return fail(f.Result, f.AVP, append(within, a), "in %v: %s", a.Code, f.What)
	}
	return checkAll(inner, d.group, append(within, a))
}

// fail makes a Failure whose Failed-AVP holds the groups around the AVP and, of
// their contents, it alone: RFC 6733, section 7.5.
func fail(result ResultCode, a *AVP, within []*AVP, what string, args ...any) error {
	for i := len(within) - 1; i >= 0; i-- {
		group := *within[i]
		group.Data = a.append(nil)
		a = &group
	}
	return &Failure{Result: result, AVP: a, What: fmt.Sprintf(what, args...)}
}

// want fails where one of those AVPs is not in a group.
func want(held []AVP, group *AVP, codes ...Code) error {
	for _, c := range codes {
		if find(held, c) == nil {
			missing := AVP{Code: c, Flags: flagsOf(c)}
			return fail(MissingAVP, missing.example(), []*AVP{group}, "%v is missing in %v", c, group.Code)
		}
	}
	return nil
}

// wantTop fails where one of those AVPs, which only some messages of a command
// need, is not there.
func wantTop(avps []AVP, codes ...Code) error {
	for _, c := range codes {
		if find(avps, c) == nil {
			missing := AVP{Code: c, Flags: flagsOf(c)}
			return &Failure{Result: MissingAVP, AVP: missing.example(), What: fmt.Sprintf("%v is missing", c)}
		}
	}
	return nil
}
