package control

import (
	"net/netip"
	"time"
)

// A Config is all that a node process is told at its start. What a person may
// leave out of a topology has been decided by then: a role guesses nothing.
//
// Devices, static addresses, static routes, the host name and forwarding are in
// place before the process starts. What changes while the lab runs (care-of
// addresses, tunnels, home addresses) is the role's.
type Config struct {
	Node       string        `json:"node"`
	Role       string        `json:"role"`            // mn, ha, aaa, hss, bsf, router, nat, dns, cn, traffic
	Seed       uint64        `json:"seed"`            // for every random choice of this process
	Clock      time.Duration `json:"clock,omitempty"` // this node's clock is wrong by so much: added to the wall clock
	Interfaces []Interface   `json:"interfaces,omitempty"`
	PathMTU    int           `json:"path-mtu,omitempty"`  // the smallest MTU of the lab's links, octets; 0: not known
	ShowKeys   bool          `json:"show-keys,omitempty"` // events may have the values of keys

	MobileNode *MobileNode `json:"mobile-node,omitempty"`
	HomeAgent  *HomeAgent  `json:"home-agent,omitempty"`
	AAA        *AAA        `json:"aaa,omitempty"`
	HSS        *HSS        `json:"hss,omitempty"`
	BSF        *BSF        `json:"bsf,omitempty"`
	Router     *Router     `json:"router,omitempty"`
	NAT        *NAT        `json:"nat,omitempty"`
	DNS        *DNS        `json:"dns,omitempty"`

	Correspondent *Correspondent `json:"correspondent,omitempty"`
}

// An Interface is one end of a link, as the node on it sees it.
type Interface struct {
	Name      string         `json:"name"`  // of the device, which is the link's name where that fits
	Index     int            `json:"index"` // of the device in the node's network namespace
	Link      string         `json:"link"`
	MAC       string         `json:"mac"`                 // as net.ParseMAC reads it
	MTU       int            `json:"mtu"`                 // octets
	Home      bool           `json:"home,omitempty"`      // a home link
	Addresses []netip.Prefix `json:"addresses,omitempty"` // static ones, in place already, IPv6 first
	Advertise *Advertise     `json:"advertise,omitempty"` // this node is a router on the link and says so
	DHCP4     *DHCP4         `json:"dhcp4,omitempty"`     // this node gives IPv4 addresses on the link
	DHCP6     *DHCP6         `json:"dhcp6,omitempty"`     // this node gives IPv6 addresses or configuration on the link
	Auth      string         `json:"auth,omitempty"`      // of mobile nodes, before they may use the link: eap-aka, eap-aka-prime; empty: none
}

// A DHCP4 is what a DHCP server for IPv4 gives on one link: RFC 2131.
type DHCP4 struct {
	Address netip.Addr    `json:"address"`        // the server's own, which is the router's too
	Prefix  netip.Prefix  `json:"prefix"`         // of the link
	First   netip.Addr    `json:"first,omitzero"` // of the pool, both ends included; invalid: only the reserved ones
	Last    netip.Addr    `json:"last,omitzero"`
	DNS     []netip.Addr  `json:"dns,omitempty"`
	Domain  string        `json:"domain,omitempty"`
	Lease   time.Duration `json:"lease"` // whole seconds

	Reserved []Reservation `json:"reserved,omitempty"` // on a home link
}

// A Reservation is the address of one node.
type Reservation struct {
	MAC     string     `json:"mac"`
	Address netip.Addr `json:"address"`
}

// A DHCP6 is what a DHCP server for IPv6 gives on one link: RFC 8415.
type DHCP6 struct {
	Prefix netip.Prefix  `json:"prefix"`         // of the link
	First  netip.Addr    `json:"first,omitzero"` // of the pool, both ends included; invalid: configuration only
	Last   netip.Addr    `json:"last,omitzero"`
	DNS    []netip.Addr  `json:"dns,omitempty"`
	Domain string        `json:"domain,omitempty"`
	Lease  time.Duration `json:"lease"` // whole seconds
	Home   *HomeNetwork  `json:"home,omitempty"`
}

// A HomeNetwork is what an access tells of a home network: RFC 6610.
type HomeNetwork struct {
	Identifier string         `json:"identifier"` // its FQDN
	Prefixes   []netip.Prefix `json:"prefixes"`
	Agents     []netip.Addr   `json:"agents"` // addresses of its home agent, IPv6 and IPv4
	Names      []string       `json:"names,omitempty"`
}

