package discovery

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"s2clab/nodes/session/dhcp6"
	"s2clab/nodes/wire/icmp6"
)

var (
	start   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	careOf  = netip.MustParseAddr("2001:db8:200::2")
	careOf4 = netip.MustParseAddr("192.0.2.100")
	prefix  = netip.MustParsePrefix("2001:db8:100::/64")
	first   = netip.MustParseAddr("2001:db8:100::1")
	second  = netip.MustParseAddr("2001:db8:100::2")
	first4  = netip.MustParseAddr("198.51.100.1")
	second4 = netip.MustParseAddr("198.51.100.2")
	names   = netip.MustParseAddr("2001:db8:3::53")
	names2  = netip.MustParseAddr("2001:db8:3::54")
	names4  = netip.MustParseAddr("203.0.113.53")
)

const fqdn = "internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org"

// A story plays a search against times and those who answer.
type story struct {
	t    testing.TB
	s    *Search
	now  time.Time
	told []string // what came out, in words, with its time
	asks []Ask
	ids  []uint16 // of the requests
	all  []Output
}

func begin(t testing.TB, methods ...Method) *story {
	t.Helper()
	s, err := New(Config{Methods: methods, Agents: []Agent{{first, first4}}, Prefix: prefix, Name: fqdn, Domain: "lab.test", Network: "home.test"}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	return &story{t: t, s: s, now: start}
}

func (s *story) take(out []Output) {
	for _, o := range out {
		s.all = append(s.all, o)
		at := s.now.Sub(start)
		switch o := o.(type) {
		case Ask:
			s.asks = append(s.asks, o)
			q := new(dns.Msg)
			if err := q.Unpack(o.Octets); err != nil {
				s.t.Fatal(err)
			}
			way := ""
			if o.TCP {
				way = " tcp"
			}
			s.told = append(s.told, fmt.Sprintf("%v ask %v %s %s%s", at, o.Server.Addr(), strings.TrimSuffix(q.Question[0].Name, "."), dns.TypeToString[q.Question[0].Qtype], way))
		case Solicit:
			s.ids = append(s.ids, o.Request.Identifier)
			s.told = append(s.told, fmt.Sprintf("%v solicit %v", at, o.To))
		case Found:
			s.told = append(s.told, fmt.Sprintf("%v found %v", at, o.Agents))
		case Failed:
			s.told = append(s.told, fmt.Sprintf("%v failed %s: %s", at, o.Method, o.Reason))
		case Begun:
		default:
			s.told = append(s.told, fmt.Sprintf("%v %T", at, o))
		}
	}
}

func (s *story) step(in Input) { s.take(s.s.Step(s.now, in)) }

// until lets time pass, with every Tick at its Deadline.
func (s *story) until(d time.Duration) {
	s.t.Helper()
	for n := 0; ; n++ {
		next := s.s.Deadline()
		if next.IsZero() || next.After(start.Add(d)) {
			break
		}
		if next.After(s.now) {
			s.now, n = next, 0
		}
		if n > 20 {
			s.t.Fatalf("deadline stays at %v", next.Sub(start))
		}
		s.take(s.s.Tick(s.now))
	}
	s.now = start.Add(d)
}

// want compares what came out since the last time.
func (s *story) want(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.told, want) {
		s.t.Errorf("got:\n\t%s\nwant:\n\t%s", strings.Join(s.told, "\n\t"), strings.Join(want, "\n\t"))
	}
	s.told = nil
}

func (s *story) start(servers ...netip.Addr) {
	s.step(Started{Source: careOf, Servers: servers})
}

