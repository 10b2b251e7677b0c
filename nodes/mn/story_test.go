package mn

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

var (
	start       = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	homeAgent   = netip.MustParseAddr("2001:db8:100::1")
	homeAddress = netip.MustParseAddr("2001:db8:100::10")
	homePrefix  = netip.MustParsePrefix("2001:db8:100::/64")
	wlanPrefix  = netip.MustParsePrefix("2001:db8:200::/64")
	wimaxPrefix = netip.MustParsePrefix("2001:db8:300::/64")
	careOfWLAN  = netip.MustParseAddr("2001:db8:200::ff:fe00:2")
	careOfWiMAX = netip.MustParseAddr("2001:db8:300::ff:fe00:3")
	routerLL    = netip.MustParseAddr("fe80::1")
	routerMAC   = [6]byte{2, 0, 0, 0, 1, 1}
	aaaKey      = []byte("@ABCDEFGHIJKLMNO")
	haKey       = []byte("0123456789abcdef")
)

const nai = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"

// config is a mobile node with a home link, a WLAN and a WiMAX.
func config() *control.Config {
	return &control.Config{Node: "ue", Role: "mn", Seed: 7,
		Interfaces: []control.Interface{
			{Name: "lte", Index: 2, Link: "lte", MAC: "02:00:00:00:00:01", Home: true},
			{Name: "wlan", Index: 3, Link: "wlan", MAC: "02:00:00:00:00:02"},
			{Name: "wimax", Index: 4, Link: "wimax", MAC: "02:00:00:00:00:03"},
		},
		MobileNode: &control.MobileNode{HomeAgent: homeAgent, HomeAddress: homeAddress, HomePrefix: homePrefix,
			NAI: nai, Lifetime: 60 * time.Second, DAD: "optimistic", Tunnel: "user",
			Security: control.Security{Integrity: "auth-options", Replay: "timestamp", Bootstrap: "static"},
			MNAAAKey: aaaKey, MNAAASPI: 3, MNHAKey: haKey, MNHASPI: 256}}
}

// bootstrapped is config with keys that come by way of the AAA server.
func bootstrapped() *control.Config {
	c := config()
	c.MobileNode.Security.Bootstrap, c.MobileNode.MNHAKey, c.MobileNode.MNHASPI = "mip-options", nil, 0
	return c
}

// homeless is a configuration without home address and home prefix, which are to
// be assigned.
func homeless(c *control.Config) *control.Config {
	c.MobileNode.HomeAddress, c.MobileNode.HomePrefix = netip.Addr{}, netip.Prefix{}
	c.MobileNode.HomeAddress4, c.MobileNode.HomePrefix4 = netip.Addr{}, netip.Prefix{}
	for i := range c.Interfaces {
		c.Interfaces[i].Home = false
	}
	return c
}

// A story plays a machine against times and a home agent.
type story struct {
	t   *testing.T
	m   *Machine
	now time.Time
	out []Output // of the last step

	events []Event
	sent   []sent // every Binding Update

	asked4, asked6 map[string][]byte // by device, the last DHCP message, until it is answered

	key *association.Association // the home agent's; nil: it has none
}

// A sent is a Binding Update as it left.
type sent struct {
	at     time.Duration // since the start
	packet ipv6.Packet
	to     netip.AddrPort // by IPv4
	*mh.BindingUpdate
	header []byte
}

func begin(t *testing.T, cfg *control.Config) *story {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, m: m, now: start, asked4: map[string][]byte{}, asked6: map[string][]byte{}}
	if k := cfg.MobileNode.MNHAKey; len(k) > 0 {
		s.key = association.New(cfg.MobileNode.MNHASPI, k)
	}
	return s
}

// take keeps what came out, for as long as the story goes.
func (s *story) take(out []Output) []Output {
	s.t.Helper()
	s.out = slices.Clone(out)
	for _, o := range s.out {
		switch o := o.(type) {
		case Event:
			s.events = append(s.events, o)
		case SendDHCP:
			if o.To.Addr().Is4() {
				s.asked4[o.Dev] = o.Octets
			} else {
				s.asked6[o.Dev] = o.Octets
			}
		case SendMobility:
			p, err := ipv6.Parse(o.Octets)
			if err != nil {
				s.t.Fatalf("sent a packet that cannot be read: %v", err)
			}
			if !mh.ChecksumOK(p.Payload, p.UpperSrc(), p.UpperDst()) {
				s.t.Errorf("sent a packet with a wrong checksum")
			}
			m, err := mh.Parse(p.Payload)
			if err != nil {
				s.t.Fatalf("sent a message that cannot be read: %v", err)
			}
			if err := mh.Check(m); err != nil {
				s.t.Errorf("sent a message that breaks a rule: %v", err)
			}
			if bu, ok := m.(*mh.BindingUpdate); ok {
				s.sent = append(s.sent, sent{at: s.now.Sub(start), packet: p, to: o.To, BindingUpdate: bu, header: slices.Clone(p.Payload)})
			}
		}
	}
	return s.out
}

