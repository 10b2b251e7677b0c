package scenarios

import (
	"slices"
	"sync"
)

// A kind is what values a field has.
type kind string

const (
	ofNumber  kind = "a number"
	ofSeconds kind = "a duration"
	ofAddress kind = "an address"
	ofWords   kind = "a list of words"
	ofText    kind = "a text"
	ofBoolean kind = "a boolean"
	ofStatus  kind = "a status"
	ofNode    kind = "a node"
	ofLink    kind = "a link"
	ofSignal  kind = "a level in dBm"
)

// A field is one of an event or a message.
type field struct {
	name string
	kind kind
	doc  string
}

// A word is the name of an event or a message.
type word struct {
	name    string
	message bool
	roles   []string // where such an event happens; nil: anywhere
	fields  []string
	doc     string
}

// fields is every field that a scenario may speak of.
var fields = sync.OnceValue(func() []field {
	return []field{
		{"link", ofLink, "the link it is about, or crosses"},
		{"from", ofNode, "the node that sent it into the link"},
		{"to", ofNode, "a node that it was meant for, on the link"},
		{"fate", ofText, "delivered, dropped, duplicated, corrupted or held"},
		{"src", ofAddress, "the source in the outermost header"},
		{"dst", ofAddress, "the destination in the outermost header"},
		{"inner-src", ofAddress, "the source within a tunnel"},
		{"inner-dst", ofAddress, "the destination within a tunnel"},
		{"outer", ofText, "udp where it went in UDP over IPv4 (RFC 5555)"},
		{"length", ofNumber, "octets of the frame"},
		{"bad-checksum", ofBoolean, "true where the checksum is wrong"},
		{"malformed", ofText, "what is wrong with it"},
		{"seq", ofNumber, "the sequence number"},
		{"flags", ofWords, "flags that are set, such as A and H"},
		{"lifetime", ofSeconds, "the lifetime; 0s takes a binding away"},
		{"status", ofStatus, "the status of a Binding Acknowledgement: a number or its name; of a revocation: a number"},
		{"home-address", ofAddress, "the mobile's home address"},
		{"care-of", ofAddress, "the mobile's care-of address"},
		{"ipv4-home-address", ofAddress, "the mobile's IPv4 home address; 0.0.0.0 asks for one"},
		{"ipv4-status", ofNumber, "the status of the IPv4 home address"},
		{"force-udp", ofBoolean, "whether the home agent wants UDP, NAT or not"},
		{"nat-keepalive", ofSeconds, "how often the binding is to be refreshed for a NAT"},
		{"keepalive", ofSeconds, "how often the binding is refreshed for a NAT"},
		{"attempts", ofNumber, "how many Binding Updates were not answered"},
		{"options", ofWords, "mobility options that are there"},
		{"auth", ofWords, "authentication options that are there: mn-ha, mn-aaa"},
		{"nai", ofText, "the mobile's identifier"},
		{"spi", ofNumber, "the SPI"},
		{"prefix", ofText, "the prefix"},
		{"assigner", ofText, "who has chosen the home address: aaa, association or home-agent"},
		{"router", ofAddress, "the router's address"},
		{"home", ofBoolean, "whether it is the home link"},
		{"reason", ofText, "why"},
		{"address", ofAddress, "the address"},
		{"how", ofText, "how"},
		{"attempt", ofNumber, "1 for the first transmission"},
		{"latency", ofSeconds, "since the Binding Update; of a station, since it told its identity"},
		{"offset", ofSeconds, "of the clock"},
		{"new", ofBoolean, "whether there was no binding before"},
		{"name", ofText, "the name of the status or result"},
		{"peer", ofText, "the Diameter peer"},
		{"result", ofNumber, "the Diameter result code"},
		{"application", ofText, "the Diameter application: MIP6A, STa, SWx, Zh, Zn and so on"},
		{"command", ofText, "the Diameter command"},
		{"engine", ofText, "the tunnel engine: user or kernel"},
		{"local", ofAddress, "the tunnel's own end"},
		{"remote", ofAddress, "the tunnel's other end"},
		{"node", ofNode, "the node"},
		{"flow", ofText, "the flow"},
		{"source", ofAddress, "where it came from"},
		{"exit", ofText, "how the process ended"},
		{"target", ofAddress, "the address that neighbour discovery asks about"},
		{"dad", ofBoolean, "true where it is of duplicate address detection"},
		{"code", ofNumber, "the ICMPv6 code; the code of a Registration Reply; the status of HTTP; the AT_CLIENT_ERROR_CODE of EAP-AKA"},
		{"mtu", ofNumber, "the MTU"},
		{"service", ofText, "the service selected (APN)"},
		{"session", ofText, "the Diameter session"},
		{"origin-host", ofText, "the Diameter identity of the sender"},
		{"error", ofText, "what went wrong"},
		{"cause", ofText, "why the peer goes, or the session ends"},
		{"authenticated", ofBoolean, "whether the answer was verified"},
		{"action", ofText, "what was done: drop, hold, duplicate or replay"},
		{"message", ofText, "the message, by name"},
		{"event", ofText, "the event, by name"},
		{"protocol", ofText, "mh, diameter or icmp6; of a flow of data, tcp or udp"},
		{"sent", ofNumber, "how many were sent"},
		{"refused", ofNumber, "how many could not be sent"},
		{"packets", ofNumber, "how many packets were captured; of a flow of data, how many entered the link"},
		{"lost", ofNumber, "how many packets were not captured"},
		{"mappings", ofNumber, "how many mappings a NAT has lost"},
		{"client", ofText, "who asks for an address: its hardware address or identifier"},
		{"addresses", ofNumber, "how many addresses a pool has"},
		{"ports", ofText, "the ports that a NAT has in use: 1024-33279"},
		{"signal", ofSignal, "what the radio hears"},
		{"bid", ofNumber, "the BID of a care-of address"},
		{"bids", ofWords, "BIDs"},
		{"fids", ofWords, "FIDs of flow bindings that are made, moved or refreshed"},
		{"fid", ofNumber, "the FID of a flow binding"},
		{"flow-name", ofText, "the flow of a mobile node, by its name in the topology"},
		{"port", ofNumber, "the lower of the two ports"},
		{"octets", ofNumber, "how many octets of packets, outer headers included; of a key, its length"},
		{"key", ofText, "the name of a key, such as MN-HA key"},
		{"print", ofText, "the fingerprint of a key"},
		{"of", ofWords, "the names of the keys that a key is made of"},
		{"of-prints", ofWords, "the fingerprints of these"},
		{"lasted", ofSeconds, "from the first packet to the last"},
		{"instead-of", ofLink, "the access that carried the mobile before"},
		{"home-agent", ofAddress, "a home agent's address, where mobile nodes register"},
		{"silence", ofSeconds, "since the other was heard last"},
		{"bindings", ofNumber, "how many bindings"},
		{"home-agent-4", ofAddress, "its IPv4 address"},
		{"home-agents", ofNumber, "how many home agents are known"},
		{"preference", ofNumber, "how much a home agent is preferred"},
		{"method", ofText, "the way in which a home agent is looked for: static, dhaad, dns, dns-srv or dhcp; the EAP method"},
		{"retry", ofSeconds, "until it is tried again"},
		{"query", ofText, "the name that is asked for"},
		{"record", ofText, "the type of record that is asked for: A, AAAA or SRV"},
		{"answers", ofNumber, "how many records answer"},
		{"eap", ofText, "the EAP packet inside: request, response, success or failure"},
		{"eap-id", ofNumber, "the identifier of an EAP packet"},
		{"eap-type", ofText, "the type of an EAP packet: Identity, Nak, EAP-AKA, EAP-AKA' and so on"},
		{"eap-subtype", ofText, "the subtype of EAP-AKA: AKA-Challenge, AKA-Identity and so on"},
		{"attributes", ofWords, "attributes of EAP-AKA that are there: AT_RAND and so on"},
		{"wanted", ofWords, "types that a Nak asks for"},
		{"identity", ofText, "the identity as it was told; in events, its kind: permanent, pseudonym, reauthentication"},
		{"notification", ofNumber, "the code of AT_NOTIFICATION"},
		{"network", ofText, "the access network that keys are bound to"},
		{"access-network", ofText, "the same, over Diameter (ANID)"},
		{"rand", ofText, "RAND of a challenge, in hexadecimal digits"},
		{"auts", ofBoolean, "true where a card has told its sequence number"},
		{"scheme", ofText, "the authentication scheme"},
		{"assignment", ofText, "why a server is assigned: registration, pgw-update and so on"},
		{"b-tid", ofText, "the name of a bootstrapping"},
		{"naf", ofText, "who wants a key of a bootstrapping"},
		{"key-material", ofWords, "what is said of keys: nonce-request, nonce, aka-request, aka-challenge, aka-response, aka-resynchronisation"},
		{"radius-id", ofNumber, "the identifier of a RADIUS packet"},
		{"nas", ofText, "the client of RADIUS"},
		{"station", ofText, "the link-layer address of a mobile"},
		{"request", ofText, "the method of HTTP and what it is about"},
		{"host", ofText, "the host that is asked, or that asks"},
		{"authorization", ofText, "what Authorization has: identity, response or auts"},
		{"algorithm", ofText, "the algorithm of HTTP Digest"},
		{"fast", ofBoolean, "whether it was a fast re-authentication"},
		{"exchanges", ofNumber, "how many EAP Requests were answered"},
		{"round", ofNumber, "1 for the first question of a conversation"},
		{"rounds", ofNumber, "how many questions a conversation took"},
		{"again", ofBoolean, "whether the mobile was on the link already"},
		{"about", ofText, "what the HSS was asked for: vectors, profile, pgw-update or gba"},
		{"barred", ofBoolean, "whether the subscriber may not use the access any more"},
		{"vectors", ofNumber, "how many vectors were given"},
		{"resync", ofBoolean, "whether the card had told its sequence number"},
		{"resynchronised", ofBoolean, "whether the card had told its sequence number"},
		{"trigger", ofText, "why a binding is revoked: administrative, out-of-sync and so on"},
		{"subscribers", ofNumber, "with how many mobiles a home agent has a security association"},
		{"questions", ofNumber, "how many questions to AAA servers are not answered"},
		{"sessions", ofNumber, "how many sessions an AAA server has"},
		{"conversations", ofNumber, "how many authentications have begun and not ended"},
		{"stations", ofNumber, "how many mobiles an access router has let on"},
		{"kept", ofNumber, "how many bootstrappings a BSF keeps"},
		{"bound", ofBoolean, "whether the home agent has acknowledged a binding"},
		{"waiting", ofBoolean, "whether a Binding Update is not answered yet"},
	}
})

