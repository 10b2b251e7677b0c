package discovery

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	dnsPort    = 53
	dnsTimeout = time.Second // of the first try; twice as long each time
	dnsTries   = 3           // of one question
	dnsSize    = 1232        // octets of an answer over UDP: RFC 9715, section 3

	maxNames   = 8 // that are looked for
	maxAliases = 8 // one after the other
	maxRecords = 8 // of a name, in a family
	maxServers = 4
)

// A lookup is names that are being looked for in the DNS.
type lookup struct {
	servers   []netip.AddrPort
	questions []*question
	targets   []target // the preferred one first
}

// A target is a name of a home agent, with what is known of it.
type target struct {
	name string // in lower case, with a dot at its end
	all  [2][]netip.Addr
}

// A question is for the records of a name.
type question struct {
	name    string // now: that of an alias
	kind    uint16
	target  int // whose addresses are asked for
	id      uint16
	tcp     bool
	tries   int
	aliases int
	asked   []netip.AddrPort
	wait    time.Duration
	at      time.Time
	told    bool // by a server that could
	done    bool
}

// resolve looks for the addresses of names.
func (s *Search) resolve(now time.Time, names ...string) {
	l := s.begin(now)
	if l == nil {
		return
	}
	for _, name := range names {
		l.add(name)
	}
	s.askAddresses(now)
}

// resolveService looks for the names that give the home agent service in a domain,
// and for their addresses: RFC 5026, section 5.1.2.
func (s *Search) resolveService(now time.Time, domain string) {
	if l := s.begin(now); l != nil {
		s.question(now, "_mip6._ipv6."+domain, dns.TypeSRV, 0)
	}
}

// begin makes a lookup; nil: there is nobody to ask, at least not yet.
func (s *Search) begin(now time.Time) *lookup {
	l := &lookup{}
	for _, a := range append(slices.Clone(s.cfg.Servers), s.at.Servers...) {
		if server := netip.AddrPortFrom(a, dnsPort); a.Is4() == s.at.Source.Is4() && a.IsValid() && !slices.Contains(l.servers, server) && len(l.servers) < maxServers {
			l.servers = append(l.servers, server)
		}
	}
	switch {
	case len(l.servers) > 0:
		s.lookup = l
		return l
	case s.at.Source.Is6() && s.at.DHCP && s.cfg.Methods[s.method] != DHCP && !s.asked:
		s.asked = true
		s.askDHCP(now)
	default:
		s.fail(now, "no DNS server is known")
	}
	return nil
}

// add adds a name of a home agent, and gives its number.
func (l *lookup) add(name string) (number int, ok bool) {
	name = strings.ToLower(dns.Fqdn(name))
	if i := slices.IndexFunc(l.targets, func(t target) bool { return t.name == name }); i >= 0 {
		return i, true
	}
	if len(l.targets) == maxNames {
		return 0, false
	}
	l.targets = append(l.targets, target{name: name})
	return len(l.targets) - 1, true
}

// askAddresses asks for what is not known of the targets yet: RFC 5555, section 2.1,
// has both families.
func (s *Search) askAddresses(now time.Time) {
	for i := range s.lookup.targets {
		for f, kind := range []uint16{dns.TypeAAAA, dns.TypeA} {
			if len(s.lookup.targets[i].all[f]) == 0 {
				s.question(now, s.lookup.targets[i].name, kind, i)
			}
		}
	}
	s.conclude(now)
}

func (s *Search) question(now time.Time, name string, kind uint16, target int) {
	q := &question{name: dns.Fqdn(name), kind: kind, target: target}
	s.lookup.questions = append(s.lookup.questions, q)
	s.begins(now, q)
}

// begins asks a question for the first time.
func (s *Search) begins(now time.Time, q *question) {
	q.id, q.tries, q.wait, q.asked = uint16(s.rand.Uint32()), 0, dnsTimeout, nil
	if !s.ask(now, q) {
		q.done = true
	}
}

// ask asks a question of the next server; false: it was asked often enough, or is
// none.
func (s *Search) ask(now time.Time, q *question) bool {
	if q.tries == dnsTries {
		return false
	}
	m := new(dns.Msg).SetQuestion(q.name, q.kind)
	m.Id = q.id
	m.SetEdns0(dnsSize, false)
	octets, err := m.Pack()
	if err != nil {
		return false
	}
	server := s.lookup.servers[q.tries%len(s.lookup.servers)]
	if q.tries > 0 {
		q.wait *= 2
	}
	q.tries++
	q.at = now.Add(q.wait)
	if !slices.Contains(q.asked, server) {
		q.asked = append(q.asked, server)
	}
	s.do(Ask{Source: s.at.Source, Server: server, TCP: q.tcp, Octets: octets})
	return true
}