// records are RRs in the words of RFC 1035.
func records(t testing.TB, all ...string) (out []dns.RR) {
	t.Helper()
	for _, text := range all {
		r, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// answer answers the question that was asked for a name and a type last; changes may
// spoil it.
func (s *story) answer(name, kind string, all []string, change ...func(*dns.Msg, *Answered)) {
	s.t.Helper()
	for i := len(s.asks) - 1; i >= 0; i-- {
		q := new(dns.Msg)
		q.Unpack(s.asks[i].Octets)
		if q.Question[0].Name != name+"." || dns.TypeToString[q.Question[0].Qtype] != kind {
			continue
		}
		m := new(dns.Msg).SetReply(q)
		m.Answer = records(s.t, all...)
		in := Answered{Server: s.asks[i].Server, TCP: s.asks[i].TCP}
		for _, f := range change {
			f(m, &in)
		}
		if in.Octets == nil {
			var err error
			if in.Octets, err = m.Pack(); err != nil {
				s.t.Fatal(err)
			}
		}
		s.step(in)
		return
	}
	s.t.Fatalf("nobody has asked for %s %s", name, kind)
}

func (s *story) reply(change func(*Replied), all ...netip.Addr) {
	in := Replied{From: first, To: careOf, Reply: &icmp6.HomeAgentReply{Identifier: s.ids[len(s.ids)-1], Addresses: all}}
	if change != nil {
		change(&in)
	}
	s.step(in)
}

func TestTheAnycastAddressIsThatOfRFC2526(t *testing.T) { // section 2: EUI-64 identifiers
	if a, want := HomeAgentsAnycast(netip.MustParsePrefix("2001:db8:100::7/64")), netip.MustParseAddr("2001:db8:100:0:fdff:ffff:ffff:fffe"); a != want {
		t.Errorf("%v, want %v", a, want)
	}
}

func TestDHAADIsRepeatedFourTimesAndTwiceAsLateEachTime(t *testing.T) { // RFC 6275, sections 11.4.1 and 12
	s := begin(t, DHAAD)
	s.start()
	s.until(100 * time.Second)
	to := "2001:db8:100:0:fdff:ffff:ffff:fffe"
	s.want("0s solicit "+to, "3s solicit "+to, "9s solicit "+to, "21s solicit "+to, "45s solicit "+to, "1m33s failed dhaad: no reply")
	if slices.ContainsFunc(s.ids, func(id uint16) bool { return id != s.ids[0] }) {
		t.Errorf("identifiers %v: want the same message each time", s.ids)
	}
	s.until(123 * time.Second)
	if !s.s.Active() || len(s.told) != 1 {
		t.Errorf("after %v: %q, want another round", DefaultRetry, s.told)
	}
}

func TestAReplyGivesHomeAgentsInItsOrder(t *testing.T) {
	s := begin(t, DHAAD)
	s.start()
	s.told = nil
	s.until(4 * time.Second)
	s.told = nil
	s.reply(nil, second, first, second, netip.MustParseAddr("ff02::1"), netip.MustParseAddr("fe80::1"), netip.IPv6Unspecified())
	s.want(fmt.Sprintf("4s found [{%v invalid IP} {%v invalid IP}]", second, first))
	s.until(time.Hour)
	s.want()
}

func TestRepliesThatAreNotOursAreIgnored(t *testing.T) {
	for name, spoil := range map[string]func(*Replied){
		"to another request":   func(in *Replied) { in.Reply.Identifier++ },
		"to another address":   func(in *Replied) { in.To = first },
		"without a home agent": func(in *Replied) { in.Reply.Addresses = nil },
	} {
		s := begin(t, DHAAD)
		s.start()
		s.told = nil
		s.reply(spoil, first)
		if s.want("0s discovery.Ignored"); s.s.found {
			t.Error(name)
		}
	}
	s := begin(t, DHAAD)
	s.step(Replied{From: first, To: careOf, Reply: &icmp6.HomeAgentReply{Addresses: []netip.Addr{first}}})
	s.want("0s discovery.Ignored")
}

func TestAReplyWithTooManyHomeAgentsIsCut(t *testing.T) {
	s := begin(t, DHAAD)
	s.start()
	var all []netip.Addr
	for a := first; len(all) < 80; a = a.Next() {
		all = append(all, a)
	}
	s.reply(nil, all...)
	if f := s.all[len(s.all)-1].(Found); len(f.Agents) != maxAgents {
		t.Errorf("%d home agents", len(f.Agents))
	}
}

func TestANameIsAskedForInBothFamilies(t *testing.T) { // RFC 5555, section 2.1
	s := begin(t, DNSName)
	s.start(names)
	s.want("0s ask 2001:db8:3::53 "+fqdn+" AAAA", "0s ask 2001:db8:3::53 "+fqdn+" A")
	s.answer(fqdn, "A", []string{fqdn + ". 10 IN A 198.51.100.1"})
	s.want()
	s.answer(fqdn, "AAAA", []string{fqdn + ". 10 IN AAAA 2001:db8:100::1"})
	s.want(fmt.Sprintf("0s found [{%v %v}]", first, first4))
}

func TestOverIPv4AHomeAgentNeedsBothAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		six, four []string
		want      string
	}{
		"both": {[]string{fqdn + ". 10 IN AAAA 2001:db8:100::1"}, []string{fqdn + ". 10 IN A 198.51.100.1"}, fmt.Sprintf("0s found [{%v %v}]", first, first4)},
		"IPv6": {[]string{fqdn + ". 10 IN AAAA 2001:db8:100::1"}, nil, "0s failed dns: none with an IPv6 address has an IPv4 one too"},
		"IPv4": {nil, []string{fqdn + ". 10 IN A 198.51.100.1"}, "0s failed dns: none with an IPv6 address has an IPv4 one too"},
		"none": {nil, nil, "0s failed dns: there is none"},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, DNSName)
			s.step(Started{Source: careOf4, Servers: []netip.Addr{names, names4}})
			if s.asks[0].Server.Addr() != names4 || s.asks[0].Source != careOf4 {
				t.Errorf("asked %v from %v", s.asks[0].Server, s.asks[0].Source)
			}
			s.told = nil
			s.answer(fqdn, "AAAA", c.six)
			s.answer(fqdn, "A", c.four)
			s.want(c.want)
		})
	}
}

