// Package ha is the home agent: RFC 6275, sections 9 and 10, with the
// authentication of RFC 4285 and the AAA of RFC 5778 behind it.
//
// A Machine holds the rules and knows nothing of sockets, processes or the
// kernel: packets, answers and the time go in, packets, questions and changes
// to the node come out. Run is the loop that gives it a node to act on. Routers
// on the home link, which may be this node, advertise themselves elsewhere; the
// bytes of packets are in nodes/wire, authenticators in nodes/session/association.
package ha

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// A Machine is a home agent. Its owner calls Step for each Input, and Tick at
// the time that Deadline gives. Times must come with a monotonic reading or all
// without, and their wall clock is the node's own.
type Machine struct {
	address        netip.Addr // of the home agent
	seed           uint64     // of the addresses that are chosen here
	own            []netip.Addr
	host           string // Diameter identity
	prefixes       []netip.Prefix
	links          []homeLink
	maxLifetime    time.Duration
	maxBindings    int
	maxSubscribers int
	window         time.Duration // RFC 4285, section 6
	clock          time.Duration // how far this node's clock is wrong, on purpose
	dad            bool
	authenticates  bool // Binding Updates must prove who sent them
	timestamps     bool // policy: a timestamp is mandatory
	asks           bool // an AAA can be asked
	fetches        bool // and for the keys of MN-HA options that are not known
	authorizes     bool // then an AAA server is asked over S6b
	perBinding     bool // associations end with the bindings that they came for
	revoking       control.Revocation
	multihoming    bool // several care-of addresses at once are permitted

	bindings    map[netip.Addr]*binding    // by home address: the binding cache
	held        int                        // of these, bound or about to be
	ended       bindingQueue               // of these, invalid, the longest invalid first
	subscribers map[string]*subscriber     // by NAI
	aliases     map[string]*subscriber     // by another name that it calls itself by
	owners      map[netip.Addr]*subscriber // of home addresses
	held64      map[netip.Prefix]int       // of prefixes of 64 bits: home addresses in them that are owned, and that are in the binding cache
	questions   questions
	revocations map[uint16]*revocation     // by sequence number
	sessions    map[string]diameterSession // by Session-Id
	switches    map[netip.Addr]*handoff    // by home address
	memory      memory
	nextSwitch  time.Time // when another mobile node may be told
	timers      timers
	events      events
	told        keys.Told
	errors      errorLimits
	agents      agentList

	revocationSeq uint16 // of the next

	dual      dualStack
	registrar *registrar // nil: mobile nodes register by Mobile IPv6

	from    netip.AddrPort       // of the packet at hand: source of its IPv4 and UDP headers; not valid: none
	update  mh.BindingUpdateView // of the packet at hand
	out     []Output
	packets int // of sends, in use
	sends   []*SendMobility
	answer  answer
}

// A homeLink is a link of this node on which mobile nodes are at home.
type homeLink struct {
	dev     string
	source  netip.Addr // this node's own address there
	covered []netip.Prefix
}

// New makes a home agent of a configuration.
func New(cfg *control.Config) (*Machine, error) {
	h := cfg.HomeAgent
	if h == nil {
		return nil, errors.New("no home agent in the configuration")
	}
	m := &Machine{
		address:        h.Address,
		seed:           cfg.Seed,
		own:            []netip.Addr{h.Address, h.Address4},
		host:           h.Host,
		prefixes:       h.HomePrefixes,
		maxLifetime:    max(h.MaxLifetime.Truncate(lifetimeUnit), lifetimeUnit),
		maxBindings:    h.MaxBindings,
		maxSubscribers: 2*h.MaxBindings + len(h.Associations),
		window:         h.ReplayWindow,
		clock:          cfg.Clock,
		asks:           asksSomebody(h),
		multihoming:    h.MultipleCareOf,
		bindings:       make(map[netip.Addr]*binding),
		subscribers:    make(map[string]*subscriber),
		aliases:        make(map[string]*subscriber),
		owners:         make(map[netip.Addr]*subscriber),
		held64:         make(map[netip.Prefix]int),
		questions:      newQuestions(h),
		revoking:       h.Revocation,
		revocations:    make(map[uint16]*revocation),
		sessions:       make(map[string]diameterSession),
		switches:       make(map[netip.Addr]*handoff),
		revocationSeq:  uint16(rand.New(rand.NewPCG(cfg.Seed, 0x6272)).Uint32()),
		errors:         newErrorLimits(),
		told:           keys.Told{Show: cfg.ShowKeys},
	}
	m.events.timer.owner = &m.events
	switch h.DAD {
	case "full":
		m.dad = true
	case "none", "":
	default:
		return nil, fmt.Errorf("dad %q: want none or full", h.DAD)
	}
	switch h.Security.Integrity {
	case "none":
	case "auth-options":
		m.authenticates = true
	default:
		return nil, fmt.Errorf("integrity %q: this home agent has none and auth-options", h.Security.Integrity)
	}
	switch h.Security.Replay {
	case "timestamp", "":
		m.timestamps = m.authenticates
	case "sequence":
	default:
		return nil, fmt.Errorf("replay %q: want timestamp or sequence", h.Security.Replay)
	}
	if m.authenticates {
		method, err := methodOf(h)
		if err != nil {
			return nil, err
		}
		m.fetches, m.perBinding = method.Keeper != nil, method.PerBinding
		m.authorizes = m.fetches && len(h.AAA) > 0 // of those that are asked by RADIUS there is none here
	}
	for i := range cfg.Interfaces {
		m.addInterface(&cfg.Interfaces[i])
	}
	var err error
	if m.dual, err = newDualStack(cfg); err != nil {
		return nil, err
	}
	m.agents = newAgentList(cfg, m.links)
	if err := m.newRegistrar(cfg); err != nil {
		return nil, err
	}
	return m, m.addAssociations(h.Associations)
}