// answered takes what came from a server. It counts where it answers a question as it
// was asked, of a server that was asked: RFC 5452, section 9.1.
func (s *Search) answered(now time.Time, in *Answered) {
	ignore := func(reason string) {
		s.do(Ignored{Reason: "DNS message " + reason, Source: in.Server.Addr().String()})
	}
	if s.lookup == nil {
		return // as an answer to a question that was asked twice
	}
	m := new(dns.Msg)
	if err := m.Unpack(in.Octets); err != nil {
		ignore("that cannot be read")
		return
	}
	if !m.Response || m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 {
		ignore("that is no answer")
		return
	}
	i := slices.IndexFunc(s.lookup.questions, func(q *question) bool {
		a := m.Question[0]
		return !q.done && q.id == m.Id && q.tcp == in.TCP && a.Qtype == q.kind && a.Qclass == dns.ClassINET &&
			strings.EqualFold(a.Name, q.name) && slices.Contains(q.asked, in.Server)
	})
	if i < 0 {
		if !s.knows(m.Id) {
			ignore("that answers no question")
		}
		return
	}
	q := s.lookup.questions[i]
	switch {
	case m.Truncated && !in.TCP: // RFC 7766, section 5
		q.tcp = true
		if s.ask(now, q) {
			return
		}
	case m.Rcode == dns.RcodeSuccess:
		q.told = true
		if s.take(now, q, m) {
			return
		}
	case m.Rcode == dns.RcodeNameError:
		q.told = true
	case s.ask(now, q): // this server cannot, another may
		return
	}
	s.ended(now, q)
}

// knows says whether a question has that identifier, be it answered.
func (s *Search) knows(id uint16) bool {
	return slices.ContainsFunc(s.lookup.questions, func(q *question) bool { return q.id == id })
}

// take takes the records of an answer. It says whether the question goes on, under
// another name.
func (s *Search) take(now time.Time, q *question, m *dns.Msg) (goes bool) {
	name := q.name
	for _, r := range m.Answer { // a chain of aliases stands in its order
		if c, ok := r.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, name) && q.aliases < maxAliases {
			name = c.Target
			q.aliases++
		}
	}
	if q.kind == dns.TypeSRV {
		s.takeService(m, name)
		return false
	}
	if s.lookup.takeAddresses(m.Answer, name, q.target, q.kind); len(s.lookup.targets[q.target].all[familyOf(q.kind)]) > 0 {
		return false
	}
	if name == q.name || q.aliases == maxAliases {
		return false
	}
	q.name = name
	s.begins(now, q)
	return !q.done
}

func familyOf(kind uint16) int {
	if kind == dns.TypeA {
		return 1
	}
	return 0
}

// takeAddresses takes the addresses of one family that records have for a name.
func (l *lookup) takeAddresses(records []dns.RR, name string, number int, kind uint16) {
	all := &l.targets[number].all[familyOf(kind)]
	for _, r := range records {
		if r.Header().Rrtype != kind || !strings.EqualFold(r.Header().Name, name) || len(*all) == maxRecords {
			continue
		}
		var a netip.Addr
		switch r := r.(type) {
		case *dns.AAAA:
			a, _ = netip.AddrFromSlice(r.AAAA)
		case *dns.A:
			a, _ = netip.AddrFromSlice(r.A.To4())
		}
		if a.IsValid() {
			*all = append(*all, a)
		}
	}
}

// takeService takes the names that give a service, in the order in which RFC 2782
// has them tried, and the addresses that came along.
func (s *Search) takeService(m *dns.Msg, name string) {
	var all []*dns.SRV
	for _, r := range m.Answer {
		if r, ok := r.(*dns.SRV); ok && strings.EqualFold(r.Hdr.Name, name) && r.Target != "." && len(all) < maxNames {
			all = append(all, r)
		}
	}
	for _, r := range s.inOrder(all) {
		number, ok := s.lookup.add(r.Target)
		if !ok {
			return
		}
		for _, kind := range []uint16{dns.TypeAAAA, dns.TypeA} {
			if len(s.lookup.targets[number].all[familyOf(kind)]) == 0 {
				s.lookup.takeAddresses(m.Extra, r.Target, number, kind)
			}
		}
	}
}

// inOrder orders by priority, and among equals at random by weight: RFC 2782.
func (s *Search) inOrder(all []*dns.SRV) (out []*dns.SRV) {
	left := slices.Clone(all)
	slices.SortStableFunc(left, func(a, b *dns.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Weight, b.Weight)) // those of weight 0 first
	})
	for len(left) > 0 {
		sum, n := 0, 0
		for n < len(left) && left[n].Priority == left[0].Priority {
			sum += int(left[n].Weight)
			n++
		}
		at, i := s.rand.IntN(sum+1), 0
		for running := int(left[0].Weight); running < at; running += int(left[i].Weight) {
			i++
		}
		out = append(out, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return out
}

// ended ends a question, and what follows from it.
func (s *Search) ended(now time.Time, q *question) {
	q.done, q.at = true, time.Time{}
	if q.kind == dns.TypeSRV {
		s.askAddresses(now)
		return
	}
	s.conclude(now)
}

// conclude ends the lookup when all questions have ended.
func (s *Search) conclude(now time.Time) {
	l := s.lookup
	if slices.ContainsFunc(l.questions, func(q *question) bool { return !q.done }) {
		return
	}
	var agents []Agent
	silent := true
	for _, t := range l.targets {
		agents = append(agents, pair(append(slices.Clone(t.all[0]), t.all[1]...))...)
	}
	for _, q := range l.questions {
		silent = silent && !q.told
	}
	if len(agents) == 0 && silent {
		s.fail(now, "no DNS server answers")
		return
	}
	s.find(now, agents)
}

func (s *Search) tickLookup(now time.Time) {
	l := s.lookup
	for _, q := range l.questions {
		if s.lookup != l { // it has ended
			return
		}
		if q.done || !due(q.at, now) {
			continue
		}
		if q.tcp = false; !s.ask(now, q) {
			s.ended(now, q)
		}
	}
}

func (l *lookup) deadline() (at time.Time) {
	for _, q := range l.questions {
		if !q.done {
			at = earliest(at, q.at)
		}
	}
	return at
}