// Advertise is what a router says in its Router Advertisements on one link: RFC
// 4861, section 6.2.1, and RFC 6275, section 7.
type Advertise struct {
	Prefix      netip.Prefix  `json:"prefix"`               // on-link and for autoconfiguration
	Address     netip.Addr    `json:"address"`              // the router's own in that prefix, sent with the R flag
	MinInterval time.Duration `json:"min-interval"`         // between unsolicited ones
	MaxInterval time.Duration `json:"max-interval"`         // also sent in the Advertisement Interval option
	Delay       time.Duration `json:"delay,omitempty"`      // longest random wait before an answer to a solicitation; 0: at once
	Lifetime    time.Duration `json:"lifetime"`             // as default router
	HomeAgent   bool          `json:"home-agent,omitempty"` // the H flag
	Managed     bool          `json:"managed,omitempty"`    // the M flag: addresses come by DHCP, and not of the prefix
	Other       bool          `json:"other,omitempty"`      // the O flag: configuration comes by DHCP
	Preference  uint16        `json:"preference,omitempty"` // as home agent: RFC 6275, section 7.4
	DNS         []netip.Addr  `json:"dns,omitempty"`        // servers that nodes of the link can ask: RFC 8106; IPv6
}

// Security is how binding signalling is protected and where its keys come from.
// The words are those of topology files.
type Security struct {
	Integrity string `json:"integrity"`            // none, auth-options, ipsec
	Replay    string `json:"replay"`               // timestamp, sequence
	Bootstrap string `json:"bootstrap"`            // static, mip-options, ...
	Profile   string `json:"profile,omitempty"`    // 3gpp, 3gpp2, wimax, mipv4; empty: 3gpp
	KeySource string `json:"key-source,omitempty"` // with mip-options, of the MN-AAA key: static, emsk; empty: static
}

// A MobileNode is the part of a Config for role mn.
type MobileNode struct {
	HomeAgent   netip.Addr    `json:"home-agent"`
	HomeAddress netip.Addr    `json:"home-address"` // invalid: to be assigned, and so is HomePrefix
	HomePrefix  netip.Prefix  `json:"home-prefix"`  // seen on a link, it makes that link the home link
	NAI         string        `json:"nai"`
	Lifetime    time.Duration `json:"lifetime"` // asked for in each Binding Update
	DAD         string        `json:"dad"`      // none, optimistic, full: how care-of addresses come into use
	Tunnel      string        `json:"tunnel"`   // auto, user, kernel
	Security    Security      `json:"security"`
	MNAAAKey    []byte        `json:"mn-aaa-key,omitempty"`
	MNAAASPI    uint32        `json:"mn-aaa-spi,omitempty"`
	MNHAKey     []byte        `json:"mn-ha-key,omitempty"` // with bootstrap static, or to override a derived key with a wrong one
	MNHASPI     uint32        `json:"mn-ha-spi,omitempty"`
	Policy      Policy        `json:"policy"`
	USIM        *USIM         `json:"usim,omitempty"`        // nil: there is none
	HomeAgents  []NamedAgent  `json:"home-agents,omitempty"` // their names, as a reverse look-up would tell
	AAARealm    string        `json:"aaa-realm,omitempty"`   // of the AAA servers of its home agent
	APN         string        `json:"apn,omitempty"`         // that it asks for where it has a key made; empty: it names none
	BSF         *Peer         `json:"bsf,omitempty"`         // by HTTP; nil: there is none

	HomeAgent4   netip.Addr   `json:"home-agent-4,omitzero"`   // RFC 5555, and with profile mipv4 the only one: the home agent's IPv4 address; invalid: not known
	IPv4Home     bool         `json:"ipv4-home,omitempty"`     // it asks for an IPv4 home address
	HomeAddress4 netip.Addr   `json:"home-address-4,omitzero"` // that; invalid: to be assigned
	HomePrefix4  netip.Prefix `json:"home-prefix-4,omitzero"`  // that HomeAddress4 is of; invalid: not told
	ForceUDP     bool         `json:"force-udp,omitempty"`     // it sets the F flag in Binding Updates by IPv4

	RouteOptimization bool         `json:"route-optimization,omitempty"` // it does and answers that of RFC 6275
	Peers             []netip.Addr `json:"peers,omitempty"`              // addresses of nodes that it does it with

	AllAccesses bool          `json:"all-accesses,omitempty"` // RFC 5648: it binds all its care-of addresses at once
	Flows       []FlowBinding `json:"flows,omitempty"`        // RFC 6089: what goes by which, the first that matches

	Discovery *Discovery `json:"discovery,omitempty"` // nil: HomeAgent is known beforehand
}