func TestSilentNameServersAreAskedInTurnThreeTimes(t *testing.T) {
	s := begin(t, DNSName)
	s.start(names, names2)
	s.until(10 * time.Second)
	ask := func(at, server string) []string {
		return []string{at + " ask " + server + " " + fqdn + " AAAA", at + " ask " + server + " " + fqdn + " A"}
	}
	s.want(slices.Concat(ask("0s", "2001:db8:3::53"), ask("1s", "2001:db8:3::54"), ask("3s", "2001:db8:3::53"), []string{"7s failed dns: no DNS server answers"})...)
}

func TestAServerThatCannotAnswerIsNotTheLast(t *testing.T) {
	refuses := func(m *dns.Msg, _ *Answered) { m.Rcode = dns.RcodeServerFailure }
	s := begin(t, DNSName)
	s.start(names, names2)
	s.told = nil
	s.answer(fqdn, "AAAA", nil, refuses)
	s.want("0s ask 2001:db8:3::54 " + fqdn + " AAAA")
	s.answer(fqdn, "AAAA", nil, func(m *dns.Msg, _ *Answered) { m.Rcode = dns.RcodeNameError })
	s.answer(fqdn, "A", nil)
	s.want("0s failed dns: there is none")
}

func TestWithoutAServerThereIsNoName(t *testing.T) {
	s := begin(t, DNSName, DNSService)
	s.start()
	s.want("0s failed dns: no DNS server is known", "0s failed dns-srv: no DNS server is known")
}

func TestServersComeByDHCPWhereNoRouterTellsThem(t *testing.T) {
	s := begin(t, DNSName, DHCP)
	s.step(Started{Source: careOf, DHCP: true})
	s.want("0s discovery.Inform")
	s.step(Informed{dhcp6.Configuration{DNS: []netip.Addr{names}}})
	s.want("0s ask 2001:db8:3::53 "+fqdn+" AAAA", "0s ask 2001:db8:3::53 "+fqdn+" A")
	s = begin(t, DNSName)
	s.step(Started{Source: careOf, DHCP: true})
	s.step(Informed{})
	s.want("0s discovery.Inform", "0s failed dns: no DNS server is known")
	s.until(29 * time.Second)
	s.step(Informed{dhcp6.Configuration{DNS: []netip.Addr{names}}}) // too late
	s.want()
}

func TestServicesAreTriedByPriorityThenByWeight(t *testing.T) { // RFC 2782
	service := "_mip6._ipv6.lab.test"
	all := []string{service + ". 10 IN SRV 1 0 0 spare.lab.test.", service + ". 10 IN SRV 0 0 0 rare.lab.test.",
		service + ". 10 IN SRV 0 1 0 light.lab.test.", service + ". 10 IN SRV 0 99 0 heavy.lab.test."}
	firsts := map[string]int{}
	for seed := range uint64(400) {
		s := begin(t, DNSService)
		s.s.rand = rand.New(rand.NewPCG(seed, 1))
		s.start(names)
		s.answer(service, "SRV", all)
		targets := s.s.lookup.targets
		if len(targets) != 4 || targets[3].name != "spare.lab.test." {
			t.Fatalf("order %v", targets)
		}
		firsts[targets[0].name]++
	}
	if firsts["heavy.lab.test."] < 380 || firsts["light.lab.test."]+firsts["rare.lab.test."] == 0 {
		t.Errorf("first of 400: %v", firsts)
	}
}