// everyMessage is the fields that all messages have.
var everyMessage = []string{"link", "from", "to", "fate", "reason", "src", "dst", "inner-src", "inner-dst", "outer", "length", "bad-checksum", "malformed"}

// words is every event and message that a scenario may speak of.
var words = sync.OnceValue(func() []word {
	mh := []string{"home-address", "care-of", "options", "auth", "nai", "spi", "service", "key-material", "rand"}
	dhcp := []string{"address", "client", "lifetime"}
	eap := []string{"eap-id", "eap-type", "eap-subtype", "attributes", "identity", "rand", "notification", "network", "code", "wanted"}
	inside := append([]string{"eap"}, eap...)
	diameter := []string{"application", "flags", "nai", "result", "name", "error", "origin-host", "session"}
	with := func(own ...string) []string { return append(own, mh...) }
	mn, ha, aaa, hss, bsf, router := []string{"mn"}, []string{"ha"}, []string{"aaa"}, []string{"hss"}, []string{"bsf"}, []string{"router"}
	peers := []string{"aaa", "ha", "hss", "bsf", "router"}
	message := func(name, doc string, fields ...string) word {
		return word{name: name, message: true, doc: doc, fields: append(slices.Clone(fields), everyMessage...)}
	}
	event := func(name string, roles []string, doc string, fields ...string) word {
		return word{name: name, roles: roles, doc: doc, fields: fields}
	}
	return []word{
		message("binding-update", "a mobile node tells where it is", with("seq", "flags", "lifetime", "ipv4-home-address", "bids", "fids")...),
		message("binding-acknowledgement", "the home agent answers", with("seq", "flags", "lifetime", "status", "name", "ipv4-home-address", "ipv4-status", "force-udp", "nat-keepalive", "bids", "fids")...),
		message("binding-error", "a Home Address option without a binding", with("status", "name")...),
		message("binding-refresh-request", "the home agent asks for a Binding Update", mh...),
		message("home-test-init", "return routability", mh...),
		message("care-of-test-init", "return routability", mh...),
		message("home-test", "return routability", mh...),
		message("care-of-test", "return routability", mh...),
		message("home-agent-switch", "the home agent names another", with("home-agent")...),
		message("binding-revocation-indication", "the home agent takes a binding away", with("seq", "flags", "trigger")...),
		message("binding-revocation-acknowledgement", "the mobile has heard so", with("seq", "flags", "status", "name")...),
		message("mobility-malformed", "a Mobility Header that cannot be read"),
		message("registration-request", "a mobile node tells by Mobile IPv4 where it is", "home-address", "home-agent", "care-of", "flags", "lifetime", "auth", "nai", "spi", "key-material"),
		message("registration-reply", "the home agent answers", "home-address", "home-agent", "code", "name", "lifetime", "auth", "nai", "spi", "key-material"),
		message("registration-malformed", "a message of Mobile IPv4 that cannot be read"),
		message("router-solicitation", "a node asks for routers", "options"),
		message("router-advertisement", "a router says that it is there", "flags", "lifetime", "router", "prefix", "preference", "options"),
		message("neighbor-solicitation", "a node asks for a link-layer address", "target", "dad", "options"),
		message("neighbor-advertisement", "a node tells its link-layer address", "target", "flags", "options"),
		message("arp-request", "a node asks for the link-layer address of an IPv4 one; with dad, whether somebody has it", "target", "dad"),
		message("arp-reply", "a node tells its link-layer address", "target"),
		message("dhcp4-discover", "a node asks for an IPv4 address", dhcp...),
		message("dhcp4-offer", "a server offers one", append([]string{"router"}, dhcp...)...),
		message("dhcp4-request", "the node asks for that, or to have its own for longer", dhcp...),
		message("dhcp4-ack", "the server gives it", append([]string{"router"}, dhcp...)...),
		message("dhcp4-nak", "the server refuses it", dhcp...),
		message("dhcp4-decline", "the node has found it in use", dhcp...),
		message("dhcp4-release", "the node gives it back", dhcp...),
		message("dhcp4-inform", "a node asks for configuration alone", dhcp...),
		message("dhcp6-solicit", "a node asks for an IPv6 address", dhcp...),
		message("dhcp6-advertise", "a server offers one", append([]string{"code"}, dhcp...)...),
		message("dhcp6-request", "the node asks for that", dhcp...),
		message("dhcp6-confirm", "a node that comes back asks whether its address is still right", dhcp...),
		message("dhcp6-renew", "a node asks its server to have its address for longer", dhcp...),
		message("dhcp6-rebind", "it asks any server", dhcp...),
		message("dhcp6-reply", "the server answers", append([]string{"code"}, dhcp...)...),
		message("dhcp6-release", "the node gives its address back", dhcp...),
		message("dhcp6-decline", "the node has found it in use", dhcp...),
		message("dhcp6-information-request", "a node asks for configuration alone", dhcp...),
		message("dhcp-malformed", "a DHCP message that cannot be read"),
		message("redirect", "a router names a better one", "target", "options"),
		message("echo-request", "ping", "seq"),
		message("echo-reply", "the answer to ping", "seq"),
		message("icmp6-unreachable", "a destination cannot be reached", "code"),
		message("icmp6-packet-too-big", "a packet is longer than the MTU", "mtu"),
		message("icmp6-time-exceeded", "a packet has gone round in circles", "code"),
		message("icmp6-parameter-problem", "a node cannot process a header", "code"),
		message("home-agent-address-discovery-request", "a mobile node asks for home agents"),
		message("home-agent-address-discovery-reply", "a home agent names them", "home-agent", "home-agents"),
		message("mobile-prefix-solicitation", "a mobile node asks for its home prefixes"),
		message("mobile-prefix-advertisement", "a home agent tells them"),
		message("dns-query", "a node asks for a name", "query", "record"),
		message("dns-response", "a DNS server answers", "query", "record", "name", "answers"),
		message("capabilities-exchange-request", "a Diameter peer introduces itself", diameter...),
		message("capabilities-exchange-answer", "the other peer does", diameter...),
		message("device-watchdog-request", "a Diameter peer asks whether the other lives", diameter...),
		message("device-watchdog-answer", "it does", diameter...),
		message("disconnect-peer-request", "a Diameter peer goes", append([]string{"cause"}, diameter...)...),
		message("disconnect-peer-answer", "the other peer has heard so", diameter...),
		message("mip6a-request", "MIR: the home agent asks the AAA server about a mobile", append([]string{"home-address", "care-of", "spi", "service", "rand", "auts"}, diameter...)...),
		message("mip6a-answer", "MIA: the AAA server answers", append([]string{"home-address", "service", "rand"}, diameter...)...),
		message("aa-mobile-node-request", "AMR: the home agent asks the AAA server about a registration", append([]string{"home-address", "home-agent", "spi"}, diameter...)...),
		message("aa-mobile-node-answer", "AMA: the AAA server answers", append([]string{"home-address", "home-agent"}, diameter...)...),
		message("diameter-eap-request", "DER: an access network brings the AAA server what a mobile said", append(append([]string{"access-network"}, diameter...), inside...)...),
		message("diameter-eap-answer", "DEA: the AAA server answers", append(slices.Clone(diameter), inside...)...),
		message("multimedia-auth-request", "MAR: an AAA server (SWx) or a BSF (Zh) asks the HSS for vectors", append([]string{"scheme", "access-network", "rand", "auts"}, diameter...)...),
		message("multimedia-auth-answer", "MAA: the HSS gives them", append([]string{"scheme", "rand"}, diameter...)...),
		message("server-assignment-request", "SAR: an AAA server asks the HSS for a profile, or tells it of a mobile", append([]string{"assignment", "service"}, diameter...)...),
		message("server-assignment-answer", "SAA: the HSS answers", diameter...),
		message("registration-termination-request", "RTR: the HSS ends the registration of a subscriber", diameter...),
		message("registration-termination-answer", "RTA: the AAA server has done so", diameter...),
		message("push-profile-request", "PPR: the HSS tells of a changed profile", diameter...),
		message("push-profile-answer", "PPA: the AAA server has it", diameter...),
		message("bootstrapping-info-request", "BIR: a home agent or an AAA server asks the BSF for a key (Zn)", append([]string{"b-tid", "naf"}, diameter...)...),
		message("bootstrapping-info-answer", "BIA: the BSF gives it", diameter...),
		message("re-auth-request", "RAR: the AAA server has a mobile authenticated again", diameter...),
		message("re-auth-answer", "RAA: that will be done", diameter...),
		message("aa-request", "AAR: a home agent or an access network asks for authorisation alone", append([]string{"service"}, diameter...)...),
		message("aa-answer", "AAA: the AAA server answers", diameter...),
		message("abort-session-request", "ASR: the AAA server has a session ended", diameter...),
		message("abort-session-answer", "ASA: the home agent will end it", diameter...),
		message("session-termination-request", "STR: the home agent ends a session", append([]string{"cause"}, diameter...)...),
		message("session-termination-answer", "STA: the AAA server has heard so", diameter...),
		message("eapol-start", "a mobile wants to be authenticated on a link"),
		message("eapol-logoff", "a mobile leaves a link that has authenticated it"),
		message("eapol-key", "a key of a link, which is not read"),
		message("eapol-malformed", "a frame of 802.1X that cannot be read"),
		message("eap-request", "the access asks a mobile", eap...),
		message("eap-response", "the mobile answers", eap...),
		message("eap-success", "the access lets the mobile in", "eap-id"),
		message("eap-failure", "it does not", "eap-id"),
		message("eap-malformed", "an EAP packet that cannot be read"),
		message("radius-access-request", "a client of RADIUS asks about a mobile", append([]string{"radius-id", "nai", "nas", "station", "home-address", "care-of", "home-agent", "spi"}, inside...)...),
		message("radius-access-challenge", "the server wants to know more", append([]string{"radius-id", "lifetime"}, inside...)...),
		message("radius-access-accept", "the server lets the mobile in", append([]string{"radius-id", "nai", "lifetime", "home-address", "home-agent", "spi"}, inside...)...),
		message("radius-access-reject", "the server does not", append([]string{"radius-id", "error"}, inside...)...),
		message("radius-malformed", "a RADIUS packet that cannot be read"),
		message("ub-request", "a mobile node asks the BSF over Ub", "request", "host", "nai", "authorization", "rand"),
		message("ub-response", "the BSF answers", "code", "name", "algorithm", "rand", "b-tid"),
		message("diameter-malformed", "a Diameter message that cannot be read"),

		event("ready", nil, "a node can be used"),
		event("carrier-lost", mn, "the link is gone", "link"),
		event("carrier-gained", mn, "the link is there", "link"),
		event("router-found", mn, "a new router was heard", "link", "router", "prefix", "home"),
		event("router-lost", mn, "a router is not heard any more", "link", "router", "reason"),
		event("address-configured", mn, "a care-of address can be used", "link", "address", "how"),
		event("address-offered", mn, "a DHCP server was found", "link", "address", "source"),
		event("address-failed", mn, "an address is a duplicate", "link", "address"),
		event("address-lost", mn, "an address may not be used any more", "link", "address", "reason"),
		event("nat-detected", mn, "there is a NAT on the way to the home agent", "link", "keepalive"),
		event("ipv6-failed", mn, "Binding Updates by IPv6 were not answered: it goes on by IPv4", "link", "attempts"),
		event("home-address-refused", mn, "the home agent gives no IPv4 home address", "status", "name", "reason"),
		event("signal-changed", mn, "the radio hears an access better or worse", "link", "signal"),
		event("access-chosen", mn, "the policy has decided", "link", "instead-of", "reason", "signal"),
		event("access-authenticated", mn, "an access has let the mobile in", "link", "method", "identity", "fast", "exchanges"),
		event("access-refused", mn, "an access does not let the mobile in", "link", "reason"),
		event("access-shut", mn, "an access that had let the mobile in does not any more", "link", "reason"),
		event("access-keys-forgotten", mn, "the network has lost the keys of access authentication: an access is to authenticate the mobile again", "link"),
		event("bootstrap-started", mn, "the mobile asks the BSF for keys (Ub)", "link", "care-of"),
		event("bootstrapped", mn, "it shares a key with the BSF", "b-tid", "lifetime"),
		event("bootstrap-postponed", mn, "the BSF cannot be asked now", "reason", "retry"),
		event("bootstrap-failed", mn, "there is no key to prove a Binding Update with", "reason"),
		event("challenge-refused", mn, "a challenge in a Binding Acknowledgement is not to be believed", "reason"),
		event("station-admitted", router, "a mobile may use a link", "link", "station", "nai", "method", "rounds", "latency", "again"),
		event("station-refused", router, "a mobile may not", "link", "station", "reason"),
		event("station-barred", router, "a mobile that might use a link may not any more", "link", "station", "nai", "reason"),
		event("attached", mn, "the mobile has taken to a link", "link", "care-of", "home"),
		event("binding-update-sent", mn, "", "seq", "care-of", "home-address", "lifetime", "auth", "attempt", "peer", "bids"),
		event("binding-acknowledged", mn, "", "seq", "status", "lifetime", "latency", "bids"),
		event("registration-request-sent", mn, "by Mobile IPv4", "care-of", "home-address", "lifetime", "auth", "attempt"),
		event("registration-accepted", mn, "by Mobile IPv4", "care-of", "home-address", "lifetime", "latency"),
		event("binding-refused", []string{"mn", "ha"}, "", "seq", "status", "name", "nai", "home-address", "care-of", "reason", "authenticated", "peer"),
		event("route-optimized", []string{"mn", "cn"}, "packets go directly: at the mobile to peer, at the correspondent to home-address", "peer", "home-address", "care-of", "seq", "lifetime"),
		event("route-optimization-ended", []string{"mn", "cn"}, "they do not any more", "peer", "home-address", "care-of", "reason"),
		event("peer-deregistered", mn, "a peer holds no binding any more, as the mobile is at home", "peer", "seq", "status"),
		event("route-optimization-failed", mn, "a peer does not do it", "peer", "reason"),
		event("clock-resynchronised", mn, "the mobile has taken the home agent's time", "offset"),
		event("bound", mn, "the home agent holds the binding", "link", "care-of", "lifetime", "bid"),
		event("home-address-assigned", []string{"mn", "ha"}, "a mobile without a home address has been given one", "home-address", "prefix", "nai", "care-of", "assigner"),
		event("returned-home", mn, "the home agent holds no binding any more", "link"),
		event("message-ignored", nil, "a message was not acted on", "reason", "message", "source", "peer"),
		event("binding-update-failed", mn, "a Binding Update could not be made", "error"),
		event("action-failed", nil, "the kernel refused something", "action", "error"),
		event("tunnel-set", nil, "", "engine", "local", "remote", "bid"),
		event("tunnel-cleared", nil, ""),
		event("binding-accepted", ha, "", "nai", "home-address", "care-of", "seq", "lifetime", "spi", "new", "bids"),
		event("deregistered", mn, "the home agent holds no binding any more, away from home", "home-address"),
		event("binding-revoked", mn, "the home agent has taken the binding away", "home-address", "seq", "trigger", "status", "name"),
		event("switch-indicated", mn, "the home agent sends the mobile to another", "home-address", "home-agent", "source"),
		event("home-agent-changed", mn, "the mobile goes to another home agent", "home-address", "home-agent"),
		event("home-agent-discovery-started", mn, "the mobile looks for a home agent", "method", "link", "care-of"),
		event("home-agent-discovered", mn, "it has found one", "method", "link", "home-agent", "home-agent-4", "home-agents"),
		event("home-agent-discovery-failed", mn, "it has found none in that way", "method", "link", "reason", "retry"),
		event("home-agent-discovery-answered", ha, "a node has asked for home agents", "source", "home-agent", "home-agents"),
		event("switch-sent", ha, "", "nai", "home-address", "care-of", "home-agent", "attempt"),
		event("standby-connected", ha, "the standby is given all", "source"),
		event("standby-synced", ha, "the standby knows all", "bindings"),
		event("standby-rejected", ha, "somebody is not the standby", "source", "reason"),
		event("standby-lost", ha, "the standby is gone", "source", "reason"),
		event("replication-failed", ha, "the standby has no connection", "error"),
		event("takeover-started", ha, "the other home agent is silent", "silence"),
		event("stood-down", ha, "another home agent serves in its place, and it stands by", "home-agent"),
		event("took-over", ha, "the standby serves in its place: latency since it was heard last", "bindings", "latency"),
		event("bindings-restored", ha, "it has its bindings of before it was restarted", "bindings"),
		event("revocation-sent", ha, "", "nai", "home-address", "care-of", "seq", "trigger", "attempt"),
		event("revocation-answered", ha, "", "nai", "home-address", "seq", "status", "name"),
		event("session-aborted", []string{"ha", "router"}, "an AAA server wants a session ended", "nai", "session", "peer", "result"),
		event("session-terminated", []string{"ha", "router"}, "an AAA server has been told that a session is over", "nai", "session", "result", "reason"),
		event("reauthentication-asked", router, "an AAA server wants a mobile authenticated again", "nai", "session", "peer", "result"),
		event("session-opened", aaa, "", "nai", "session", "peer"),
		event("session-closed", aaa, "", "nai", "session", "peer", "reason", "cause"),
		event("abort-sent", aaa, "", "nai", "session", "peer", "attempt"),
		event("abort-answered", aaa, "", "nai", "session", "peer", "result", "name"),
		event("abort-failed", aaa, "", "nai", "session", "peer", "reason"),
		event("care-of-registered", ha, "what became of one of several care-of addresses", "home-address", "bid", "care-of", "status", "name"),
		event("care-of-deleted", []string{"mn", "ha"}, "one of several care-of addresses is not bound any more", "home-address", "bid", "care-of", "link", "reason"),
		event("care-of-refused", mn, "the home agent does not bind one of several care-of addresses", "link", "care-of", "bid", "status", "name"),
		event("flow-bound", []string{"mn", "ha"}, "a flow goes by another access; at the home agent, what became of that", "flow-name", "fid", "bid", "bids", "link", "home-address", "status", "name"),
		event("flow-refused", mn, "the home agent does not bind a flow", "flow-name", "fid", "status", "name", "reason"),
		event("multihoming-refused", mn, "the home agent binds one care-of address only", "reason"),
		event("flow-appeared", nil, "a link begins to carry a flow of data", "link", "src", "dst", "protocol", "port"),
		event("flow-vanished", nil, "it has carried none of it for half a second", "link", "src", "dst", "protocol", "port", "packets", "octets", "lasted"),
		event("binding-deleted", ha, "", "home-address", "reason"),
		event("binding-expired", []string{"mn", "ha"}, "", "home-address"),
		event("update-discarded", ha, "a Binding Update was not answered", "reason", "source"),
		event("binding-error-sent", ha, "", "status", "name", "source", "home-address"),
		event("aaa-asked", []string{"ha", "router"}, "an AAA server is asked, or of a home agent the BSF", "nai", "home-address", "care-of", "link", "station", "round"),
		event("aaa-answered", []string{"ha", "router"}, "it has answered", "nai", "result", "name", "peer", "link", "station"),
		event("aaa-failed", []string{"ha", "router"}, "nobody answered", "nai", "reason", "link", "station"),
		event("eap-authenticated", aaa, "a mobile is who it says, by EAP", "nai", "peer", "method", "identity", "fast"),
		event("eap-refused", aaa, "a mobile is not", "nai", "peer", "reason"),
		event("challenge-sent", aaa, "a Binding Update is answered with a challenge", "nai", "resynchronised"),
		event("key-fetched", aaa, "the BSF has given the key of a mobile", "nai", "peer"),
		event("hss-failed", aaa, "the HSS, or the BSF where it is about gba, has not given what it was asked for", "nai", "about", "reason"),
		event("subscriber-deregistered", aaa, "the HSS has ended the registration of a subscriber", "nai", "reason"),
		event("profile-changed", aaa, "the HSS has told of a changed profile", "nai", "barred"),
		event("deregistration-told", hss, "an AAA server was told that a subscriber is none any more", "nai", "result", "peer", "reason"),
		event("profile-told", hss, "an AAA server was told of a changed profile", "nai", "result", "peer", "reason"),
		event("store-failed", hss, "what was changed could not be kept", "error"),
		event("vector-fetched", bsf, "the HSS has given a vector", "nai", "resync", "host"),
		event("vector-refused", bsf, "it has not", "nai", "resync", "host", "reason"),
		event("bootstrapping-done", bsf, "a mobile has proven itself, and shares a key", "nai", "b-tid", "lifetime"),
		event("bootstrapping-refused", bsf, "a mobile has not", "nai", "reason"),
		event("bootstrapping-ended", bsf, "such a key may not be used any more", "nai", "b-tid"),
		event("key-made", nil, "a node has made a key, or was given one, and uses it from now on", "nai", "key", "octets", "print", "how", "of", "of-prints", "lifetime"),
		event("association-made", ha, "there is a key with a mobile", "nai", "spi", "lifetime"),
		event("service-authorized", ha, "an AAA server has said, by S6b, whether a mobile may have its service", "nai", "result", "peer", "reason"),
		event("association-expired", ha, "", "nai", "spi"),
		event("duplicate-address-detected", ha, "", "home-address"),
		event("peer-up", peers, "a Diameter peer is there", "peer"),
		event("peer-down", peers, "a Diameter peer is gone", "peer", "reason"),
		event("peer-rejected", []string{"ha", "router"}, "a peer is not the one it should be", "peer", "reason"),
		event("peer-suspected", peers, "a Diameter peer does not answer", "peer"),
		event("peer-restored", peers, "it answers again", "peer"),
		event("connection-rejected", []string{"aaa", "hss", "bsf"}, "", "peer", "reason"),
		event("request-answered", []string{"aaa", "hss", "bsf"}, "", "command", "nai", "result", "name", "peer", "host", "b-tid", "vectors", "reason"),
		event("events-suppressed", nil, "events were too many to be told one by one", "event"),
		event("lease-granted", []string{"router", "nat", "ha"}, "a node was given an address by DHCP", "link", "address", "client", "lifetime"),
		event("lease-ended", []string{"router", "nat", "ha"}, "it was released, or has expired", "link", "address", "reason"),
		event("lease-refused", []string{"router", "nat", "ha", "mn"}, "a node asked for an address that it cannot have", "link", "address", "client", "reason"),
		event("address-declined", []string{"router", "nat", "ha"}, "a node found that somebody else has the address it was given", "link", "address", "client"),
		event("pool-exhausted", []string{"router", "nat", "ha"}, "DHCP has no address left", "link", "addresses"),
		event("nat-forgot", []string{"nat"}, "a NAT has lost its mappings", "mappings"),
		event("nat-babbles", []string{"nat"}, "a NAT answers with nonsense from now on"),
		event("nat-behaves", []string{"nat"}, "a NAT no longer answers with nonsense", "sent"),
		event("nat-renumbered", []string{"nat"}, "a NAT has lost its mappings and has other ports in use", "mappings", "ports"),
		event("flow-started", nil, "", "flow"),
		event("flow-stopped", nil, "", "flow"),
		event("flow-broken", nil, "a connection has ended before it was stopped", "flow", "error"),
		event("link-attached", nil, "the lab has joined a mobile to a link", "node", "link"),
		event("link-detached", nil, "the lab has parted a mobile from a link", "node", "link"),
		event("link-changed", nil, "the lab has changed a link", "link"),
		event("node-started", nil, ""),
		event("node-stopped", nil, ""),
		event("aim-hit", nil, "a drop, hold, duplicate or replay has met its message", "action", "link", "message"),
		event("state-told", nil, "a node has said what it holds: the answer to a look", "bindings", "subscribers", "questions", "sessions", "conversations", "stations", "kept", "bound", "waiting"),
		event("command-ended", nil, "a command of exec has ended", "command", "exit"),
		event("flood-ended", nil, "", "protocol", "sent", "refused"),
		event("capture-ended", nil, "", "packets", "lost"),
		event("node-died", nil, "a node process ended and was not asked to", "exit"),
	}
})

