// Package topologies reads and checks topology files: which nodes there are,
// what joins them, and how their signalling is protected.
//
// A Topology that Parse returns is complete and consistent: every default has
// been chosen, every address given. The package starts nothing and knows
// nothing of namespaces; orchestrator/lab brings a Topology up.
package topologies

import (
	"net/netip"
	"time"
)

// A Topology is a lab as its file describes it, with every default filled in.
type Topology struct {
	Name        string
	Description string
	Nodes       []Node // in the file's order
	Links       []Link // in the file's order
	Security    Security
	Groups      map[string][]string // nodes written as one with a count: ue is ue1, ue2, ...
}

// Security says how binding signalling is protected and where its keys come
// from; the words are decided in DESIGN.
type Security struct {
	Integrity string // none, auth-options, ipsec
	Replay    string // timestamp, sequence
	Bootstrap string // static, mip-options, gba-rfc3957, gba, partial-gba, ikev2
	KeySource string // of the MN-AAA key, with mip-options: static, emsk, gba, aka; empty with others
	Profile   string // 3gpp, 3gpp2, wimax, mipv4
}

// A Node is one machine of the lab.
type Node struct {
	Name       string
	Role       string        // mn, ha, aaa, hss, bsf, router, nat, dns, cn
	Clock      time.Duration // how far its clock is off
	Interfaces []Interface   // in the order of the file's links
	Routes     []Route       // static ones; none for a mobile node

	// The part of its role; the others are nil.
	MobileNode *MobileNode
	HomeAgent  *HomeAgent
	AAA        *AAA
	HSS        *HSS
	BSF        *BSF
	Router     *Router
	NAT        *NAT
	DNS        *DNS

	Correspondent *Correspondent

	Relay   *Relay // a Diameter relay of others runs on it
	ByRelay string // the node whose Relay it reaches AAA servers or HSSs through; empty: it connects with each

	Line int // in the file
}

// An Interface is a node's end of a link.
type Interface struct {
	Name      string // of the device: the link's name, cut to 15 octets where need be
	Index     int    // of the device: 2 for a node's first
	Link      string
	MAC       [6]byte
	Addresses []netip.Prefix // static ones, IPv6 first; none for a mobile node
	Advertise *Advertise     // set where the node is a router to mobile nodes on this link
	DHCP4     *DHCP4         // set where it gives IPv4 addresses there
	DHCP6     *DHCP6         // set where it gives IPv6 addresses or configuration there
}

// Advertise is what a router says on a link: RFC 4861, section 6.2.1.
type Advertise struct {
	Prefix      netip.Prefix
	Address     netip.Addr // the router's own, in Prefix
	MinInterval time.Duration
	MaxInterval time.Duration
	Delay       time.Duration // longest random wait before answering a solicitation
	Lifetime    time.Duration
	HomeAgent   bool
	Managed     bool // addresses come by DHCP, and not of the prefix
	Other       bool // configuration comes by DHCP
	Preference  uint16
	DNS         []netip.Addr // servers that nodes of the link can ask; IPv6
}

// A Route is a static route.
type Route struct {
	To  netip.Prefix
	Via netip.Addr
	Dev string // Interface.Name
}

// A MobileNode is what role mn adds to a Node.
type MobileNode struct {
	HomeAgent   string // the node
	HomeAddress netip.Addr
	HomePrefix  netip.Prefix // /64
	Assigned    bool         // the network knows both, the mobile node does not

	HomeAddress4 netip.Addr   // the IPv4 one that it asks for and will have; invalid: it asks for none
	HomePrefix4  netip.Prefix // the home prefix that HomeAddress4 is of
	ForceUDP     bool         // it asks for UDP by IPv4, NAT or not

	RouteOptimization bool     // it does and answers RFC 6275's
	Peers             []string // nodes that it does it with, in the order of the file

	NAI      string
	Lifetime time.Duration // of each binding it asks for
	DAD      string        // none, optimistic, full
	Tunnel   string        // auto, user, kernel
	MNAAAKey []byte
	MNAAASPI uint32
	MNHAKey  []byte // 16 octets; with bootstrap static, or to set a wrong one on purpose
	MNHASPI  uint32
	Policy   Policy
	USIM     *USIM  // nil: nobody asks for it
	BSF      string // node; empty: none is needed

	AllAccesses bool          // it uses all its accesses at once
	Flows       []FlowBinding // what goes by which, the first that matches

	Discovery   []string     // how it finds its home agent, in the order of trying: static, dhaad, dns, dns-srv, dhcp; empty: it was told
	NameServers []netip.Addr // that it asks before those that accesses tell
}

// A Policy is how a mobile node chooses among accesses that can carry it.
type Policy struct {
	Kind          string        // newest, preferred, signal, keep
	Prefer        []string      // links, the preferred one first; those left out come last
	Threshold     float64       // signal: dBm
	Hysteresis    float64       // signal: dB
	TimeToTrigger time.Duration // signal
}

// A Correspondent is what role cn adds to a Node.
type Correspondent struct {
	RouteOptimization bool // it knows that of RFC 6275
}