// A NamedAgent is a home agent with its FQDN, which is its Diameter identity.
type NamedAgent struct {
	Address netip.Addr `json:"address"`
	Host    string     `json:"host"`
}

// A Correspondent is the part of a Config for role cn. Its addresses are those of its
// Interfaces.
type Correspondent struct {
	RouteOptimization bool `json:"route-optimization,omitempty"` // it knows that of RFC 6275
}

// A FlowBinding says which accesses a flow may go by.
type FlowBinding struct {
	Name     string   `json:"name"`
	Protocol uint8    `json:"protocol,omitempty"` // 0: any
	Ports    Ports    `json:"ports,omitzero"`     // of the correspondent node; zero: any
	To       []string `json:"to"`                 // links, the preferred one first
}

// A MoveFlow makes a flow prefer an access: command flow, to a mobile node.
type MoveFlow struct {
	Flow string `json:"flow"`
	Link string `json:"link"`
}

// A Policy is how a mobile node chooses among accesses that can carry it. The
// words are those of topology files.
type Policy struct {
	Kind          string        `json:"kind"`                      // newest, keep, preferred, signal
	Prefer        []string      `json:"prefer,omitempty"`          // links, the preferred one first
	Threshold     float64       `json:"threshold,omitempty"`       // signal: dBm
	Hysteresis    float64       `json:"hysteresis,omitempty"`      // signal: dB
	TimeToTrigger time.Duration `json:"time-to-trigger,omitempty"` // signal
}

// A Discovery is how a mobile node finds its home agent. What it is told beforehand,
// in HomeAgent and HomeAgent4, is for the method static.
type Discovery struct {
	Methods []string     `json:"methods"`           // static, dhaad, dns, dns-srv, dhcp; in the order in which they are tried
	Prefix  netip.Prefix `json:"prefix,omitzero"`   // for dhaad: the home prefix, also where the home address is not known
	Name    string       `json:"name,omitempty"`    // for dns: FQDN of the home agent
	Domain  string       `json:"domain,omitempty"`  // for dns-srv: that gives the service
	Network string       `json:"network,omitempty"` // for dhcp: FQDN of the home network
	Servers []netip.Addr `json:"servers,omitempty"` // DNS servers to ask before those that accesses tell
}

// A HomeAgent is the part of a Config for role ha.
type HomeAgent struct {
	Address      netip.Addr     `json:"address"` // where mobile nodes send Binding Updates
	Host         string         `json:"host"`    // Diameter identity
	Realm        string         `json:"realm"`
	HomePrefixes []netip.Prefix `json:"home-prefixes"`

	Address4       netip.Addr     `json:"address-4,omitzero"`         // RFC 5555: where mobile nodes send Binding Updates over IPv4; invalid: nowhere
	HomePrefixes4  []netip.Prefix `json:"home-prefixes-4,omitempty"`  // IPv4 home addresses are of these
	HomeAddresses4 []HomeAddress4 `json:"home-addresses-4,omitempty"` // who is given which
	UDP            string         `json:"udp,omitempty"`              // RFC 5555, UDP that no NAT asks for: accept, refuse, always; empty: accept
	NATKeepalive   time.Duration  `json:"nat-keepalive,omitempty"`    // how often mobile nodes behind a NAT are to be heard of; 0: 110 s

	MultipleCareOf bool `json:"multiple-care-of,omitempty"` // RFC 5648: mobile nodes may bind several care-of addresses at once

	Preference uint16         `json:"preference,omitempty"` // in lists of home agents: RFC 6275, section 10.5.1
	Discovered []netip.Prefix `json:"discovered,omitempty"` // home prefixes of 64 bits at whose anycast address it is asked for home agents: RFC 6275, section 10.5

	MaxLifetime  time.Duration `json:"max-lifetime"` // longest binding granted
	MaxBindings  int           `json:"max-bindings"`
	ReplayWindow time.Duration `json:"replay-window"` // RFC 4285, section 6: 7 s by default
	DAD          string        `json:"dad"`           // none, full: before a new binding is acknowledged
	Tunnel       string        `json:"tunnel"`        // auto, user, kernel
	Security     Security      `json:"security"`
	Associations []Association `json:"associations,omitempty"` // with bootstrap static
	AAA          []Peer        `json:"aaa,omitempty"`          // Diameter peers, the preferred one first
	BSF          *Peer         `json:"bsf,omitempty"`          // nil: there is none
	RADIUS       []RADIUSPeer  `json:"radius,omitempty"`       // asked instead of those of AAA; the preferred one first
	AAATimeout   time.Duration `json:"aaa-timeout"`            // for one request to one peer
	Watchdog     time.Duration `json:"watchdog"`               // RFC 3539: interval of Device-Watchdog-Requests

	Revocation    Revocation   `json:"revocation"`
	Replication   *Replication `json:"replication,omitempty"`    // it has a standby, or is one
	KeepsBindings bool         `json:"keeps-bindings,omitempty"` // in the memory at MemoryFD
}

