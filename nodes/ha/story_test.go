package ha

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

var (
	homeAgent  = netip.MustParseAddr("2001:db8:100::1")
	homeA      = netip.MustParseAddr("2001:db8:100::10")
	homeB      = netip.MustParseAddr("2001:db8:100::11")
	careOfWLAN = netip.MustParseAddr("2001:db8:200::99")
	careOfLTE  = netip.MustParseAddr("2001:db8:300::99")
	start      = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	keyA       = []byte("0123456789abcdef")
	keyB       = []byte("fedcba9876543210")
	aaaKey     = []byte("the key that A shares with its AAA server")
)

const (
	naiA = "a@example.org"
	naiB = "b@example.org"
	spiA = 256
	spiB = 257
)

// configuration is that of a home agent with two mobile nodes it knows.
func configuration() *control.Config {
	return &control.Config{
		Node: "ha", Role: "ha",
		Interfaces: []control.Interface{
			{Name: "home", Index: 2, Home: true, Addresses: []netip.Prefix{netip.PrefixFrom(homeAgent, 64)}},
			{Name: "core", Index: 3, Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:400::1/64")}},
		},
		HomeAgent: &control.HomeAgent{
			Address: homeAgent, Host: "ha.example.org", Realm: "example.org",
			HomePrefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:100::/64")},
			MaxLifetime:  600 * time.Second, MaxBindings: 100, ReplayWindow: 7 * time.Second,
			DAD:      "none",
			Security: control.Security{Integrity: "auth-options", Replay: "timestamp", Bootstrap: "static"},
			Associations: []control.Association{
				{NAI: naiA, HomeAddress: homeA, SPI: spiA, Key: keyA},
				{NAI: naiB, HomeAddress: homeB, SPI: spiB, Key: keyB},
			},
			AAA:        []control.Peer{{Host: "aaa.example.org"}},
			AAATimeout: 2 * time.Second,

			Revocation: control.Revocation{Retries: 1, Delay: time.Second, Timeout: 2 * time.Second},
		},
	}
}

// with is configuration, altered.
func with(alter ...func(*control.HomeAgent)) *control.Config {
	cfg := configuration()
	for _, a := range alter {
		a(cfg.HomeAgent)
	}
	return cfg
}

func sequenceNumbers(h *control.HomeAgent) { h.Security.Replay = "sequence" }
func fullDAD(h *control.HomeAgent)         { h.DAD = "full" }
func noIntegrity(h *control.HomeAgent) {
	h.Security.Integrity = "none"
	h.Associations = nil
}
func fromAAA(h *control.HomeAgent) {
	h.Security.Bootstrap = "mip-options"
	h.Associations = nil
}

// A story is a home agent and what happens to it.
type story struct {
	testing.TB
	m   *Machine
	now time.Time
	out []Output // of the last Step, or of all Ticks of the last passing of time
}

func tell(t testing.TB, cfg *control.Config) *story {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &story{TB: t, m: m, now: start}
}

func (s *story) step(in Input) []Output {
	s.out = keep(nil, s.m.Step(s.now, in))
	return s.out
}

// keep copies outputs, which the next Step would change.
func keep(to, out []Output) []Output {
	for _, o := range out {
		if sent, ok := o.(*SendMobility); ok {
			o = &SendMobility{Dev: sent.Dev, Octets: append([]byte(nil), sent.Octets...), To: sent.To}
		}
		to = append(to, o)
	}
	return to
}

// pass lets time go by, with every Tick when it is due.
func (s *story) pass(d time.Duration) []Output {
	end := s.now.Add(d)
	s.out = nil
	for {
		at := s.m.Deadline()
		if at.IsZero() || at.After(end) {
			break
		}
		if at.Before(s.now) {
			s.Fatalf("deadline %v in the past", at)
		}
		s.now = at
		s.out = keep(s.out, s.m.Tick(s.now))
	}
	s.now = end
	return s.out
}

// An announcement is a Binding Update to be sent, and the packet around it.
type announcement struct {
	src, home, alternate netip.Addr // home: in a Home Address option; not valid: none
	seq                  uint16
	flags                mh.BUFlags
	lifetime             time.Duration
	nai                  string
	timestamp            uint64 // 0: none
	service              string
	mnha                 *association.Association
	mnaaa                []byte
	more                 []mh.Option // after the others, before authentication
	careOf4              netip.Addr  // in an IPv4 Care-of Address option; not valid: none
	proven               netip.Addr  // by IPv4, in a Binding Identifier option, for authenticators to be over; not valid: none
}

// of makes a good Binding Update of mobile node A, at s.now.
func (s *story) of(seq uint16) announcement {
	return announcement{
		src: careOfWLAN, home: homeA, alternate: careOfWLAN, seq: seq,
		flags: mh.AckRequested | mh.HomeRegistration, lifetime: 60 * time.Second,
		nai: naiA, timestamp: keys.NTP(s.now), mnha: association.New(spiA, keyA),
	}
}

// ofB is of, for mobile node B.
func (s *story) ofB(seq uint16) announcement {
	a := s.of(seq)
	a.home, a.nai, a.mnha = homeB, naiB, association.New(spiB, keyB)
	a.src, a.alternate = careOfLTE, careOfLTE
	return a
}

// bare makes one without any proof.
func (s *story) bare(home netip.Addr, seq uint16) announcement {
	a := s.of(seq)
	a.home, a.nai, a.timestamp, a.mnha = home, "", 0, nil
	return a
}

// asking makes one that the AAA is to look at.
func (s *story) asking(seq uint16) announcement {
	a := s.of(seq)
	a.mnha, a.mnaaa = nil, aaaKey
	return a
}

// homecoming makes a de-registration from the home link.
func (s *story) homecoming(seq uint16) announcement {
	a := s.of(seq)
	a.src, a.home, a.alternate, a.lifetime = homeA, netip.Addr{}, homeA, 0
	return a
}

func (a *announcement) message() *mh.BindingUpdate {
	u := &mh.BindingUpdate{Seq: a.seq, Flags: a.flags, Lifetime: a.lifetime}
	if a.alternate.IsValid() {
		u.Options = append(u.Options, mh.AlternateCareOf{Address: a.alternate})
	}
	if a.nai != "" {
		u.Options = append(u.Options, mh.MNIdentifier{Subtype: mh.NAI, Identifier: a.nai})
	}
	if a.service != "" {
		u.Options = append(u.Options, mh.ServiceSelection{APN: a.service})
	}
	if a.timestamp != 0 {
		u.Options = append(u.Options, mh.ReplayProtection{Timestamp: a.timestamp})
	}
	if a.careOf4.IsValid() {
		u.Options = append(u.Options, mh.IPv4CareOf{Address: a.careOf4})
	}
	u.Options = append(u.Options, a.more...)
	return u
}

// addresses gives care-of and home address, as the mobile node means them.
func (a *announcement) addresses() (careOf, home netip.Addr) {
	careOf, home = a.src, a.src
	switch {
	case a.alternate.IsValid():
		careOf = a.alternate
	case a.proven.IsValid():
		careOf = netip.AddrFrom16(a.proven.As16())
	case a.careOf4.IsValid():
		careOf = netip.AddrFrom16(a.careOf4.As16())
	}
	if a.home.IsValid() {
		home = a.home
	}
	return careOf, home
}

// packet gives the octets of the announcement.
func (s *story) packet(a announcement) []byte {
	s.Helper()
	careOf, home := a.addresses()
	var header []byte
	var err error
	switch {
	case a.mnha != nil:
		header, err = association.SealMNHA(nil, a.message(), a.mnha, careOf, home, home, homeAgent)
	case a.mnaaa != nil:
		header, _, err = association.SealMNAAA(nil, a.message(), mh.HMACSHA1SPI, a.mnaaa, careOf, home, home, homeAgent)
	default:
		header, err = mh.Append(nil, a.message(), home, homeAgent)
	}
	if err != nil {
		s.Fatal(err)
	}
	return s.carry(ipv6.Packet{Src: a.src, HomeAddress: a.home, Next: ipv6.Mobility, Payload: header})
}

// carry gives the octets of a packet to the home agent.
func (s *story) carry(p ipv6.Packet) []byte {
	s.Helper()
	if !p.Dst.IsValid() {
		p.Dst = homeAgent
	}
	p.HopLimit = 64
	octets, err := ipv6.Append(nil, &p)
	if err != nil {
		s.Fatal(err)
	}
	return octets
}

func (s *story) send(a announcement) []Output {
	s.Helper()
	return s.step(&Received{Octets: s.packet(a)})
}

// A reply is a packet of the home agent with a Mobility Header.
type reply struct {
	packet  ipv6.Packet
	dev     string
	to      netip.AddrPort
	message mh.Message
}

// replies gives what the last Step sent.
func (s *story) replies() []reply {
	s.Helper()
	var list []reply
	for _, o := range s.out {
		sent, ok := o.(*SendMobility)
		if !ok {
			continue
		}
		p, err := ipv6.Parse(sent.Octets)
		if err != nil {
			s.Fatal(err)
		}
		r := reply{packet: p, dev: sent.Dev, to: sent.To}
		if p.Next == ipv6.Mobility {
			if !mh.ChecksumOK(p.Payload, p.UpperSrc(), p.UpperDst()) {
				s.Fatalf("wrong checksum from %v to %v", p.Src, p.Dst)
			}
			if r.message, err = mh.Parse(p.Payload); err != nil {
				s.Fatal(err)
			}
			if err := mh.Check(r.message); err != nil {
				s.Fatal(err)
			}
		}
		list = append(list, r)
	}
	return list
}

// acknowledged gives the one Binding Acknowledgement of the last Step.
func (s *story) acknowledged() (*mh.BindingAcknowledgement, reply) {
	s.Helper()
	var found *mh.BindingAcknowledgement
	var in reply
	for _, r := range s.replies() {
		if ba, ok := r.message.(*mh.BindingAcknowledgement); ok {
			if found != nil {
				s.Fatal("two acknowledgements")
			}
			found, in = ba, r
		}
	}
	if found == nil {
		s.Fatalf("no acknowledgement in %s", s.words())
	}
	return found, in
}

// wantStatus wants one Binding Acknowledgement with a status.
func (s *story) wantStatus(status mh.Status) *mh.BindingAcknowledgement {
	s.Helper()
	ba, _ := s.acknowledged()
	if ba.Status != status {
		s.Fatalf("status %d %v, want %d %v; %s", ba.Status, ba.Status, status, status, s.words())
	}
	return ba
}

// wantSilence wants nothing to be sent, and an update-discarded for the reason.
func (s *story) wantSilence(reason string) {
	s.Helper()
	if r := s.replies(); len(r) > 0 {
		s.Fatalf("%d packets, want none: %s", len(r), s.words())
	}
	s.wantDiscarded(reason)
}

func (s *story) wantDiscarded(reason string) {
	s.Helper()
	for _, e := range s.events("update-discarded") {
		if e["reason"] == reason {
			return
		}
	}
	s.Fatalf("want it discarded for %q: %s", reason, s.words())
}

// events gives the fields of the events of that name.
func (s *story) events(name string) []map[string]any {
	var list []map[string]any
	for _, o := range s.out {
		if e, ok := o.(Event); ok && e.Name == name {
			list = append(list, e.Fields)
		}
	}
	return list
}

// outputs gives the outputs of type T of the last Step.
func outputs[T Output](s *story) []T {
	var list []T
	for _, o := range s.out {
		if t, ok := o.(T); ok {
			list = append(list, t)
		}
	}
	return list
}

// asked gives the one question of the last Step.
func (s *story) asked() *AskAAA {
	s.Helper()
	list := outputs[*AskAAA](s)
	if len(list) != 1 {
		s.Fatalf("%d questions, want 1: %s", len(list), s.words())
	}
	return list[0]
}

// session is what the AAA gives for a question.
func session(ask *AskAAA, spi uint32) *Session {
	key := keys.SessionKey(aaaKey, ask.NAI, homeAgent, [8]byte(append(ask.Timestamp, make([]byte, 8)...)))
	return &Session{Key: key[:], SPI: spi, Lifetime: time.Hour, Timestamp: true}
}

// vouch answers a question with success.
func (s *story) vouch(ask *AskAAA, spi uint32) []Output {
	return s.step(&AAAAnswered{ID: ask.ID, Peer: "aaa.example.org", Result: 2001, HomeAddress: ask.HomeAddress, Session: session(ask, spi)})
}

func (s *story) entry(home netip.Addr) *BindingEntry {
	for _, e := range s.m.Bindings(s.now) {
		if e.HomeAddress == home {
			return &e
		}
	}
	return nil
}

// wantBound wants a binding of a home address to a care-of address.
func (s *story) wantBound(home, careOf netip.Addr) {
	s.Helper()
	if e := s.entry(home); e == nil || e.State != "bound" || e.CareOf != careOf {
		s.Fatalf("binding of %v is %+v, want it bound to %v", home, e, careOf)
	}
}

// words tells the outputs of the last Step.
func (s *story) words() string {
	text := "out:"
	for _, o := range s.out {
		text += fmt.Sprintf(" %T%+v", o, o)
	}
	return text
}
