package topologies

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"s2clab/topologies/strict"
)

// What a topology may leave out.
const (
	defaultRealm        = "epc.mnc001.mcc001.3gppnetwork.org"
	defaultLifetime     = 60 * time.Second  // of a binding
	defaultMaxLifetime  = 600 * time.Second //
	defaultMaxBindings  = 10000
	defaultReplayWindow = 7 * time.Second   // RFC 4285, section 6
	defaultNATKeepalive = 110 * time.Second // RFC 5555, section 6
	defaultAAATimeout   = 2 * time.Second
	defaultHSSTimeout   = time.Second      // so that the AAA server can say so before nobody waits for it
	defaultWatchdog     = 30 * time.Second // RFC 3539, section 3.4.1
	defaultKeyLifetime  = time.Hour
	defaultHeartbeat    = 100 * time.Millisecond

	// RFC 5846, section 11.
	defaultRevocationRetries = 1
	defaultRevocationDelay   = time.Second
	defaultRevocationTimeout = 2 * time.Second

	defaultMTU         = 1500
	defaultMNAAASPI    = 3 // HMAC_SHA1_SPI: RFC 4285, section 8
	defaultMaxInterval = time.Second
	diameterPort       = 3868
	maxNodes           = 1000
	fastest            = 1_000_000_000_000       // bit/s of a link
	maxLifetime        = 65535 * 4 * time.Second // RFC 6275, section 6.1.7
)