// Replication is how a home agent and its standby know of each other.
type Replication struct {
	IsStandby bool           `json:"is-standby"` // this one is; else it is the active one
	Active    netip.AddrPort `json:"active"`     // where that listens, TCP
	Standby   netip.Addr     `json:"standby"`    // where the standby connects from
	Key       []byte         `json:"key"`
	Heartbeat time.Duration  `json:"heartbeat"`
	Alone     bool           `json:"alone"`               // they have a link of their own for it
	Addresses []DevAddress   `json:"addresses,omitempty"` // that whoever of them serves has
}

// Swapped is the same once the standby serves.
func (r *Replication) Swapped() *Replication {
	other := *r
	other.IsStandby = !r.IsStandby
	other.Active, other.Standby = netip.AddrPortFrom(r.Standby, r.Active.Port()), r.Active.Addr()
	return &other
}

// A DevAddress is an address on a device.
type DevAddress struct {
	Dev     string       `json:"dev"`
	Address netip.Prefix `json:"address"`
}

// Revocation is how often and when Binding Revocation Indications are sent again:
// RFC 5846, section 11.
type Revocation struct {
	Retries int           `json:"retries"` // BRIMaxRetriesNumber
	Delay   time.Duration `json:"delay"`   // InitMINDelayBRIs
	Timeout time.Duration `json:"timeout"` // MAX_BRACK_TIMEOUT
}

// A HomeAddress4 says which IPv4 home address a mobile node is given that asks for
// one: RFC 5555, section 4.5.
type HomeAddress4 struct {
	NAI      string     `json:"nai"`
	Address  netip.Addr `json:"address"`   // its IPv6 home address
	Address4 netip.Addr `json:"address-4"` // the IPv4 one that goes with it
}

// An Association is a mobility security association known beforehand: RFC 4285,
// section 3.
type Association struct {
	NAI         string     `json:"nai"`
	HomeAddress netip.Addr `json:"home-address"`
	SPI         uint32     `json:"spi"`
	Key         []byte     `json:"key"` // 16 octets
}

// A Peer is a Diameter peer to connect to.
type Peer struct {
	Host    string         `json:"host"`  // Diameter identity
	Realm   string         `json:"realm"` // its own; of a relay, the one that is reached through it
	Address netip.AddrPort `json:"address"`
}

// A RADIUSPeer is a RADIUS server to ask.
type RADIUSPeer struct {
	Host    string         `json:"host"` // its Diameter identity, by which events name it
	Address netip.AddrPort `json:"address"`
	Secret  []byte         `json:"secret"`
}

// A RADIUSServer is where an AAA server is asked by RADIUS, and by whom.
type RADIUSServer struct {
	Listen  []netip.AddrPort `json:"listen"`
	Clients []RADIUSClient   `json:"clients"`
}

// A RADIUSClient is one that asks from certain addresses.
type RADIUSClient struct {
	Host      string         `json:"host"` // by which events name it
	Addresses []netip.Prefix `json:"addresses"`
	Secret    []byte         `json:"secret"`
	HomeAgent netip.Addr     `json:"home-agent,omitzero"` // for which alone it asks about Binding Updates and MN-HA keys; invalid: for none
}

// An AAA is the part of a Config for role aaa.
type AAA struct {
	Host        string           `json:"host"` // Diameter identity
	Realm       string           `json:"realm"`
	Listen      []netip.AddrPort `json:"listen"`
	Watchdog    time.Duration    `json:"watchdog"`
	KeyLifetime time.Duration    `json:"key-lifetime"` // of each MN-HA key handed out
	Security    Security         `json:"security"`
	Subscribers []Subscriber     `json:"subscribers"`
	HSS         []Peer           `json:"hss,omitempty"` // the preferred one first
	BSF         *Peer            `json:"bsf,omitempty"` // nil: there is none
	Timeout     time.Duration    `json:"timeout"`       // for one request to one of them
	RADIUS      *RADIUSServer    `json:"radius,omitempty"`
}