func wordNamed(name string) *word {
	for _, w := range words() {
		if w.name == name {
			return &w
		}
	}
	return nil
}

func fieldNamed(name string) *field {
	for _, f := range fields() {
		if f.name == name {
			return &f
		}
	}
	return nil
}

// wordNames returns the names of events, of messages, or of both.
func wordNames(events, messages bool) []string {
	var out []string
	for _, w := range words() {
		if w.message && messages || !w.message && events {
			out = append(out, w.name)
		}
	}
	return out
}

// A measure is a number that reports give.
type measure struct {
	name, unit string
	of         []string // what it can be asked of: node, flow, handover, percentile
	doc        string
}

var measures = sync.OnceValue(func() []measure {
	handover := []string{"node", "flow", "handover", "percentile"}
	phase := []string{"node", "handover", "percentile"}
	flow := []string{"node", "flow", "handover"}
	return []measure{
		{"interruption", "seconds", handover, "how long no data came, from the last packet before a handover to the first after it"},
		{"silence", "seconds", []string{"node", "flow"}, "the longest time between two packets of a flow, as they arrived"},
		{"excess", "seconds", handover, "the part of the interruption that neither the gap nor the round trips of the protocol explain"},
		{"link-gap", "seconds", phase, "the part of it without any link"},
		{"access-authentication", "seconds", phase, "the part of it until the access let the mobile in"},
		{"movement-detection", "seconds", phase, "the part of it until a router was found"},
		{"address-configuration", "seconds", phase, "the part of it until a care-of address could be used"},
		{"bootstrapping", "seconds", phase, "the part of it until the BSF had given keys"},
		{"signalling", "seconds", phase, "the part of it from the Binding Update to its acknowledgement"},
		{"first-packet", "seconds", phase, "the part of it until data came again"},
		{"latency", "seconds", phase, "from the first Binding Update of a handover to the acknowledgement that ends it"},
		{"handovers", "count", []string{"node"}, "how many handovers there were"},
		{"lost", "count", flow, "packets that never came; of bulk, octets"},
		{"loss", "share", flow, "the share of packets that never came; of bulk, of octets"},
		{"corrupted", "count", []string{"node", "flow"}, "packets that came with other octets than were sent; of bulk, octets"},
		{"duplicates", "count", flow, "packets that came more than once"},
		{"reordered", "count", flow, "packets that came after a later one"},
		{"delay", "seconds", []string{"node", "flow", "percentile"}, "from sending to receiving, packet by packet"},
		{"jitter", "seconds", []string{"node", "flow"}, "of RFC 3550, section 6.4.1"},
		{"throughput", "bit/s", []string{"node", "flow"}, "of the flow, while it ran"},
		{"response", "seconds", []string{"node", "flow", "percentile"}, "from request to answer"},
	}
})