// format is the table of all that a topology file may hold. Reading, the
// schema and the reference page come from it.
var format = sync.OnceValue(func() *strict.Shape {
	list := func(s *strict.Scalar, name string) *strict.Shape {
		return &strict.Shape{Name: name, Items: strict.Of(s), Single: true, Least: 1}
	}
	mn, ha, nat := []string{"mn"}, []string{"ha"}, []string{"nat"}
	diameter := []string{"ha", "aaa", "hss", "bsf", "router"}
	node := &strict.Shape{Ref: "node", Name: "a node", Example: "{role: router}", Switch: "role", Fields: []strict.Field{
		{Key: "role", Required: true, Shape: strict.Of(strict.Words("a role", roles...)),
			Doc: "What the node is: mn (mobile node), ha (home agent), aaa (AAA server), hss (home subscriber server), bsf (bootstrapping server function), router, nat (a router that translates IPv4 addresses), dns (DNS server), cn (correspondent node)."},
		{Key: "count", Shape: strict.Of(strict.Integer("a number of nodes", 1, maxNodes)), For: []string{"mn", "cn"},
			Doc: "So many nodes alike: ue with count 3 is ue1, ue2 and ue3, and ue means all of them. Left out: one, with the name as it stands."},
		{Key: "clock-offset", Shape: strict.Of(span("1h", -100*365*24*time.Hour, 100*365*24*time.Hour)),
			Doc: "How far the node's clock is off: 1h is an hour ahead, -1h an hour behind. Left out: it is right."},

		{Key: "home-agent", For: mn, Shape: strict.Of(reference("a node with role ha", "pgw")), Doc: "The node that is its home agent. Left out: the only one there is."},
		{Key: "discovery", For: mn, Shape: list(strict.Words("a way to find a home agent", discoveries...), "a list of ways to find a home agent"), Doc: "How it finds its home agent: static (it was told), dhaad (it asks at the anycast address of its home prefix), dns (it looks for the addresses of the home agent's name), dns-srv (for the names that give the service), dhcp (the access tells, by RFC 6610); or several, in the order in which they are tried. Left out: static."},
		{Key: "name-servers", For: mn, Shape: list(eitherAddress(), "a list of addresses"), Doc: "DNS servers that it asks for its home agent before those that accesses tell. Left out: none."},
		{Key: "subscriber", For: mn, Shape: strict.Of(subscriberScalar()), Doc: "Who uses it: an IMSI between quotes, of which the NAI is made, or a NAI. With count, the IMSI of the first. Left out: test IMSIs in order."},
		{Key: "home-address", For: mn, Shape: list(homeAddressScalar(), "a list of addresses"), Doc: "Its address for ever, in a /64 of its home agent's home prefixes; or that and its IPv4 home address: [2001:db8:100::10, 192.0.2.10]. With assigned in place of the first, the mobile does not know it and asks for it in its first Binding Update. Left out: chosen, and known to it."},
		{Key: "ipv4-home-address", For: mn, Shape: strict.Of(strict.Boolean()), Doc: "Whether it asks for an IPv4 home address too (RFC 5555). Left out: true where its home agent has an IPv4 home prefix."},
		{Key: "force-udp", For: mn, Shape: strict.Of(strict.Boolean()), Doc: "Whether it asks for UDP in its tunnel over IPv4, NAT or not, by the F flag (RFC 5555, section 4.4.2). Left out: false."},
		{Key: "route-optimization", For: []string{"mn", "cn"}, Shape: &strict.Shape{Name: "true, false or a list of nodes", Scalar: strict.Boolean(), Items: strict.Of(reference("a node", "cn"))},
			Doc: "Route optimization (RFC 6275): at a cn, whether it knows it; at a mobile, whether it does it with every cn that knows it, or a list of those it does it with, which may be mobiles that do it too. It also answers others then. Left out: false, as in the EPC."},
		{Key: "binding-lifetime", For: mn, Shape: strict.Of(lifetime()), Doc: "The lifetime that it asks for in each Binding Update, in steps of 4s. Left out: 60s."},
		{Key: "dad", For: []string{"mn", "ha"}, Shape: strict.Of(strict.Words("a kind of duplicate address detection", "none", "optimistic", "full")),
			Doc: "Duplicate address detection: at a mobile node of its care-of addresses (left out: optimistic), at a home agent of a home address before its first binding (none or full; left out: full, RFC 6275, section 10.3.1, which costs about a second)."},
		{Key: "tunnel", For: []string{"mn", "ha"}, Shape: strict.Of(strict.Words("a tunnel engine", tunnels...)), Doc: "What encapsulates: user (in the node's process), kernel, or auto for the kernel where it can. Left out: auto."},
		{Key: "policy", For: mn, Shape: policyShape(), Doc: "Which of several accesses carries it: newest, keep, or {prefer: [wlan, lte], threshold: -75dBm}. Left out: newest."},
		{Key: "accesses", For: mn, Shape: strict.Of(strict.Words("how many accesses", "one", "all")), Doc: "one: a single access carries it at a time. all: it binds its care-of addresses of all accesses at once (RFC 5648), but for the home link, where it has no binding. Left out: one."},
		{Key: "flows", For: mn, Shape: flowsShape(), Doc: "With accesses all, which flow goes by which access (RFC 6089), the first that matches. What none matches goes by the access that the policy prefers, or the first of the links."},
		{Key: "mn-aaa-key", For: mn, Shape: strict.Of(keyScalar(16, 64)), Doc: "The mobile's own copy of the key that it shares with the AAA server (RFC 4285, section 5.2). Left out: the one that the subscriber list has, so write it only to make them differ."},
		{Key: "mn-aaa-spi", For: mn, Shape: strict.Of(spi()), Doc: "The SPI of its MN-AAA authentication option. Left out: 3, HMAC_SHA1_SPI; in the profile mipv4, 256."},
		{Key: "mn-ha-key", For: mn, Shape: strict.Of(keyScalar(16, 16)), Doc: "The mobile's own copy of the key that it shares with its home agent (RFC 4285, section 5.1). Left out: the right one, so write it only to make it wrong."},
		{Key: "mn-ha-spi", For: mn, Shape: strict.Of(spi()), Doc: "The SPI of that key, 256 or more. Left out: from 256 on with bootstrap static, else what the AAA server gives."},
		{Key: "k", For: mn, Shape: strict.Of(keyScalar(16, 16)), Doc: "The K in its USIM. Left out: the one that the HSS has, so write it only to make them differ."},
		{Key: "opc", For: mn, Shape: strict.Of(keyScalar(16, 16)), Doc: "The OPc in its USIM. Left out: that of the HSS."},
		{Key: "sqn", For: mn, Shape: strict.Of(sqnScalar()), Doc: "The highest sequence number that its USIM has accepted (TS 33.102, annex C). Left out: that of the HSS at the start; a higher one makes the USIM ask for resynchronisation."},

		{Key: "home-prefixes", For: ha, Shape: list(eitherPrefix(homePrefix()), "a list of prefixes"), Doc: "Prefixes it is home agent for: each /64 in them is for one home link; IPv4 ones are pools of IPv4 home addresses. Left out: 2001:db8:100::/48 for the first home agent, 2001:db8:101::/48 for the next, and no IPv4 ones."},
		{Key: "aaa", For: []string{"ha", "router"}, Shape: list(reference("a node with role aaa", "aaa"), "a list of nodes with role aaa"), Doc: "The AAA servers it asks, the preferred one first; a router asks where a link of its own has access-auth. Left out: all there are."},
		{Key: "address", For: ha, Shape: list(eitherAddress(), "a list of addresses"), Doc: "The address mobiles send their Binding Updates to, one of its own; or an IPv6 and an IPv4 one. Left out: those that accesses reach it at."},
		{Key: "max-lifetime", For: ha, Shape: strict.Of(lifetime()), Doc: "The longest lifetime of a binding it grants, in steps of 4s. Left out: 10m."},
		{Key: "max-bindings", For: ha, Shape: strict.Of(strict.Integer("a number of bindings", 1, 10_000_000)), Doc: "How many bindings it keeps at most. Left out: 10000."},
		{Key: "replay-window", For: ha, Shape: strict.Of(span("7s", time.Millisecond, 24*time.Hour)), Doc: "How far the timestamp of a Binding Update may be from its clock. Left out: 7s (RFC 4285, section 6)."},
		{Key: "udp", For: ha, Shape: strict.Of(strict.Words("a rule for UDP", "accept", "refuse", "always")), Doc: "Whether tunnels over IPv4 go in UDP where no NAT asks for it: accept for mobiles that ask by the F flag, refuse those (status 144), or always (RFC 5555, section 4.5). Left out: accept."},
		{Key: "nat-keepalive", For: ha, Shape: strict.Of(span("110s", time.Second, time.Hour)), Doc: "How often a mobile behind a NAT is told to refresh its binding, in whole seconds. Left out: 110s (RFC 5555, section 6)."},
		{Key: "multiple-care-of", For: ha, Shape: strict.Of(strict.Boolean()), Doc: "Whether mobiles may bind several care-of addresses at once (RFC 5648), and flows to them (RFC 6089); false refuses that with status 166. Left out: true."},
		{Key: "aaa-timeout", For: []string{"ha", "router"}, Shape: strict.Of(span("2s", 10*time.Millisecond, 5*time.Minute)), Doc: "How long it waits for an answer from one AAA server. Left out: 2s."},
		{Key: "radius-secret", For: ha, Shape: strict.Of(keyScalar(16, 64)), Doc: "In the profiles 3gpp2 and wimax, its own copy of the secret that it shares with AAA servers (RFC 2865, section 3). Left out: the one that they have, so write it only to make them differ."},

		{Key: "preference", For: ha, Shape: strict.Of(strict.Integer("a preference", 0, 65535)), Doc: "How much it is preferred to others of its home link, in Router Advertisements (RFC 6275, section 7.4) and in the DNS: more is better. Left out: 0."},
		{Key: "beside", For: ha, Shape: strict.Of(reference("a node with role ha", "pgw-1")), Doc: "The home agent whose home prefixes it serves too, on the same home links, so that a mobile node can be switched from one to the other (RFC 5142). Left out: none."},
		{Key: "standby-for", For: ha, Shape: strict.Of(reference("a node with role ha", "pgw")), Doc: "The home agent that it stands by for: it serves nobody, is told all that the other knows, and takes over its addresses when the other falls silent. It must be on the same links. Left out: none."},
		{Key: "heartbeat", For: ha, Shape: strict.Of(span("100ms", 10*time.Millisecond, 10*time.Second)), Doc: "Of a standby: how often the other says that it lives. After five that are missing it takes over. Left out: 100ms."},
		{Key: "keeps-bindings", For: ha, Shape: strict.Of(strict.Boolean()), Doc: "It finds its bindings, keys and timestamps again when it starts anew. Left out: false."},
		{Key: "revocation-retries", For: ha, Shape: strict.Of(strict.Integer("a number of retries", 0, 10)), Doc: "How often it sends a Binding Revocation Indication again (RFC 5846, section 11, BRIMaxRetriesNumber). Left out: 1."},
		{Key: "revocation-delay", For: ha, Shape: strict.Of(span("1s", 500*time.Millisecond, time.Minute)), Doc: "How long it waits before the first time (InitMINDelayBRIs), 500ms at least. Left out: 1s."},
		{Key: "revocation-timeout", For: ha, Shape: strict.Of(span("2s", 500*time.Millisecond, time.Minute)), Doc: "How long it waits at most, doubling each time (MAX_BRACK_TIMEOUT). Left out: 2s."},
		{Key: "apn", For: ha, Shape: strict.Of(apnScalar()), Doc: "The access point name, of which the DNS name of the home agent is made: internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org. Left out: internet, or the node's name where there are several home agents."},

		{Key: "diameter-relay", For: []string{"ha", "aaa", "bsf", "router"}, Shape: strict.Of(reference("a node with role cn", "dra")), Doc: "A node with role cn on which you run a Diameter relay, freeDiameter for one: the AAA servers or HSSs that it asks are reached through that alone, by their realm. Left out: it connects with each of them."},
		{Key: "realm", For: slices.Concat(diameter, []string{"cn"}), Shape: strict.Of(realmScalar()), Doc: "Its Diameter realm; of a cn, that of the relay that runs there. Left out: " + defaultRealm + "."},
		{Key: "host", For: slices.Concat(diameter, []string{"cn"}), Shape: &strict.Shape{Scalar: realmScalar(), Example: "pgw." + defaultRealm}, Doc: "Its Diameter identity; of a cn, that of the relay that runs there. Left out: its name, a dot and its realm."},
		{Key: "watchdog", For: diameter, Shape: strict.Of(span("30s", 6*time.Second, time.Hour)), Doc: "The interval of Device-Watchdog-Requests, 6s at least (RFC 3539, section 3.4.1). Left out: 30s."},
		{Key: "port", For: []string{"aaa", "hss", "bsf", "cn"}, Shape: strict.Of(strict.Integer("a TCP port", 1, 65535)), Doc: "The TCP port it listens at. Left out: 3868."},
		{Key: "key-lifetime", For: []string{"aaa", "bsf"}, Shape: strict.Of(span("1h", 4*time.Second, 30*24*time.Hour)), Doc: "How long an MN-HA key that it hands out may be used; of a BSF, how long a bootstrapping. Left out: 1h."},
		{Key: "bsf", For: []string{"mn", "ha", "aaa"}, Shape: strict.Of(reference("a node with role bsf", "bsf")), Doc: "The bootstrapping server function that it asks, where the bootstrapping is by GBA. Left out: the only one there is."},
		{Key: "hss", For: []string{"aaa", "bsf"}, Shape: list(reference("a node with role hss", "hss"), "a list of nodes with role hss"), Doc: "The home subscriber servers that it asks, the preferred one first. Left out: all there are."},
		{Key: "hss-timeout", For: []string{"aaa", "bsf"}, Shape: strict.Of(span("1s", 10*time.Millisecond, 5*time.Minute)), Doc: "How long it waits for an answer from one HSS. Left out: 1s."},
		{Key: "subscribers", For: []string{"aaa", "hss"}, Shape: &strict.Shape{Name: "a list of subscribers, or the name of a file that holds one", Items: subscriberShape(), Scalar: fileScalar()},
			Doc: "Whom it knows: a list, or a file beside this one. Left out: of an AAA server, every mobile node of a home agent that asks it; of an HSS, every mobile node."},

		{Key: "inside", Required: true, For: nat, Shape: list(reference("a link", "wlan"), "a list of links"), Doc: "The links whose IPv4 addresses are private; its others are outside."},
		{Key: "ports", For: nat, Shape: strict.Of(portsScalar()), Doc: "The ports that its mappings may have, half of them at a time. Left out: 1024-65535."},
		{Key: "random-ports", For: nat, Shape: strict.Of(strict.Boolean()), Doc: "Whether a mapping always has another port than the inside. Left out: false, the same where it is free and in use."},
		{Key: "udp-timeout", For: nat, Shape: strict.Of(span("2m", time.Second, 24*time.Hour)), Doc: "How long a mapping of UDP lasts that no packet uses, in whole seconds. Left out: 2m (RFC 4787, section 4.3)."},

		{Key: "domain", For: []string{"dns"}, Shape: &strict.Shape{Scalar: domainScalar(), Example: defaultDomain}, Doc: "The domain of the names of nodes: ue.lab.test. Left out: " + defaultDomain + "."},
	}}

	impairment := impairmentFields()
	link := &strict.Shape{Ref: "link", Name: "a link", Example: "{ends: [ue, pgw]}", Fields: append([]strict.Field{
		{Key: "ends", Required: true, Shape: &strict.Shape{Name: "a list of nodes", Example: "[ue, pgw]", Items: strict.Of(reference("a node", "ue"))},
			Doc: "The nodes it joins, two or more: all hear each other, as on one Ethernet."},
		{Key: "home", Shape: strict.Of(strict.Boolean()), Doc: "It is a home link: its prefix is of a home agent's home prefixes. Left out: false."},
		{Key: "prefix", Shape: list(eitherPrefix(prefixScalar(64, 64)), "a list of prefixes"), Doc: "Its prefix, a /64; or an IPv4 one, which makes it a link without IPv6; or both: [2001:db8:200::/64, 192.0.2.0/24]. Left out: a free one of 2001:db8::/48, or of the home prefixes, both families where the home agent has both."},
		{Key: "addresses", Shape: &strict.Shape{Name: "nodes with their addresses", Example: "{pgw: 2001:db8:1::a}", Each: list(eitherAddress(), "a list of addresses"), New: true},
			Doc: "Addresses by hand, of ends that are no mobile nodes: one, or an IPv6 and an IPv4 one. Left out: ::1, ::2 and so on (.1, .2 and so on) in the order of the ends, routers and home agents first."},
		{Key: "macs", Shape: &strict.Shape{Name: "nodes with their MAC addresses", Example: "{pgw: 02:00:00:00:01:0a}", Each: strict.Of(macScalar()), New: true},
			Doc: "MAC addresses by hand. Left out: locally administered ones, the same at each run."},
		{Key: "mtu", Shape: strict.Of(strict.Integer("an MTU", 1280, 9000)), Doc: "The longest packet, in octets. Left out: 1500."},
		{Key: "engine", Shape: strict.Of(&strict.Scalar{Name: "a link engine", JSON: "string", Words: engines, Later: map[string]string{"kernel": "leave it out: links are relays in user space"}}),
			Doc: "What carries the frames: user (a relay in user space). Left out: user."},
		{Key: "ra-interval", Shape: strict.Of(span("1s", 70*time.Millisecond, 30*time.Minute)), Doc: "The longest time between Router Advertisements on the link; the shortest is half of it, 30ms at least. Left out: 1s."},
		{Key: "configure", Shape: strict.Of(strict.Words("a way to get IPv6 addresses", "slaac", "dhcpv6")), Doc: "How mobile nodes get IPv6 addresses: slaac (they make them of the prefix) or dhcpv6 (they are given one). IPv4 addresses come by DHCP. Left out: slaac."},
		{Key: "pool", Shape: list(rangeScalar(), "a list of ranges of addresses"), Doc: "The addresses that DHCP gives, a range of each family. Left out: what the prefix has beside the addresses of nodes, up to 4096."},
		{Key: "lease", Shape: strict.Of(span("1h", 2*time.Second, 30*24*time.Hour)), Doc: "How long DHCP gives an address, in whole seconds. Left out: 1h."},
		{Key: "access-auth", Shape: strict.Of(strict.Words("a kind of access authentication", "none", "eap-aka", "eap-aka-prime")),
			Doc: "How mobile nodes are authenticated before they may use the link, by 802.1X with its router, which asks an AAA server (TS 33.402): eap-aka (RFC 4187) or eap-aka-prime (RFC 9048), or none. Left out: none, but eap-aka-prime where the bootstrapping needs the keys of access authentication."},
		{Key: "home-agent-info", Shape: strict.Of(reference("a node with role ha", "pgw")), Doc: "The home agent that DHCP for IPv6 tells of (RFC 6610). Left out: none."},
		{Key: "from", Shape: &strict.Shape{Name: "ends with what the link does to their frames", Example: "{ue: {delay: 30ms}}", New: true, Each: &strict.Shape{Ref: "impairment", Name: "what the link does to frames", Fields: impairment}},
			Doc: "What the link does to the frames that one end sends, where that differs from the keys beside this one."},
	}, impairment...)}

	known := func(name string, words []string, instead string, later ...string) *strict.Shape {
		m := map[string]string{}
		for _, w := range later {
			m[w] = instead
		}
		return strict.Of(&strict.Scalar{Name: name, JSON: "string", Words: words, Later: m})
	}
	return &strict.Shape{Name: "a topology", Fields: []strict.Field{
		{Key: "topology", Required: true, Shape: strict.Of(nameOf("a topology", "my-lab")), Doc: "Its name."},
		{Key: "description", Shape: strict.Of(strict.Text("a description", 4000)), Doc: "What it is for, in words."},
		{Key: "nodes", Required: true, Shape: &strict.Shape{Name: "nodes by name", Example: "{ue: {role: mn}, pgw: {role: ha}}", Each: node, EachKey: nameOf("a node", "wlan-gw"), Least: 1}, Doc: "What there is, by name."},
		{Key: "links", Required: true, Shape: &strict.Shape{Name: "links by name", Example: "{lte: {ends: [ue, pgw]}}", Each: link, EachKey: nameOf("a link", "wlan"), Least: 1}, Doc: "What joins the nodes, by name."},
		{Key: "security", Shape: &strict.Shape{Ref: "security", Name: "the security of binding signalling", Example: "{integrity: auth-options}", Fields: []strict.Field{
			{Key: "integrity", Shape: known("a kind of integrity", integrity, "available: auth-options (RFC 4285), none", "ipsec"), Doc: "How Binding Updates and Acknowledgements are protected: auth-options (RFC 4285) or none. Left out: auth-options."},
			{Key: "replay", Shape: known("a kind of replay protection", replay, ""), Doc: "With auth-options: timestamp or sequence (RFC 4285, section 6). Left out: timestamp."},
			{Key: "bootstrap", Shape: known("a kind of bootstrapping", bootstrap, "available: "+strings.Join(bootstrap, ", "), "ikev2"),
				Doc: "Where the MN-HA key comes from (TR 33.822, clause 7.3): mip-options (the first Binding Update carries MN-AAA and the AAA server answers with a key), static (known beforehand), gba-rfc3957 (MN-AAA by GBA, the MN-HA key by a nonce), gba (the home agent is a network application function of GBA) or partial-gba (so too, with keys of access authentication). Left out: mip-options."},
			{Key: "key-source", Shape: strict.Of(strict.Words("a source of the MN-AAA key", sources...)), Doc: "With mip-options, what the MN-AAA key is: static (known beforehand), emsk (of the EMSK of access authentication), gba (of a run of Ub) or aka (of a challenge inside the Binding Update). Left out: static."},
			{Key: "profile", Shape: strict.Of(strict.Words("a profile", profiles...)),
				Doc: "Whose details are followed: 3gpp; 3gpp2 (cdma: MN-AAA with SPI 3 first, RADIUS to the AAA server, SPI 5 afterwards), wimax (the MN-HA key and SPI of the EMSK, RADIUS) or mipv4 (registration by Mobile IPv4, RFC 5944, with keys of RFC 3957), which say how keys are bootstrapped. Left out: 3gpp."},
		}}, Doc: "How binding signalling is protected, and where its keys come from."},
	}}
})

