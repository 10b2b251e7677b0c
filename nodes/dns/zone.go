// Package dns is role dns: an authoritative server for the names of a lab: nodes,
// and home agents as RFC 5026, section 5.1, and 3GPP TS 23.003 name them.
//
// It answers from what its configuration holds (RFC 1035), asks nobody else, and
// takes no changes. Messages are read and written by github.com/miekg/dns.
package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"s2clab/nodes/control"
)

const (
	ttl      = 10   // seconds: names of a lab may change when it is brought up again
	homePort = 0    // of a service that has none: Mobile IPv6 is no UDP or TCP service
	udpLeast = 512  // octets: RFC 1035, section 4.2.1
	udpMost  = 1232 // octets, whatever a client says: no fragments
)

// A zone is the names that a server knows.
type zone struct {
	records map[string][]dns.RR // by name, in lower case with a dot at its end
	known   map[string]bool     // names that are or lie above one that is
	apexes  []string            // domains that it is responsible for, the longest first
	server  string              // its own name
}

// newZone makes a zone of the records of a configuration.
func newZone(node string, cfg *control.DNS) (*zone, error) {
	z := &zone{records: map[string][]dns.RR{}, known: map[string]bool{}, server: dns.Fqdn(node + "." + cfg.Domain)}
	z.apexes = append(z.apexes, dns.Fqdn(strings.ToLower(cfg.Domain)))
	for _, r := range cfg.Records {
		name := dns.Fqdn(strings.ToLower(r.Name))
		if _, ok := dns.IsDomainName(name); !ok {
			return nil, fmt.Errorf("dns: %q is no domain name", r.Name)
		}
		if !dns.IsSubDomain(z.apexes[0], name) {
			z.apexes = append(z.apexes, apexOf(name))
		}
		header := func(kind uint16) dns.RR_Header {
			return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
		}
		for _, a := range r.Addresses {
			if a.Is4() {
				z.records[name] = append(z.records[name], &dns.A{Hdr: header(dns.TypeA), A: a.AsSlice()})
			} else {
				z.records[name] = append(z.records[name], &dns.AAAA{Hdr: header(dns.TypeAAAA), AAAA: a.AsSlice()})
			}
		}
		for i, target := range r.Targets {
			z.records[name] = append(z.records[name], &dns.SRV{Hdr: header(dns.TypeSRV), Priority: uint16(i), Port: homePort, Target: dns.Fqdn(target)})
		}
	}
	slices.SortFunc(z.apexes, func(a, b string) int { return len(b) - len(a) })
	z.apexes = slices.Compact(z.apexes)
	for name := range z.records {
		apex := z.apex(name)
		for at := name; dns.IsSubDomain(apex, at); {
			z.known[at] = true
			i, end := dns.NextLabel(at, 0)
			if end || at == apex {
				break
			}
			at = at[i:]
		}
	}
	for _, apex := range z.apexes {
		z.known[apex] = true
	}
	return z, nil
}

// apexOf is the domain of a name outside of the server's own one: the last three
// labels of a public name of 3GPP, else all but the first.
func apexOf(name string) string {
	labels := dns.SplitDomainName(name)
	if strings.HasSuffix(name, ".3gppnetwork.org.") && len(labels) > 5 {
		return dns.Fqdn(strings.Join(labels[len(labels)-5:], "."))
	}
	return dns.Fqdn(strings.Join(labels[1:], "."))
}

// apex is the domain that a name is in; empty: none of the server's.
func (z *zone) apex(name string) string {
	for _, a := range z.apexes {
		if dns.IsSubDomain(a, name) {
			return a
		}
	}
	return ""
}

// answer answers a query that came over UDP or TCP. Nil: it is none.
func (z *zone) answer(q *dns.Msg, udp bool) *dns.Msg {
	if q.Response {
		return nil
	}
	m := new(dns.Msg)
	m.SetReply(q)
	m.Compress = true
	size := udpLeast
	if opt := q.IsEdns0(); opt != nil {
		size = int(min(max(opt.UDPSize(), udpLeast), udpMost))
		m.SetEdns0(udpMost, false)
		if opt.Version() != 0 {
			m.Rcode = dns.RcodeBadVers // RFC 6891, section 6.1.3
			return m
		}
	}
	switch {
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
	case len(q.Question) != 1:
		m.Rcode = dns.RcodeFormatError
	case q.Question[0].Qclass != dns.ClassINET && q.Question[0].Qclass != dns.ClassANY:
		m.Rcode = dns.RcodeRefused
	default:
		z.look(q.Question[0], m)
	}
	if udp {
		m.Truncate(size)
	}
	return m
}

// look answers one question: RFC 1034, section 4.3.2.
func (z *zone) look(q dns.Question, m *dns.Msg) {
	name := strings.ToLower(q.Name)
	apex := z.apex(name)
	if apex == "" || q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR {
		m.Rcode = dns.RcodeRefused
		return
	}
	m.Authoritative = true
	for _, r := range z.records[name] {
		if r.Header().Rrtype == q.Qtype || q.Qtype == dns.TypeANY {
			r = dns.Copy(r)
			r.Header().Name = q.Name // as it was asked, in its letters
			m.Answer = append(m.Answer, r)
			if s, ok := r.(*dns.SRV); ok {
				m.Extra = append(m.Extra, z.records[strings.ToLower(s.Target)]...) // RFC 2782: saves a question
			}
		}
	}
	soa := &dns.SOA{
		Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  z.server, Mbox: "hostmaster." + apex, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: ttl,
	}
	ns := &dns.NS{Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: ttl}, Ns: z.server}
	switch {
	case name == apex && q.Qtype == dns.TypeSOA:
		m.Answer = append(m.Answer, soa)
	case name == apex && q.Qtype == dns.TypeNS:
		m.Answer = append(m.Answer, ns)
	case len(m.Answer) > 0:
	default:
		if !z.known[name] {
			m.Rcode = dns.RcodeNameError
		}
		m.Ns = append(m.Ns, soa) // RFC 2308, section 3
	}
	// EDNS stands last.
	if i := slices.IndexFunc(m.Extra, func(r dns.RR) bool { return r.Header().Rrtype == dns.TypeOPT }); i >= 0 {
		opt := m.Extra[i]
		m.Extra = append(slices.Delete(m.Extra, i, i+1), opt)
	}
}

// listens says where the server can be asked.
func listens(cfg *control.Config) (all []netip.Addr) {
	for _, in := range cfg.Interfaces {
		for _, p := range in.Addresses {
			all = append(all, p.Addr())
		}
	}
	return all
}