func TestAddressesThatComeWithAServiceAreNotAskedFor(t *testing.T) { // RFC 5026, section 5.1.2
	service := "_mip6._ipv6.lab.test"
	s := begin(t, DNSService)
	s.start(names)
	s.want("0s ask 2001:db8:3::53 " + service + " SRV")
	s.answer(service, "SRV", []string{service + ". 10 IN SRV 0 0 0 a.lab.test.", service + ". 10 IN SRV 1 0 0 b.lab.test."}, func(m *dns.Msg, _ *Answered) {
		m.Extra = records(t, "A.lab.test. 10 IN AAAA 2001:db8:100::1", "a.lab.test. 10 IN A 198.51.100.1", "other.lab.test. 10 IN AAAA 2001:db8:666::1", "b.lab.test. 10 IN AAAA 2001:db8:100::2")
	})
	s.want("0s ask 2001:db8:3::53 b.lab.test A")
	s.answer("b.lab.test", "A", []string{"b.lab.test. 10 IN A 198.51.100.2"})
	s.want(fmt.Sprintf("0s found [{%v %v} {%v %v}]", first, first4, second, second4))
}

func TestAServiceThatIsNotGivenIsNone(t *testing.T) {
	service := "_mip6._ipv6.lab.test"
	s := begin(t, DNSService)
	s.start(names)
	s.told = nil
	s.answer(service, "SRV", []string{service + ". 10 IN SRV 0 0 0 ."}) // RFC 2782
	s.want("0s failed dns-srv: there is none")
}

func TestAliasesAreFollowed(t *testing.T) {
	s := begin(t, DNSName)
	s.start(names)
	s.told = nil
	s.answer(fqdn, "AAAA", []string{fqdn + ". 10 IN CNAME a.lab.test.", "a.lab.test. 10 IN CNAME b.lab.test.", "b.lab.test. 10 IN AAAA 2001:db8:100::1"})
	s.answer(fqdn, "A", []string{fqdn + ". 10 IN CNAME a.lab.test."})
	s.want("0s ask 2001:db8:3::53 a.lab.test A")
	s.answer("a.lab.test", "A", []string{"a.lab.test. 10 IN A 198.51.100.1"})
	s.want(fmt.Sprintf("0s found [{%v %v}]", first, first4))
}

func TestALoopOfAliasesEnds(t *testing.T) {
	s := begin(t, DNSName)
	s.start(names)
	s.answer(fqdn, "A", nil)
	s.answer(fqdn, "AAAA", []string{fqdn + ". 10 IN CNAME a.lab.test.", "a.lab.test. 10 IN CNAME " + fqdn + ".", fqdn + ". 10 IN CNAME " + fqdn + "."})
	for n := 0; s.s.lookup != nil; n++ {
		if n > 2*maxAliases {
			t.Fatal("goes on")
		}
		q := new(dns.Msg)
		q.Unpack(s.asks[len(s.asks)-1].Octets)
		name := strings.TrimSuffix(q.Question[0].Name, ".")
		s.answer(name, "AAAA", []string{name + ". 10 IN CNAME x" + name + "."})
	}
	if last := s.told[len(s.told)-1]; last != "0s failed dns: there is none" {
		t.Error(last)
	}
}

func TestATruncatedAnswerIsAskedForByTCP(t *testing.T) { // RFC 7766, section 5
	s := begin(t, DNSName)
	s.start(names)
	s.answer(fqdn, "A", nil)
	s.told = nil
	s.answer(fqdn, "AAAA", nil, func(m *dns.Msg, _ *Answered) { m.Truncated = true })
	s.want("0s ask 2001:db8:3::53 " + fqdn + " AAAA tcp")
	s.answer(fqdn, "AAAA", []string{fqdn + ". 10 IN AAAA 2001:db8:100::1"})
	s.want(fmt.Sprintf("0s found [{%v invalid IP}]", first))
}