// impairmentFields are the keys of what a link does to frames. Scenarios have
// them too, where they change a link.
func impairmentFields() []strict.Field {
	return []strict.Field{
		{Key: "delay", Shape: strict.Of(strict.Duration(0, time.Minute)), Doc: "How long each frame travels. Left out: no time."},
		{Key: "jitter", Shape: &strict.Shape{Name: "a jitter such as 2ms", Short: "spread", Fields: []strict.Field{
			{Key: "spread", Required: true, Shape: strict.Of(span("2ms", 0, time.Minute)), Doc: "How far: of uniform the half width, of normal the standard deviation, of pareto the scale."},
			{Key: "distribution", Shape: strict.Of(strict.Words("a distribution", "uniform", "normal", "pareto")), Doc: "How it is spread. Left out: uniform."},
			{Key: "reorder", Shape: strict.Of(strict.Boolean()), Doc: "Whether frames may overtake one another by it. Left out: false."},
		}}, Doc: "What is added to the delay, frame by frame: 2ms, or {spread: 2ms, distribution: normal, reorder: true}. Left out: nothing."},
		{Key: "loss", Shape: &strict.Shape{Name: "a loss such as 0.5%", Short: "rate", Fields: []strict.Field{
			{Key: "rate", Shape: strict.Of(strict.Percent()), Doc: "The share of frames lost, each independently."},
			{Key: "good-bad", Shape: strict.Of(strict.Percent()), Doc: "Gilbert-Elliott: how likely a frame ends the good state."},
			{Key: "bad-good", Shape: strict.Of(strict.Percent()), Doc: "Gilbert-Elliott: how likely a frame ends the bad state."},
			{Key: "loss-good", Shape: strict.Of(strict.Percent()), Doc: "Gilbert-Elliott: the loss in the good state. Left out: 0%."},
			{Key: "loss-bad", Shape: strict.Of(strict.Percent()), Doc: "Gilbert-Elliott: the loss in the bad state. Left out: 100%."},
		}}, Doc: "The share of frames that are lost: 0.5%, or in bursts {good-bad: 1%, bad-good: 30%, loss-bad: 80%}. Left out: none."},
		{Key: "rate", Shape: &strict.Shape{Name: "a rate such as 50Mbit/s", Short: "limit", Fields: []strict.Field{
			{Key: "limit", Shape: strict.Of(linkRate()), Doc: "How many bits pass in a second, or unlimited."},
			{Key: "trace", Shape: strict.Of(&strict.Scalar{Name: "the name of a file", JSON: "string", Examples: []string{"cell.down"}}),
				Doc: "A file that says when the link delivers, in the form of Mahimahi: a time in milliseconds a line, at each of which 1504 octets may pass; it repeats at its end. The name is relative to the file that it stands in."},
		}}, Doc: "How many bits pass in a second: 50Mbit/s, unlimited, or as a trace has it {trace: cell.down}. Left out: unlimited."},
		{Key: "queue", Shape: &strict.Shape{Name: "a queue such as 64kB", Short: "bytes", Fields: []strict.Field{
			{Key: "bytes", Shape: &strict.Shape{Scalar: strict.Size(1, 1<<30), Example: "64kB"}, Doc: "How many octets wait at most."},
			{Key: "packets", Shape: strict.Of(strict.Integer("a number of packets", 1, 1_000_000)), Doc: "How many packets wait at most."},
		}}, Doc: "What waits where the rate is reached, drop-tail: 64kB, or {packets: 100}. Left out: 100ms at the rate, or at the mean of its trace."},
		{Key: "duplicate", Shape: strict.Of(strict.Percent()), Doc: "The share of frames that arrive twice. Left out: none."},
		{Key: "corrupt", Shape: strict.Of(strict.Percent()), Doc: "The share of frames of which one bit is turned over. Left out: none."},
		{Key: "reorder", Shape: strict.Of(strict.Percent()), Doc: "The share of frames that arrive without delay, before those sent earlier. Left out: none."},
	}
}