func (s *story) step(in Input) []Output {
	s.t.Helper()
	return s.take(s.m.Step(s.now, in))
}

// until lets time pass, with every Tick at its Deadline.
func (s *story) until(d time.Duration) {
	s.t.Helper()
	end := start.Add(d)
	for n := 0; ; n++ {
		next := s.m.Deadline()
		if next.IsZero() || next.After(end) {
			break
		}
		if next.After(s.now) {
			s.now, n = next, 0
		}
		if n > 10 {
			s.t.Fatalf("deadline stays at %v", next.Sub(start))
		}
		s.take(s.m.Tick(s.now))
	}
	if end.After(s.now) {
		s.now = end
	}
}

func (s *story) carrier(dev string, up bool) { s.t.Helper(); s.step(CarrierChanged{Dev: dev, Up: up}) }

// advertise lets a router say what it says in this lab.
func (s *story) advertise(dev string, p netip.Prefix, change ...func(*RouterAdvertised)) []Output {
	s.t.Helper()
	addr := join(p, 1)
	in := RouterAdvertised{Dev: dev, Router: routerLL, LinkLayer: routerMAC, Lifetime: time.Hour,
		Prefixes: []Prefix{{Prefix: netip.PrefixFrom(addr, 64), OnLink: true, Autonomous: true, Router: true, Valid: 24 * time.Hour, Preferred: 12 * time.Hour}}}
	for _, f := range change {
		f(&in)
	}
	return s.step(in)
}

// visit attaches to a link, and leaves the one before.
func (s *story) visit(dev string, p netip.Prefix) {
	s.t.Helper()
	for _, a := range s.m.accesses {
		if a.carrier && a.dev != dev {
			s.carrier(a.dev, false)
		}
	}
	s.carrier(dev, true)
	s.advertise(dev, p)
}

func (s *story) last() sent {
	s.t.Helper()
	if len(s.sent) == 0 {
		s.t.Fatal("no binding update was sent")
	}
	return s.sent[len(s.sent)-1]
}

// An answer is a Binding Acknowledgement to be, which changes may spoil.
type answer struct {
	ba         *mh.BindingAcknowledgement
	key        *association.Association // nil: no authentication option
	careOf     netip.Addr
	home       netip.Addr // that the authentication option is over
	packet     ipv6.Packet
	from       netip.AddrPort // by IPv4
	afterwards func(octets []byte)
}

// answer acknowledges the last Binding Update as a home agent does.
func (s *story) answer(status mh.Status, change ...func(*answer)) []Output {
	s.t.Helper()
	return s.answerTo(s.last(), status, change...)
}