func TestWhatIsNoAnswerToOurQuestionChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*dns.Msg, *Answered)
		tells bool
	}{
		"another identifier": {func(m *dns.Msg, _ *Answered) { m.Id ^= 0x5555 }, true},
		"another server":     {func(_ *dns.Msg, in *Answered) { in.Server = netip.AddrPortFrom(names2, 53) }, false},
		"another port":       {func(_ *dns.Msg, in *Answered) { in.Server = netip.AddrPortFrom(names, 5353) }, false},
		"another name":       {func(m *dns.Msg, _ *Answered) { m.Question[0].Name = "evil.test." }, false},
		"another type":       {func(m *dns.Msg, _ *Answered) { m.Question[0].Qtype = dns.TypeSRV }, false},
		"a question":         {func(m *dns.Msg, _ *Answered) { m.Response = false }, true},
		"an update":          {func(m *dns.Msg, _ *Answered) { m.Opcode = dns.OpcodeUpdate }, true},
		"two questions":      {func(m *dns.Msg, _ *Answered) { m.Question = append(m.Question, m.Question[0]) }, true},
		"by TCP":             {func(_ *dns.Msg, in *Answered) { in.TCP = true }, false},
		"nothing":            {func(_ *dns.Msg, in *Answered) { in.Octets = []byte{} }, true},
		"half a name": {func(_ *dns.Msg, in *Answered) {
			in.Octets = []byte("\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00\x3f")
		}, true},
		"a name that is a loop": {func(_ *dns.Msg, in *Answered) {
			in.Octets = []byte("\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x1c\x00\x01")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, DNSName)
			s.start(names)
			s.told = nil
			s.answer(fqdn, "AAAA", []string{fqdn + ". 10 IN AAAA 2001:db8:666::1"}, c.spoil)
			if c.tells {
				s.want("0s discovery.Ignored")
			} else {
				s.want()
			}
			s.answer(fqdn, "A", nil)
			s.answer(fqdn, "AAAA", []string{fqdn + ". 10 IN AAAA 2001:db8:100::1"})
			s.want(fmt.Sprintf("0s found [{%v invalid IP}]", first))
			s.answer(fqdn, "AAAA", []string{fqdn + ". 10 IN AAAA 2001:db8:666::1"}) // again
			s.want()
		})
	}
}

func TestRecordsOfOtherNamesAreNotTaken(t *testing.T) {
	s := begin(t, DNSName)
	s.start(names)
	s.answer(fqdn, "A", nil)
	s.told = nil
	s.answer(fqdn, "AAAA", []string{"evil.test. 10 IN AAAA 2001:db8:666::1", fqdn + ". 10 IN A 192.0.2.66", "other.test. 10 IN CNAME evil.test."})
	s.want("0s failed dns: there is none")
}

func TestDHCPTellsOfTheHomeNetworkAskedFor(t *testing.T) { // RFC 6611, section 3.1
	s := begin(t, DHCP)
	s.step(Started{Source: careOf, DHCP: true})
	s.want("0s discovery.Inform")
	s.step(Informed{dhcp6.Configuration{Home: []dhcp6.HomeNetwork{
		{Identifier: "other.test", Agents: []netip.Addr{second}},
		{Identifier: "HOME.test", Agents: []netip.Addr{first4, first}},
	}}})
	s.want(fmt.Sprintf("0s found [{%v %v}]", first, first4))
}

func TestDHCPThatTellsANameLeavesItsAddressesToTheDNS(t *testing.T) {
	s := begin(t, DHCP)
	s.step(Started{Source: careOf, DHCP: true})
	s.told = nil
	s.step(Informed{dhcp6.Configuration{DNS: []netip.Addr{names}, Home: []dhcp6.HomeNetwork{{Identifier: "home.test", Names: []string{"a.lab.test"}}}}})
	s.want("0s ask 2001:db8:3::53 a.lab.test AAAA", "0s ask 2001:db8:3::53 a.lab.test A")
	s.answer("a.lab.test", "A", nil)
	s.answer("a.lab.test", "AAAA", []string{"a.lab.test. 10 IN AAAA 2001:db8:100::1"})
	s.want(fmt.Sprintf("0s found [{%v invalid IP}]", first))
}