func linkRate() *strict.Scalar {
	s := strict.BitRate(1000, fastest)
	parse := s.Parse
	s.Pattern = "^unlimited$|" + s.Pattern
	s.Parse = func(text string) (any, error) {
		if text == "unlimited" {
			return int64(0), nil
		}
		return parse(text)
	}
	return s
}

// subscriberShape is one of the subscribers of an AAA server.
func subscriberShape() *strict.Shape {
	return &strict.Shape{Ref: "subscriber", Name: "a subscriber", Example: `{subscriber: "001010000000001"}`, Fields: []strict.Field{
		{Key: "subscriber", Required: true, Shape: &strict.Shape{Scalar: subscriberScalar(), Example: `"001010000000001"`}, Doc: "An IMSI between quotes, of which the NAI is made, or a NAI."},
		{Key: "mn-aaa-key", Shape: strict.Of(keyScalar(16, 64)), Doc: "The key it shares with the AAA server. Left out: made from the names of the topology and of the subscriber, for labs only."},
		{Key: "mn-aaa-spi", Shape: strict.Of(spi()), Doc: "The SPI that goes with it. Left out: 3, HMAC_SHA1_SPI; in the profile mipv4, 256."},
		{Key: "mn-ha-key", Shape: strict.Of(keyScalar(16, 16)), Doc: "With bootstrap static, the key it shares with its home agent. Left out: made like the other."},
		{Key: "mn-ha-spi", Shape: strict.Of(spi()), Doc: "The SPI that goes with it, 256 or more. Left out: from 256 on."},
		{Key: "home-address", Shape: strict.Of(addressScalar()), Doc: "The only home address it may bind. Left out: any of its home agent's."},
		{Key: "home-agent", Shape: strict.Of(reference("a node with role ha", "pgw-2")), Doc: "The only home agent that may serve it: any other is told to send it there (RFC 5778, section 6.6). Left out: any."},
		{Key: "barred", Shape: strict.Of(strict.Boolean()), Doc: "It is known and refused: by an AAA server wherever it registers, by an HSS on every non-3GPP access. Left out: false."},
		{Key: "k", Shape: strict.Of(keyScalar(16, 16)), Doc: "The K that its USIM shares with the HSS. Left out: made like the other keys."},
		{Key: "opc", Shape: strict.Of(keyScalar(16, 16)), Doc: "The OPc that goes with it (TS 35.206). Left out: made of op, or like the other keys."},
		{Key: "op", Shape: strict.Of(keyScalar(16, 16)), Doc: "The operator's OP, of which OPc is made. Left out: opc says it."},
		{Key: "amf", Shape: strict.Of(keyScalar(2, 2)), Doc: "The authentication management field, but for the separation bit, which the HSS sets as the scheme needs it. Left out: 8000."},
		{Key: "sqn", Shape: strict.Of(sqnScalar()), Doc: "The sequence number that the HSS has used last (TS 33.102, annex C). Left out: 0."},
		{Key: "apns", Shape: &strict.Shape{Name: "a list of access point names", Items: apnShape(), Least: 1}, Doc: "The access point names that it may use, the default one first. Left out: those of all home agents."},
	}}
}

