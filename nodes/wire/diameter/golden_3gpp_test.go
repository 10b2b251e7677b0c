package diameter

import (
	"net/netip"
	"time"
)

const (
	imsi    = "001010000000001"
	visited = "mnc001.mcc001.3gppnetwork.org"
)

var (
	hss        = Identity{Host: "hss." + realm, Realm: realm, State: 0x65000002}
	aaaSession = server.Host + ";3402393600;9"
	hssSession = hss.Host + ";3402393600;4"
	gateway    = &AgentInfo{Addresses: []netip.Addr{agent}, Realm: realm, Host: pgw.Host}
	internet   = APNConfiguration{
		Context: 1, Addresses: []netip.Addr{home}, Type: IPv4v6, Service: "internet", Agent: gateway, VisitedNetwork: visited,
		Allocation: new(Dynamic), AMBR: &AMBR{Uplink: 50e6, Downlink: 100e6},
	}
	// The vector of Milenage test set 1: TS 35.208, section 4.3.
	vector = AuthItem{
		Number: 1, Scheme: SchemeEAPAKAPrime, RAND: [16]byte(unhex("23553cbe9637a89d218ae64dae47bf35")), AUTN: [16]byte(unhex("55f328b43577b9b94a9ffac354dfafb3")),
		XRES: unhex("a54211d5e3ba50bf"), CK: [16]byte(unhex("b40ba9a3c58b2a05bbf0d987b21bf8cb")), IK: [16]byte(unhex("f769bcd751044604127672711c6d3441")),
	}
)

func second(v AuthItem) AuthItem { v.Number = 2; return v }

// asked is the header of the request that an answer answers.
func asked(c Command, a Application, hopByHop, endToEnd uint32) Header {
	return Header{Flags: Request | Proxiable, Command: c, Application: a, HopByHop: hopByHop, EndToEnd: endToEnd}
}

var tgppTyped = []sample{
	{"capabilities-exchange-request-3gpp", Header{HopByHop: 0x1b, EndToEnd: 0x1c}, &CapabilitiesExchangeRequest{Capabilities{
		Identity: server, Addresses: []netip.Addr{netip.MustParseAddr("2001:db8:300::2")}, Product: "s2clab", Vendors: []uint32{TGPP},
		Auth: []Application{MIP6A}, VendorAuth: []Application{SWx, S6b},
	}}, reading(ParseCapabilitiesExchangeRequest)},
	{"multimedia-auth-request", Header{HopByHop: 0x11, EndToEnd: 0x12}, &MultimediaAuthRequest{
		Application: SWx, Session: aaaSession, Identity: server, DestinationRealm: realm, DestinationHost: hss.Host, User: imsi,
		Vectors: 2, Scheme: SchemeEAPAKAPrime, RAT: new(WLAN), AccessNetwork: "WLAN", VisitedNetwork: visited,
	}, reading(ParseMultimediaAuthRequest)},
	{"multimedia-auth-request-resync", Header{HopByHop: 0x13, EndToEnd: 0x14}, &MultimediaAuthRequest{
		Application: SWx, Session: aaaSession, Identity: server, DestinationRealm: realm, User: imsi, Vectors: 1, Scheme: SchemeEAPAKA,
		Resync: &Resync{RAND: vector.RAND, AUTS: [14]byte(unhex("ba853f3c123c01cfaf9ec4e871e9"))}, AAAFailure: true,
	}, reading(ParseMultimediaAuthRequest)},
	{"multimedia-auth-answer", asked(MultimediaAuth, SWx, 0x11, 0x12), &MultimediaAuthAnswer{
		Session: aaaSession, Outcome: Outcome{Result: Success}, Identity: hss, User: imsi, Items: []AuthItem{vector, second(vector)},
	}, reading(ParseMultimediaAuthAnswer)},
	{"multimedia-auth-answer-registered", asked(MultimediaAuth, SWx, 0x11, 0x12), &MultimediaAuthAnswer{
		Session: aaaSession, Outcome: Outcome{Result: IdentityAlreadyRegistered}, Identity: hss, User: imsi, Server: "aaa2." + realm,
	}, reading(ParseMultimediaAuthAnswer)},
	{"server-assignment-request", Header{HopByHop: 0x15, EndToEnd: 0x16}, &ServerAssignmentRequest{
		Session: aaaSession, Identity: server, DestinationRealm: realm, DestinationHost: hss.Host, User: imsi, Type: PGWUpdate,
		Service: "internet", Context: new(uint32(1)), Agent: gateway, VisitedNetwork: visited,
	}, reading(ParseServerAssignmentRequest)},
	{"server-assignment-answer", asked(ServerAssignment, SWx, 0x15, 0x16), &ServerAssignmentAnswer{
		Session: aaaSession, Outcome: Outcome{Result: Success}, Identity: hss, User: imsi,
		Data: &Non3GPPUserData{
			Subscriptions: []SubscriptionID{{EndUserIMSI, imsi}}, Access: new(Non3GPPAllowed), APNAccess: new(APNsEnabled),
			RATTypes: []RATType{WLAN, Virtual}, SessionTimeout: 24 * time.Hour,
			FeatureVector: new(MIP6Integrated | LocalHomeAgentAssignment | IP4HoASupported), AMBR: &AMBR{Uplink: 50e6, Downlink: 100e6},
			Charging: "0800", DefaultContext: new(uint32(1)), OIReplacement: "mnc001.mcc001.gprs", APNs: []APNConfiguration{internet},
		},
	}, reading(ParseServerAssignmentAnswer)},
	{"server-assignment-answer-unknown", asked(ServerAssignment, SWx, 0x15, 0x16), &ServerAssignmentAnswer{
		Session: aaaSession, Outcome: Outcome{Result: UserUnknown}, Identity: hss, User: imsi,
	}, reading(ParseServerAssignmentAnswer)},
	{"registration-termination-request", Header{HopByHop: 0x17, EndToEnd: 0x18}, &RegistrationTerminationRequest{
		Session: hssSession, Identity: hss, DestinationRealm: realm, DestinationHost: server.Host, User: imsi, Reason: PermanentTermination,
		Info: "the subscription has ended",
	}, reading(ParseRegistrationTerminationRequest)},
	{"registration-termination-answer", asked(RegistrationTermination, SWx, 0x17, 0x18), &RegistrationTerminationAnswer{
		Session: hssSession, Outcome: Outcome{Result: Success}, Identity: server,
	}, reading(ParseRegistrationTerminationAnswer)},
	{"push-profile-request", Header{HopByHop: 0x19, EndToEnd: 0x1a}, &PushProfileRequest{
		Session: hssSession, Identity: hss, DestinationRealm: realm, DestinationHost: server.Host, User: imsi,
		Data: &Non3GPPUserData{Access: new(Non3GPPBarred)}, Flags: new(uint32(1)),
	}, reading(ParsePushProfileRequest)},
	{"push-profile-answer", asked(PushProfile, SWx, 0x19, 0x1a), &PushProfileAnswer{
		Session: hssSession, Outcome: Outcome{Result: Success}, Identity: server,
	}, reading(ParsePushProfileAnswer)},
}