func TestWhatTheAccessCannotDoIsPassedBy(t *testing.T) {
	s := begin(t, DHCP, DHAAD, DNSName, Static)
	s.step(Started{Source: careOf4})
	s.want("0s failed dhcp: it does not go by IPv4", "0s failed dhaad: it does not go by IPv4", "0s failed dns: no DNS server is known", fmt.Sprintf("0s found [{%v %v}]", first, first4))
	s = begin(t, DHCP)
	s.start()
	s.want("0s failed dhcp: no router says that there is DHCP")
	s = begin(t, DHAAD)
	s.s.cfg.Prefix = netip.Prefix{}
	s.start()
	s.want("0s failed dhaad: the home prefix is not known")
}

func TestSilentDHCPServersAreGivenUp(t *testing.T) {
	s := begin(t, DHCP, Static)
	s.step(Started{Source: careOf, DHCP: true})
	s.until(10 * time.Second)
	s.want("0s discovery.Inform", "7s discovery.Forget", "7s failed dhcp: no DHCP server tells of any", fmt.Sprintf("7s found [{%v %v}]", first, first4))
}

func TestAfterTheLastMethodAllAreTriedAgain(t *testing.T) { // RFC 5026, section 5.1.2
	s := begin(t, Static, DHCP)
	s.start()
	s.want(fmt.Sprintf("0s found [{%v %v}]", first, first4))
	s.step(Rejected{})
	s.want("0s failed static: no home agent takes this node", "0s failed dhcp: no router says that there is DHCP")
	s.step(Rejected{}) // of nothing
	s.until(30 * time.Second)
	s.want(fmt.Sprintf("30s found [{%v %v}]", first, first4))
	s.step(Stopped{})
	s.step(Rejected{})
	s.until(time.Hour)
	s.want()
	if s.s.Active() {
		t.Error("still active")
	}
}

func TestASearchThatIsStoppedOrStartedAnewForgets(t *testing.T) {
	s := begin(t, DNSName)
	s.start(names)
	s.step(Stopped{})
	s.told = nil
	s.answer(fqdn, "AAAA", []string{fqdn + ". 10 IN AAAA 2001:db8:666::1"})
	s.until(time.Minute)
	s.want()
	s = begin(t, DHCP)
	s.step(Started{Source: careOf, DHCP: true})
	s.step(Started{Source: careOf4})
	s.want("0s discovery.Inform", "0s discovery.Forget", "0s failed dhcp: it does not go by IPv4")
}

func TestAMethodHasAName(t *testing.T) {
	for _, methods := range [][]Method{nil, {"carrier-pigeon"}} {
		if _, err := New(Config{Methods: methods}, nil); err == nil {
			t.Errorf("%q is taken", methods)
		}
	}
}

// No octets make a search panic, and what it finds is of use.
func FuzzAnswered(f *testing.F) {
	s := begin(f, DNSService)
	s.start(names)
	q := new(dns.Msg)
	q.Unpack(s.asks[0].Octets)
	for _, all := range [][]string{
		{"_mip6._ipv6.lab.test. 10 IN SRV 0 0 0 a.lab.test."},
		{"_mip6._ipv6.lab.test. 10 IN CNAME a.lab.test.", "a.lab.test. 10 IN SRV 0 0 0 b.lab.test."},
		nil,
	} {
		m := new(dns.Msg).SetReply(q)
		m.Answer = records(f, all...)
		m.Extra = records(f, "a.lab.test. 10 IN AAAA 2001:db8:100::1", "a.lab.test. 10 IN A 198.51.100.1")
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte{})
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		s := begin(t, DNSService, DNSName, Static)
		s.start(names)
		for _, b := range [][]byte{one, two} {
			for _, id := range s.identifiers() { // as if it had been guessed
				b = slices.Clone(b)
				if len(b) > 2 {
					b[0], b[1] = byte(id>>8), byte(id)
				}
				s.step(Answered{Server: netip.AddrPortFrom(names, 53), Octets: b})
			}
		}
		s.until(5 * time.Minute)
		for _, o := range s.all {
			if f, ok := o.(Found); ok {
				for _, a := range f.Agents {
					if !reachable(a.Address) || !a.Address.Is6() {
						t.Errorf("found %v", a)
					}
				}
			}
		}
	})
}

func (s *story) identifiers() (all []uint16) {
	if s.s.lookup == nil {
		return nil
	}
	for _, q := range s.s.lookup.questions {
		all = append(all, q.id)
	}
	return all
}