// apnShape is one of the access point names of a subscriber.
func apnShape() *strict.Shape {
	return &strict.Shape{Ref: "subscriber-apn", Name: "an access point name such as internet", Short: "apn", Fields: []strict.Field{
		{Key: "apn", Required: true, Shape: strict.Of(apnScalar()), Doc: "Its name."},
		{Key: "barred", Shape: strict.Of(strict.Boolean()), Doc: "The subscriber has it and may not use it now. Left out: false."},
	}}
}

// sqnScalar is a sequence number of AKA: 48 bits.
func sqnScalar() *strict.Scalar {
	s := strict.Integer("a sequence number", 0, 1<<48-1)
	s.Examples = []string{"32"}
	return s
}

// subscribersFormat is the table of a file of subscribers.
var subscribersFormat = sync.OnceValue(func() *strict.Shape {
	return &strict.Shape{Name: "a file of subscribers", Fields: []strict.Field{
		{Key: "subscribers", Required: true, Shape: &strict.Shape{Name: "a list of subscribers", Items: subscriberShape()}, Doc: "Whom the AAA server or the HSS knows."},
	}}
})

func spi() *strict.Scalar {
	s := strict.Integer("an SPI", 1, 1<<32-1)
	s.Examples = []string{"256"}
	return s
}