// A HomeAgent is what role ha adds to a Node.
type HomeAgent struct {
	Address      netip.Addr // where mobiles send their Binding Updates
	Address4     netip.Addr // where they send them from IPv4 accesses; invalid: it has no IPv4 address
	Host, Realm  string     // Diameter identity
	APN          string     // the access point name that mobile nodes find it by
	HomePrefixes []netip.Prefix
	Beside       string // the node whose home prefixes those are; empty: its own

	HomePrefixes4 []netip.Prefix // IPv4: pools of home addresses

	Preference uint16         // in lists of home agents: RFC 6275, section 7.4
	Discovered []netip.Prefix // home prefixes of 64 bits at whose anycast addresses it is asked for home agents

	AAA            []string // nodes, the preferred one first
	BSF            string   // node; empty: none is needed
	MaxLifetime    time.Duration
	MaxBindings    int
	ReplayWindow   time.Duration
	MultipleCareOf bool          // mobiles may bind several care-of addresses at once
	UDP            string        // in tunnels over IPv4 where no NAT asks for it: accept, refuse, always
	NATKeepalive   time.Duration // whole seconds
	DAD            string        // none, full
	Tunnel         string        // auto, user, kernel
	RADIUSSecret   []byte        // that it shares with them; empty: it asks by Diameter
	AAATimeout     time.Duration // for one request to one peer
	Watchdog       time.Duration
	Associations   []Association // what it knows of its mobiles beforehand, with bootstrap static
	Revocation     Revocation
	StandbyFor     string // the node that it takes over from; empty: none. Beside is that node too
	Heartbeat      time.Duration
	ReplicationKey []byte // that it shares with that node
	KeepsBindings  bool   // from one life of its process to the next
}

// Revocation is how often and when Binding Revocation Indications are sent again:
// RFC 5846, section 11.
type Revocation struct {
	Retries int           // BRIMaxRetriesNumber
	Delay   time.Duration // InitMINDelayBRIs
	Timeout time.Duration // MAX_BRACK_TIMEOUT
}

// An Association is a mobility security association: RFC 4285, section 3. It is
// the network's side of it; the mobile's own is with the MobileNode.
type Association struct {
	NAI         string
	HomeAddress netip.Addr
	SPI         uint32
	Key         []byte // 16 octets
}

// An AAA is what role aaa adds to a Node.
type AAA struct {
	Host, Realm string // Diameter identity
	Port        uint16 // TCP: 3868
	Watchdog    time.Duration
	KeyLifetime time.Duration
	Subscribers []Subscriber
	HSS         []string      // nodes, the preferred one first
	HSSTimeout  time.Duration // for one request to one of them
	BSF         string        // node; empty: none is needed
	Clients     []RADIUSClient
}

// A Subscriber is one that an AAA server knows.
type Subscriber struct {
	NAI         string
	MNAAASPI    uint32
	MNAAAKey    []byte
	MNHAKey     []byte // with bootstrap static; 16 octets
	MNHASPI     uint32
	HomeAddress netip.Addr // the only one it may bind; invalid: any
	Barred      bool
	HomeAgent   string // the only one that may serve it; empty: any
}

// A Router is what role router adds to a Node.
type Router struct {
	Host, Realm string // Diameter identity
	Watchdog    time.Duration
	AAATimeout  time.Duration // for one request to one of them
	AAA         []string      // nodes that it asks about mobile nodes, the preferred one first; empty: it lets everybody in
}

// A Link joins two or more ends. All of them hear each other, as on one
// Ethernet.
type Link struct {
	Name    string
	Ends    []string     // nodes, in the file's order
	Home    bool         // a home link: its prefix is of a home agent's home prefixes
	Prefix  netip.Prefix // IPv6, a /64; invalid: a link without IPv6
	Prefix4 netip.Prefix // invalid: a link without IPv4
	MTU     int
	Engine  string                // user, kernel
	Auth    string                // of mobile nodes, before they may use it: none, eap-aka, eap-aka-prime
	From    map[string]Impairment // what happens to frames that this end sends; one entry an end

	Line int
}

// An Impairment is what a link does to the frames that one end sends into it.
// The zero value is a link that does nothing but carry.
type Impairment struct {
	Delay     time.Duration // before each frame arrives
	Jitter    Jitter
	Loss      Loss
	Rate      int64      // bit/s; 0: unlimited; with a Trace, its mean
	Trace     *RateTrace // when it delivers; nil: at the rate
	Queue     Queue      // before the rate; drop-tail
	Duplicate float64    // probability, 0 to 1
	Corrupt   float64    // probability, 0 to 1: one bit of the frame is turned over
	Reorder   float64    // probability, 0 to 1: the frame overtakes, without delay
}

// Jitter is added to Delay, frame by frame.
type Jitter struct {
	Spread       time.Duration // uniform: the half width; normal: the standard deviation; pareto: the scale
	Distribution string        // uniform, normal, pareto
	Reorder      bool          // frames may overtake one another
}

// Loss is independent when only Rate is set, and Gilbert-Elliott when the four
// others are.
type Loss struct {
	Rate     float64 // probability, 0 to 1
	GoodBad  float64 // probability of leaving the good state, a frame
	BadGood  float64 // probability of leaving the bad state, a frame
	LossGood float64 // probability of loss in the good state
	LossBad  float64 // probability of loss in the bad state
}

// A Queue holds what a rate keeps waiting. Zero limits: the default of 100 ms
// at the link's rate, at least 10 full frames.
type Queue struct {
	Bytes   int
	Packets int
}