// methodOf is how keys are bootstrapped.
func methodOf(h *control.HomeAgent) (bootstrap.Method, error) {
	return bootstrap.Of(h.Security.Profile, cmp.Or(h.Security.Bootstrap, "mip-options"), h.Security.KeySource)
}

// asksSomebody says whether there is an AAA server or a BSF to ask.
func asksSomebody(h *control.HomeAgent) bool {
	return len(h.AAA) > 0 || len(h.RADIUS) > 0 || h.BSF != nil
}

func (m *Machine) addInterface(in *control.Interface) {
	link := homeLink{dev: in.Name}
	for _, p := range in.Addresses {
		m.own = append(m.own, p.Addr())
		if !in.Home || !p.Addr().Is6() {
			continue
		}
		link.covered = append(link.covered, p.Masked())
		if !link.source.IsValid() {
			link.source = p.Addr()
		}
	}
	if in.Home && in.Advertise != nil {
		link.covered = append(link.covered, in.Advertise.Prefix.Masked())
		link.source = in.Advertise.Address
	}
	if len(link.covered) > 0 {
		m.links = append(m.links, link)
	}
}

// addAssociations takes what was set up beforehand.
func (m *Machine) addAssociations(list []control.Association) error {
	for _, a := range list {
		if len(a.Key) != keyLen {
			return fmt.Errorf("association of %s: key of %d octets, want %d", a.NAI, len(a.Key), keyLen)
		}
		s := m.subscribe(time.Time{}, a.NAI) // there is room for all of them
		s.configured = true
		if other := m.owners[a.HomeAddress]; a.HomeAddress.IsValid() && other != nil && other != s {
			return fmt.Errorf("home address %v: associations of %s and %s both claim it", a.HomeAddress, other.nai, s.nai)
		}
		m.settle(s, grant{home: a.HomeAddress, by: byAssociation})
		s.add(&mobilitySA{Association: association.New(a.SPI, a.Key), timestamp: m.timestamps, untold: a.Key})
	}
	return nil
}

// Step takes one Input that happened at now.
func (m *Machine) Step(now time.Time, in Input) []Output {
	m.begin()
	switch in := in.(type) {
	case *Received:
		m.from = in.From
		m.receive(now, in.Octets)
		m.from = netip.AddrPort{}
	case NeighborClaimed:
		m.claimed(now, in)
	case StrangerTunnelled:
		m.stranger(now, in)
	case *RouterAdvertised:
		m.routerAdvertised(now, in)
	case HomeAgentsAsked:
		m.homeAgentsAsked(now, in)
	case *AAAAnswered:
		m.answered(now, in)
	case AAAFailed:
		m.failed(now, in)
	case RegistrationReceived:
		m.registrationReceived(now, in)
	case *RegistrationAnswered:
		m.registrationAnswered(now, in)
	case SessionAborted:
		m.aborted(now, in)
	case ServiceAuthorized:
		m.serviceAuthorized(now, in)
	case SessionTerminated:
		m.terminated(now, in)
	default:
		panic(fmt.Sprintf("ha: no rule for %T", in))
	}
	return m.remember()
}

// Tick does what is due at now.
func (m *Machine) Tick(now time.Time) []Output {
	m.begin()
	for t := m.timers.pop(now); t != nil; t = m.timers.pop(now) {
		t.owner.due(m, now)
	}
	return m.remember()
}

// Deadline is when Tick is to be called; zero: never. What was put off since
// may make it early: Tick then does nothing but give a later one.
func (m *Machine) Deadline() time.Time { return m.timers.next() }

func (m *Machine) begin() {
	clear(m.out)
	m.out = m.out[:0]
	m.packets = 0
}

func (m *Machine) do(o Output) { m.out = append(m.out, o) }

// send sends a packet. Its payload may lie anywhere; the packet is copied into
// memory of its own, which is used again after the Step.
func (m *Machine) send(p *ipv6.Packet) { m.sendTo(p, netip.AddrPort{}) }

// sendTo is send, in UDP over IPv4 where to is valid.
func (m *Machine) sendTo(p *ipv6.Packet, to netip.AddrPort) {
	s := m.packet()
	octets, err := ipv6.Append(s.Octets[:0], p)
	if err != nil {
		return // no packet made here is too long
	}
	s.Octets = octets
	s.To = to
	m.packets++
	m.out = append(m.out, s)
}

// sendOctets sends a packet that was made before, in UDP over IPv4 where to is
// valid.
func (m *Machine) sendOctets(octets []byte, to netip.AddrPort) {
	s := m.packet()
	s.To = to
	s.Octets = append(s.Octets[:0], octets...)
	m.packets++
	m.out = append(m.out, s)
}

// packet gives memory for the next packet.
func (m *Machine) packet() *SendMobility {
	if m.packets == len(m.sends) {
		m.sends = append(m.sends, &SendMobility{})
	}
	s := m.sends[m.packets]
	s.Dev, s.To = "", netip.AddrPort{}
	return s
}

// isHome says whether an address is on one of the home links: RFC 6275, section
// 10.3.1.
func (m *Machine) isHome(a netip.Addr) bool {
	for _, p := range m.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// homeLink gives the link on which a home address is at home; nil: it is on none
// of this node's, and there is nobody there to ask or tell.
func (m *Machine) homeLink(home netip.Addr) *homeLink {
	for i := range m.links {
		for _, p := range m.links[i].covered {
			if p.Contains(home) {
				return &m.links[i]
			}
		}
	}
	return nil
}