func homePrefix() *strict.Scalar {
	s := prefixScalar(16, 64)
	s.Examples = []string{"2001:db8:100::/48"}
	return s
}

// span is a duration with an example of the size that is usual there.
func span(example string, least, most time.Duration) *strict.Scalar {
	s := strict.Duration(least, most)
	s.Examples = []string{example}
	return s
}

// lifetime is the lifetime of a binding, which the wire has in units of 4 s.
func lifetime() *strict.Scalar {
	s := span("60s", 4*time.Second, maxLifetime)
	parse := s.Parse
	s.Parse = func(text string) (any, error) {
		x, err := parse(text)
		if err != nil {
			return nil, err
		}
		if d := x.(time.Duration); d%(4*time.Second) != 0 {
			down := d.Truncate(4 * time.Second)
			return nil, &strict.Trouble{What: text + " is not a multiple of 4s, in which binding lifetimes are counted (RFC 6275, section 6.1.7)",
				Hint: "write " + strict.Short(max(down, 4*time.Second)) + " or " + strict.Short(down+4*time.Second)}
		}
		return x, nil
	}
	return s
}

func fileScalar() *strict.Scalar {
	return &strict.Scalar{Name: "the name of a file", JSON: "string", Pattern: `\.ya?ml$`, Examples: []string{"subscribers.yaml"},
		Parse: func(text string) (any, error) {
			if !strings.HasSuffix(text, ".yaml") && !strings.HasSuffix(text, ".yml") {
				return nil, &strict.Trouble{What: strconv.Quote(text) + " is not the name of a YAML file", Hint: "name a file that ends in .yaml, such as subscribers.yaml"}
			}
			return text, nil
		}}
}

// Schema returns the JSON Schema of topology files.
func Schema() []byte {
	return strict.Schema(format(), "s2clab topology", "What there is in a lab: nodes, the links that join them, and how their signalling is protected.")
}

// SubscribersSchema returns the JSON Schema of files of subscribers.
func SubscribersSchema() []byte {
	return strict.Schema(subscribersFormat(), "s2clab subscribers", "Whom an AAA server or an HSS knows.")
}