func (s *story) answerTo(u sent, status mh.Status, change ...func(*answer)) []Output {
	s.t.Helper()
	a := &answer{key: s.key, careOf: careOfIn(u), home: homeAddress,
		ba:     &mh.BindingAcknowledgement{Status: status, Seq: u.Seq, Lifetime: u.Lifetime},
		packet: ipv6.Packet{Src: homeAgent, Dst: u.packet.Src, HopLimit: 64, Next: ipv6.Mobility}}
	switch {
	case u.packet.UpperSrc().IsUnspecified() && !status.Accepts():
		a.home = netip.IPv6Unspecified()
	case u.to.IsValid():
		a.packet.Dst, a.from = homeAddress, u.to
	case u.packet.Src != homeAddress:
		a.packet.RoutingHome, a.packet.SegmentsLeft = homeAddress, 1
	}
	if id, ok := mh.Find[mh.MNIdentifier](u.Options); ok {
		a.ba.Options = append(a.ba.Options, id)
	}
	if r, ok := mh.Find[mh.ReplayProtection](u.Options); ok {
		a.ba.Options = append(a.ba.Options, r)
	}
	if auth := authOf(u); auth.Subtype == mh.MNAAA && s.key == nil && status.Accepts() {
		a.key = s.derive(u)
	}
	for _, f := range change {
		f(a)
	}
	var err error
	if a.key != nil {
		a.packet.Payload, err = association.SealMNHA(nil, a.ba, a.key, a.careOf, a.home, a.packet.Src, a.packet.UpperDst())
	} else {
		a.packet.Payload, err = mh.Append(nil, a.ba, a.packet.Src, a.packet.UpperDst())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	octets, err := ipv6.Append(nil, &a.packet)
	if err != nil {
		s.t.Fatal(err)
	}
	if a.afterwards != nil {
		a.afterwards(octets)
	}
	return s.step(Received{Dev: "any", Octets: octets, From: a.from})
}

// careOfIn is the care-of address that a Binding Update is about.
func careOfIn(u sent) netip.Addr {
	if careOf, ok := mh.Find[mh.AlternateCareOf](u.Options); ok {
		return careOf.Address
	}
	if careOf, ok := mh.Find[mh.IPv4CareOf](u.Options); ok {
		return careOf.Address
	}
	return u.packet.Src
}

// derive is the association that an AAA server gives the home agent for u.
func (s *story) derive(u sent) *association.Association {
	var freshness [8]byte
	if r, ok := mh.Find[mh.ReplayProtection](u.Options); ok {
		binary.BigEndian.PutUint64(freshness[:], r.Timestamp)
	} else {
		data, _, _, err := association.MobilityData(u.header, careOfIn(u), u.packet.UpperSrc())
		if err != nil {
			s.t.Fatal(err)
		}
		copy(freshness[:], data[:])
	}
	key := keys.SessionKey(aaaKey, nai, homeAgent, freshness)
	return association.New(1000, key[:])
}

// bootstrap answers a Binding Update with MN-AAA, and keeps the key.
func (s *story) bootstrap() {
	s.t.Helper()
	s.key = s.derive(s.last())
	s.answer(mh.Accepted)
}

func authOf(u sent) mh.Authentication {
	a, _ := mh.Find[mh.Authentication](u.Options)
	return a
}

func timestampOf(u sent) uint64 {
	r, _ := mh.Find[mh.ReplayProtection](u.Options)
	return r.Timestamp
}

// names are the kinds of output of the last step, events by their name.
func names(out []Output) []string {
	var n []string
	for _, o := range out {
		switch o := o.(type) {
		case Event:
			n = append(n, o.Name)
		case SolicitRouter:
			n = append(n, "SolicitRouter")
		case SolicitNeighbor:
			n = append(n, "SolicitNeighbor")
		case AdvertiseNeighbor:
			n = append(n, "AdvertiseNeighbor")
		case EnterAccess:
			n = append(n, "EnterAccess")
		case LeaveAccess:
			n = append(n, "LeaveAccess")
		case TakeHome:
			n = append(n, "TakeHome")
		case EnterHome:
			n = append(n, "EnterHome")
		case UseHome:
			n = append(n, "UseHome")
		case QuitHome:
			n = append(n, "QuitHome")
		case LeaveHome:
			n = append(n, "LeaveHome")
		case UseHome4:
			n = append(n, "UseHome4")
		case LeaveHome4:
			n = append(n, "LeaveHome4")
		case SendMobility:
			n = append(n, "SendMobility")
		case SendDHCP:
			n = append(n, "SendDHCP")
		case SolicitARP:
			n = append(n, "SolicitARP")
		case ExpectTunnel:
			n = append(n, "ExpectTunnel")
		case ForsakeTunnel:
			n = append(n, "ForsakeTunnel")
		case SetTunnel:
			n = append(n, "SetTunnel")
		case ClearTunnel:
			n = append(n, "ClearTunnel")
		}
	}
	return n
}

// find is the first output of a type.
func find[T Output](out []Output) (T, bool) {
	for _, o := range out {
		if o, ok := o.(T); ok {
			return o, true
		}
	}
	var none T
	return none, false
}

// happened is the last event of a name.
func (s *story) happened(name string) (Event, bool) {
	for _, e := range slices.Backward(s.events) {
		if e.Name == name {
			return e, true
		}
	}
	return Event{}, false
}

func (s *story) count(name string) int {
	n := 0
	for _, e := range s.events {
		if e.Name == name {
			n++
		}
	}
	return n
}

func (s *story) mustHappen(name string) Event {
	s.t.Helper()
	e, ok := s.happened(name)
	if !ok {
		s.t.Errorf("no event %s", name)
	}
	return e
}