// An HSS is the part of a Config for role hss.
type HSS struct {
	Host          string           `json:"host"` // Diameter identity
	Realm         string           `json:"realm"`
	Listen        []netip.AddrPort `json:"listen"`
	Watchdog      time.Duration    `json:"watchdog"`
	Store         string           `json:"store"`         // the file that it keeps subscribers in
	Subscriptions []Subscription   `json:"subscriptions"` // what that holds at first
}

// A BSF is the part of a Config for role bsf.
type BSF struct {
	Host        string           `json:"host"` // Diameter identity; mobile nodes know it by that name too
	Realm       string           `json:"realm"`
	Listen      []netip.AddrPort `json:"listen"` // Diameter, of network application functions: Zn
	HTTP        []netip.AddrPort `json:"http"`   // of mobile nodes: Ub
	Watchdog    time.Duration    `json:"watchdog"`
	HSS         []Peer           `json:"hss"`          // whom it asks for vectors, the preferred one first: Zh
	Timeout     time.Duration    `json:"timeout"`      // for one request to one of them
	KeyLifetime time.Duration    `json:"key-lifetime"` // of a bootstrapping, whole seconds
}

// A Subscription is what an HSS knows of a subscriber at first.
type Subscription struct {
	NAI    string `json:"nai"`
	IMSI   string `json:"imsi"`
	K      []byte `json:"k"`             // 16 octets
	OPc    []byte `json:"opc,omitempty"` // 16 octets; empty: made of OP
	OP     []byte `json:"op,omitempty"`
	AMF    uint16 `json:"amf"`
	SQN    uint64 `json:"sqn"` // used last
	Barred bool   `json:"barred,omitempty"`
	APNs   []APN  `json:"apns,omitempty"` // the default one first
}

// An APN is an access point name that a subscriber may use.
type APN struct {
	Name   string `json:"name"`
	Barred bool   `json:"barred,omitempty"`
}

// A USIM is the card in a mobile node.
type USIM struct {
	IMSI string `json:"imsi"`
	K    []byte `json:"k"`
	OPc  []byte `json:"opc,omitempty"` // empty: made of OP
	OP   []byte `json:"op,omitempty"`
	SQN  uint64 `json:"sqn"` // the highest that it has accepted
}

// A Subscriber is one that the AAA server knows.
type Subscriber struct {
	NAI         string     `json:"nai"`
	MNAAASPI    uint32     `json:"mn-aaa-spi"`
	MNAAAKey    []byte     `json:"mn-aaa-key"`
	HomeAddress netip.Addr `json:"home-address"` // the one it may bind, with profile mipv4 an IPv4 one; invalid: any of its home agent's
	Barred      bool       `json:"barred,omitempty"`
	HomeAgent   netip.Addr `json:"home-agent,omitzero"` // the only one that may serve it; invalid: any
}

// A Router is the part of a Config for role router. What it advertises stands
// with its Interfaces, and which it authenticates mobile nodes on.
type Router struct {
	Host     string        `json:"host,omitempty"` // Diameter identity
	Realm    string        `json:"realm,omitempty"`
	Watchdog time.Duration `json:"watchdog,omitempty"`
	AAA      []Peer        `json:"aaa,omitempty"` // whom it asks about mobile nodes, the preferred one first
	Timeout  time.Duration `json:"timeout,omitempty"`
}

// A NAT is the part of a Config for role nat.
type NAT struct {
	Inside      []string      `json:"inside"` // devices on private links
	Ports       Ports         `json:"ports"`  // that mappings may have: half of them at a time
	RandomPorts bool          `json:"random-ports,omitempty"`
	UDPTimeout  time.Duration `json:"udp-timeout"` // of a mapping that no packet uses, whole seconds
}

// Ports are a range of ports, both ends included.
type Ports struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

// A DNS is the part of a Config for role dns.
type DNS struct {
	Domain  string      `json:"domain"`
	Records []DNSRecord `json:"records"`
}

// A DNSRecord is a name with its addresses, or a service (SRV) with the names of
// those who give it, the preferred one first.
type DNSRecord struct {
	Name      string       `json:"name"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Targets   []string     `json:"targets,omitempty"`
}
