package scenarios

import "slices"

// bootstrapWords are the events and messages of access authentication and of
// bootstrapping: those of 802.1X and EAP, Ub, Zn, Zh, STa and SWx.
func bootstrapWords(message, event func(name, doc string, roles, fields []string) word) []word {
	diameter := func(own ...string) []string {
		return append(slices.Clone(own), "flags", "nai", "result", "name", "error", "origin-host", "session")
	}
	of := func(names ...string) []string { return names }
	mn, router, aaa, bsf, hss := of("mn"), of("router"), of("aaa"), of("bsf"), of("hss")
	return []word{
		message("diameter-eap-request", "DER: an access router passes on to the AAA server what a mobile says in EAP", nil, diameter()),
		message("diameter-eap-answer", "DEA: what the AAA server says", nil, diameter()),
		message("multimedia-auth-request", "MAR: an AAA server or a BSF asks the HSS for an authentication vector", nil, diameter()),
		message("multimedia-auth-answer", "MAA: the HSS gives it", nil, diameter()),
		message("server-assignment-request", "SAR: an AAA server tells the HSS that it serves a subscriber, and by which home agent", nil, diameter()),
		message("server-assignment-answer", "SAA: the HSS agrees, and says what the subscriber may do", nil, diameter()),
		message("registration-termination-request", "RTR: the HSS tells the AAA server that a subscriber may not be served any more", nil, diameter()),
		message("registration-termination-answer", "RTA: the AAA server has heard so", nil, diameter()),
		message("push-profile-request", "PPR: the HSS tells the AAA server what a subscriber may do now", nil, diameter()),
		message("push-profile-answer", "PPA: the AAA server has heard so", nil, diameter()),
		message("bootstrapping-info-request", "BIR: somebody asks the BSF for a key of a bootstrapping", nil, diameter()),
		message("bootstrapping-info-answer", "BIA: the BSF gives it", nil, diameter()),

		event("access-authenticated", "an access knows who the mobile is, and the mobile that it is its network's", mn, of("link", "method", "identity", "fast", "exchanges")),
		event("access-refused", "an access does not let the mobile on", mn, of("link", "reason")),
		event("access-shut", "an access lets the mobile on no more", mn, of("link", "reason")),
		event("bootstrap-started", "the mobile begins a run of Ub", mn, of("link", "care-of")),
		event("bootstrap-postponed", "the BSF cannot answer now: it is asked again", mn, of("reason", "retry")),
		event("bootstrap-failed", "there is no key to prove a Binding Update with", mn, of("reason")),
		event("bootstrapped", "a run of Ub has ended well", mn, of("b-tid", "lifetime")),
		event("challenge-refused", "a challenge inside a refusal is not the network's", mn, of("reason")),
		event("station-admitted", "the AAA server lets a mobile on the link", router, of("link", "station", "nai", "method", "rounds", "latency", "again")),
		event("station-refused", "a mobile is not let on", router, of("link", "station", "reason")),
		event("station-barred", "a mobile that was on the link is not any more", router, of("link", "station", "nai", "reason")),
		event("eap-authenticated", "the AAA server knows who a mobile is", aaa, of("nai", "peer", "method", "identity", "fast")),
		event("eap-refused", "it refuses a mobile", aaa, of("nai", "peer", "reason")),
		event("hss-failed", "the HSS, or the BSF, gives the AAA server nothing", aaa, of("nai", "about", "reason")),
		event("subscriber-deregistered", "the HSS has ended the registration of a subscriber", aaa, of("nai", "reason")),
		event("profile-changed", "the HSS has told what a subscriber may do now", aaa, of("nai", "barred")),
		event("key-fetched", "a home agent has fetched a key of access authentication", aaa, of("nai", "peer")),
		event("challenge-sent", "a Binding Update is answered with a challenge", aaa, of("nai", "resynchronised")),
		event("bootstrapping-done", "a run of Ub has ended well", bsf, of("nai", "b-tid", "lifetime")),
		event("bootstrapping-refused", "a run of Ub has failed", bsf, of("nai", "reason")),
		event("bootstrapping-ended", "a bootstrapping is over", bsf, of("nai", "b-tid")),
		event("vector-fetched", "the HSS has given the BSF a vector", bsf, of("nai", "host", "resync")),
		event("vector-refused", "it has not", bsf, of("nai", "host", "resync", "reason")),
		event("deregistration-told", "the AAA server has been told that a subscriber may not be served any more", hss, of("nai", "peer", "result", "reason")),
		event("profile-told", "the AAA server has been told what a subscriber may do now", hss, of("nai", "peer", "result", "reason")),
		event("state-told", "a node has said what it holds: the answer to a look", nil, of("bindings", "subscribers", "questions", "sessions", "conversations", "stations", "kept", "bound", "waiting")),
	}
}

// bootstrapFields are the fields that no other event or message has.
func bootstrapFields() []field {
	return []field{
		{"identity", ofText, "which identity EAP went by: permanent, pseudonym or reauthentication"},
		{"fast", ofBoolean, "whether it was a fast re-authentication"},
		{"exchanges", ofNumber, "how many EAP requests were answered"},
		{"b-tid", ofText, "the identifier of a bootstrapping"},
		{"station", ofText, "a mobile's hardware address"},
		{"rounds", ofNumber, "how many requests it took"},
		{"round", ofNumber, "the request of an authentication, from 1"},
		{"again", ofBoolean, "whether it was on the link before"},
		{"about", ofText, "what the HSS or the BSF was asked for: vectors, profile, pgw-update or gba"},
		{"barred", ofBoolean, "whether the subscriber may not use non-3GPP access"},
		{"resynchronised", ofBoolean, "whether the card had asked for resynchronisation (AUTS)"},
		{"resync", ofBoolean, "whether it was asked with the AUTS of the card"},
		{"host", ofText, "the Diameter identity of the HSS"},
		{"subscribers", ofNumber, "with how many mobiles a home agent has a security association"},
		{"questions", ofNumber, "how many questions to AAA servers are not answered"},
		{"sessions", ofNumber, "how many sessions an AAA server has"},
		{"conversations", ofNumber, "how many authentications have begun and not ended"},
		{"stations", ofNumber, "how many mobiles an access router has let on"},
		{"kept", ofNumber, "how many bootstrappings a BSF keeps"},
		{"bound", ofBoolean, "whether the home agent has acknowledged a binding"},
		{"waiting", ofBoolean, "whether a Binding Update is not answered yet"},
	}
}