func measureNamed(name string) *measure {
	for _, m := range measures() {
		if m.name == name {
			return &m
		}
	}
	return nil
}

func measureNames() []string {
	var out []string
	for _, m := range measures() {
		out = append(out, m.name)
	}
	return out
}

// statuses are the names of Binding Acknowledgement statuses.
var statuses = sync.OnceValue(func() map[string]int {
	return map[string]int{
		"accepted":                                      0,
		"accepted-prefix-discovery-necessary":           1,
		"mcoa-not-complete":                             4,
		"mcoa-return-home-without-ndp":                  5,
		"reason-unspecified":                            128,
		"administratively-prohibited":                   129,
		"insufficient-resources":                        130,
		"home-registration-not-supported":               131,
		"not-home-subnet":                               132,
		"not-home-agent":                                133,
		"duplicate-address-detection-failed":            134,
		"sequence-number-out-of-window":                 135,
		"expired-home-nonce-index":                      136,
		"expired-care-of-nonce-index":                   137,
		"expired-nonces":                                138,
		"registration-type-change-disallowed":           139,
		"mobile-router-operation-not-permitted":         140,
		"invalid-prefix":                                141,
		"not-authorized-for-prefix":                     142,
		"forwarding-setup-failed":                       143,
		"id-mismatch":                                   144,
		"message-id-required":                           145,
		"authentication-failed":                         146,
		"service-authorization-failed":                  151,
		"mcoa-malformed":                                164,
		"mcoa-non-mcoa-binding-exists":                  165,
		"mcoa-prohibited":                               166,
		"mcoa-unknown-care-of-address":                  167,
		"mcoa-bulk-registration-prohibited":             168,
		"mcoa-simultaneous-home-and-foreign-prohibited": 169,
		"invalid-care-of-address":                       174,
	}
})

func (w *word) has(field string) bool { return slices.Contains(w.fields, field) }
