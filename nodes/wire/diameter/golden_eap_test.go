package diameter

import "time"

var (
	epdg       = Identity{Host: "epdg." + realm, Realm: realm, State: 0x65000003}
	network    = Identity{Host: "an." + realm, Realm: realm, State: 0x65000004}
	s6bSession = pgw.Host + ";3402393600;8"
	swmSession = epdg.Host + ";3402393600;3"
	staSession = network.Host + ";3402393600;5"
	whole      = "0" + nai // the NAI of a subscriber who uses EAP-AKA: TS 23.003, section 19.3.2
	// EAP-Response/Identity with that NAI, an EAP-Request/AKA-Challenge with
	// nothing but AT_RAND in it, and EAP-Success: RFC 3748, section 4; RFC 4187, section 9.3.
	eapIdentity  = append(unhex("0207003b01"), whole...)
	eapChallenge = unhex("0108001c170100000105000023553cbe9637a89d218ae64dae47bf35")
	eapSuccess   = unhex("03080004")
	msk          = unhex("01418086c8d0f735a92329e4f3d83820a268f077c6ebf455d66958d90ef7bc6751d7fbf2ad98c81f973bfc978130ae58a0e8901b228116b272d698ef7758330d")
)

var eapTyped = []sample{
	{"diameter-eap-request", Header{HopByHop: 0x21, EndToEnd: 0x22}, &DiameterEAPRequest{
		Application: S6b, Session: s6bSession, Identity: pgw, DestinationRealm: realm, User: whole, Type: AuthorizeAuthenticate, EAP: eapIdentity,
		VisitedNetwork: visited, Service: "internet", FeatureVector: new(MIP6Integrated), Agent: gateway,
	}, reading(ParseDiameterEAPRequest)},
	{"diameter-eap-answer", asked(DiameterEAP, S6b, 0x21, 0x22), &DiameterEAPAnswer{
		Session: s6bSession, Outcome: Outcome{Result: MultiRoundAuth}, Identity: server, Type: AuthorizeAuthenticate, EAP: eapChallenge,
		State: unhex("73746174652031"), RoundTimeout: 30 * time.Second,
	}, reading(ParseDiameterEAPAnswer)},
	{"diameter-eap-request-sta", Header{HopByHop: 0x23, EndToEnd: 0x24}, &DiameterEAPRequest{
		Application: STa, Session: staSession, Identity: network, DestinationRealm: realm, DestinationHost: server.Host, User: whole,
		Type: AuthorizeAuthenticate, EAP: eapIdentity, State: unhex("73746174652031"), CallingStation: "02-00-00-00-00-01", RAT: new(WLAN),
		AccessNetwork: "WLAN", VisitedNetwork: visited, AAAFailure: true,
	}, reading(ParseDiameterEAPRequest)},
	{"diameter-eap-answer-success", asked(DiameterEAP, STa, 0x23, 0x24), &DiameterEAPAnswer{
		Session: staSession, Outcome: Outcome{Result: Success}, Identity: server, Type: AuthorizeAuthenticate, User: imsi, EAP: eapSuccess, MSK: msk,
		Grant: Grant{SessionTimeout: 24 * time.Hour, FeatureVector: new(MIP6Integrated), Trust: new(Trusted), Charging: "0800",
			DefaultContext: new(uint32(1)), OIReplacement: "mnc001.mcc001.gprs", APNs: []APNConfiguration{internet}, AMBR: &AMBR{50e6, 100e6}},
		Agent: gateway, MobileNode: nai, Subscriptions: []SubscriptionID{{EndUserIMSI, imsi}},
	}, reading(ParseDiameterEAPAnswer)},
	{"diameter-eap-answer-refused", asked(DiameterEAP, SWm, 0x25, 0x26), &DiameterEAPAnswer{
		Session: swmSession, Outcome: Outcome{Result: UserNoNon3GPPSubscription}, Identity: server, Type: AuthorizeAuthenticate,
		EAP: unhex("04080004"),
	}, reading(ParseDiameterEAPAnswer)},
	{"diameter-eap-request-5", Header{HopByHop: 0x27, EndToEnd: 0x28}, &DiameterEAPRequest{
		Application: EAP, Session: staSession, Identity: network, DestinationRealm: realm, Type: AuthenticateOnly, EAP: []byte{},
	}, reading(ParseDiameterEAPRequest)},
	{"diameter-eap-answer-reissued", asked(DiameterEAP, EAP, 0x27, 0x28), &DiameterEAPAnswer{
		Session: staSession, Outcome: Outcome{Result: MultiRoundAuth}, Identity: server, Type: AuthenticateOnly, Reissued: eapChallenge,
	}, reading(ParseDiameterEAPAnswer)},
	{"aa-request", Header{HopByHop: 0x29, EndToEnd: 0x2a}, &AARequest{
		Application: S6b, Session: s6bSession, Identity: pgw, DestinationRealm: realm, DestinationHost: server.Host, User: imsi, Type: AuthorizeOnly,
		Agent: gateway, FeatureVector: new(MIP6Integrated), VisitedNetwork: visited, Service: "internet", RAT: new(WLAN),
	}, reading(ParseAARequest)},
	{"aa-answer", asked(AA, S6b, 0x29, 0x2a), &AAAnswer{
		Session: s6bSession, Outcome: Outcome{Result: Success}, Identity: server, Type: AuthorizeOnly, User: imsi,
		Grant:         Grant{SessionTimeout: time.Hour, APNs: []APNConfiguration{internet}},
		Subscriptions: []SubscriptionID{{EndUserIMSI, imsi}},
	}, reading(ParseAAAnswer)},
	{"re-auth-request", Header{HopByHop: 0x2b, EndToEnd: 0x2c}, &ReAuthRequest{
		Application: S6b, Session: s6bSession, Identity: server, DestinationRealm: realm, DestinationHost: pgw.Host, Type: ReAuthorizeOnly, User: imsi,
	}, reading(ParseReAuthRequest)},
	{"re-auth-answer", asked(ReAuth, S6b, 0x2b, 0x2c), &ReAuthAnswer{
		Session: s6bSession, Outcome: Outcome{Result: LimitedSuccess}, Identity: pgw, User: imsi,
	}, reading(ParseReAuthAnswer)},
	{"session-termination-request-swm", Header{HopByHop: 0x2d, EndToEnd: 0x2e}, &SessionTerminationRequest{
		Application: SWm, Session: swmSession, Identity: epdg, DestinationRealm: realm, User: imsi, Cause: Logout,
	}, reading(ParseSessionTerminationRequest)},
	{"session-termination-answer-swm", asked(SessionTermination, SWm, 0x2d, 0x2e), &SessionTerminationAnswer{
		Session: swmSession, Outcome: Outcome{Result: Success}, Identity: server,
	}, reading(ParseSessionTerminationAnswer)},
	{"abort-session-request-s6b", Header{HopByHop: 0x2f, EndToEnd: 0x30}, &AbortSessionRequest{
		Application: S6b, Session: s6bSession, Identity: server, DestinationRealm: realm, DestinationHost: pgw.Host, User: imsi,
	}, reading(ParseAbortSessionRequest)},
	{"abort-session-answer-s6b", asked(AbortSession, S6b, 0x2f, 0x30), &AbortSessionAnswer{
		Session: s6bSession, Outcome: Outcome{Result: UnknownSessionID}, Identity: pgw,
	}, reading(ParseAbortSessionAnswer)},
}
