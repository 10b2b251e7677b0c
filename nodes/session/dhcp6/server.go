package dhcp6

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"s2clab/nodes/session/leases"
)

// A ServerConfig is what a server has to give.
type ServerConfig struct {
	DUID        dhcpv6.DUID // who it is
	Prefix      netip.Prefix
	First, Last netip.Addr // the pool, both ends included; invalid: configuration only
	DNS         []netip.Addr
	Domain      string        // empty: none
	Lease       time.Duration // valid lifetime, whole seconds; addresses are preferred for 3/4 of it
	Home        *HomeNetwork  // nil: it tells of none
}

const maxIAs = 4 // of one message

// A ServerInput is a Received.
type ServerInput interface{ serverInput() }

func (Received) serverInput() {}

// A ServerOutput is a Send or an Event.
type ServerOutput interface{ serverOutput() }

func (Send) serverOutput()  {}
func (Event) serverOutput() {}

// A Server gives addresses of one link and configuration: RFC 8415, section 18.3.
// Its owner calls Step for each input, and Tick at the time Deadline gives.
//
// It promises nothing by an advertisement: what it keeps is bounded by its pool,
// however many ask.
type Server struct {
	cfg  ServerConfig
	book *leases.Book // of clients by key
}

// NewServer makes a Server with nothing given.
func NewServer(cfg ServerConfig) (*Server, error) {
	s := &Server{cfg: cfg, book: leases.NewBook(cfg.First, cfg.Last, netip.Addr{})}
	if !sound(cfg.DUID) {
		return nil, fmt.Errorf("dhcp6: identifier %v: want one of 3 to %d octets", cfg.DUID, mostDUID)
	}
	if !cfg.First.IsValid() {
		return s, nil
	}
	switch {
	case !cfg.Prefix.IsValid() || !cfg.Prefix.Addr().Is6() || cfg.Prefix.Bits() < 64:
		return nil, fmt.Errorf("dhcp6: prefix %v: want an IPv6 prefix of 64 bits or more", cfg.Prefix)
	case !cfg.Prefix.Contains(cfg.First) || !cfg.Prefix.Contains(cfg.Last) || cfg.Last.Less(cfg.First):
		return nil, fmt.Errorf("dhcp6: pool %v to %v: want addresses of %v, the lesser one first", cfg.First, cfg.Last, cfg.Prefix)
	case leases.Count(cfg.First, cfg.Last) > leases.Most:
		return nil, fmt.Errorf("dhcp6: pool %v to %v has more than %d addresses", cfg.First, cfg.Last, leases.Most)
	case cfg.Lease < time.Second || cfg.Lease%time.Second != 0 || cfg.Lease/time.Second >= 0xffffffff:
		return nil, fmt.Errorf("dhcp6: lease %v: want whole seconds", cfg.Lease)
	}
	return s, nil
}

// Step takes one input that happened at now.
func (s *Server) Step(now time.Time, in ServerInput) []ServerOutput {
	switch in := in.(type) {
	case Received:
		out := s.Tick(now)
		if answer, events := s.answer(now, in.Message); answer != nil {
			out = append(append(out, Send{To: netip.AddrPortFrom(in.From, ClientPort), Message: answer}), events...)
		} else {
			out = append(out, events...)
		}
		return out
	default:
		panic(fmt.Sprintf("dhcp6: no rule for %T", in))
	}
}

// answer answers a message that a server may have: RFC 8415, section 16. Nil: it
// does not.
func (s *Server) answer(now time.Time, m *dhcpv6.Message) (*dhcpv6.Message, []ServerOutput) {
	id, server := m.Options.ClientID(), m.Options.ServerID()
	kind := m.MessageType
	switch kind {
	case dhcpv6.MessageTypeInformationRequest:
		if server != nil && !same(server, s.cfg.DUID) || len(m.Options.IANA()) > 0 || id != nil && !sound(id) {
			return nil, nil
		}
	case dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeRebind, dhcpv6.MessageTypeConfirm:
		if !sound(id) || server != nil {
			return nil, nil
		}
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		if !sound(id) || !same(server, s.cfg.DUID) {
			return nil, nil
		}
	default:
		return nil, nil
	}
	if s.book.Size() == 0 && kind != dhcpv6.MessageTypeInformationRequest {
		return nil, nil // it knows of no addresses: section 18.3.1
	}
	r := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply, TransactionID: m.TransactionID}
	r.AddOption(dhcpv6.OptServerID(s.cfg.DUID))
	if id != nil {
		r.AddOption(dhcpv6.OptClientID(id))
	}
	ias := m.Options.IANA()
	ias = ias[:min(len(ias), maxIAs)]
	var events []ServerOutput
	switch kind {
	case dhcpv6.MessageTypeConfirm:
		if s.confirm(ias, r) {
			return r, nil
		}
		return nil, nil
	case dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		events = s.giveBack(now, id, ias, r, kind)
		return r, events
	case dhcpv6.MessageTypeSolicit:
		rapid := m.GetOneOption(dhcpv6.OptionRapidCommit) != nil
		if rapid {
			r.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
		} else {
			r.MessageType = dhcpv6.MessageTypeAdvertise
			r.AddOption(dhcpv6.OptPreference(255)) // no need to wait for others: section 18.2.1
		}
		events = s.give(now, id, ias, r, rapid)
	case dhcpv6.MessageTypeRequest:
		events = s.give(now, id, ias, r, true)
	case dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind:
		var known bool
		if events, known = s.prolong(now, id, ias, r, kind); !known {
			return nil, nil
		}
	}
	s.configure(m, r)
	return r, events
}

// key is who an address is for.
func key(id dhcpv6.DUID, ia *dhcpv6.OptIANA) string { return string(ia.IaId[:]) + string(id.ToBytes()) }

// name is a client for the journal.
func name(id dhcpv6.DUID) string {
	if ll, ok := id.(*dhcpv6.DUIDLL); ok {
		return ll.LinkLayerAddr.String()
	}
	return fmt.Sprintf("%x", id.ToBytes())
}

// give answers each association with an address, or with the status that there is
// none. It is the client's from then on where commit says so.
func (s *Server) give(now time.Time, id dhcpv6.DUID, ias []*dhcpv6.OptIANA, r *dhcpv6.Message, commit bool) (events []ServerOutput) {
	for _, ia := range ias {
		k := key(id, ia)
		a, ok := s.book.Choose(now, k, wishes(ia)...)
		if !ok {
			r.AddOption(s.association(ia, status(iana.StatusNoAddrsAvail, "the pool is exhausted")))
			if s.book.Exhausted() {
				events = append(events, Event{"pool-exhausted", map[string]any{"addresses": int(s.book.Size())}})
			}
			continue
		}
		r.AddOption(s.association(ia, s.leased(a)))
		if !commit {
			continue
		}
		if s.hold(now, a, k) {
			events = append(events, Event{"lease-granted", map[string]any{"address": a.String(), "client": name(id), "lifetime": s.cfg.Lease.Seconds()}})
		}
	}
	return events
}

// hold gives a client an address, and tells whether nobody had it.
func (s *Server) hold(now time.Time, a netip.Addr, k string) (new bool) {
	return s.book.Hold(a, k, now.Add(s.cfg.Lease))
}

// wishes are the addresses that a client names, where they are any.
func wishes(ia *dhcpv6.OptIANA) (all []netip.Addr) {
	for _, wanted := range ia.Options.Addresses() {
		all = append(all, address(wanted.IPv6Addr))
	}
	return all
}

// prolong answers a Renew or a Rebind: RFC 8415, sections 18.3.4 and 18.3.5. It is
// false where another server may know more.
func (s *Server) prolong(now time.Time, id dhcpv6.DUID, ias []*dhcpv6.OptIANA, r *dhcpv6.Message, kind dhcpv6.MessageType) (events []ServerOutput, known bool) {
	for _, ia := range ias {
		k := key(id, ia)
		own, has := s.book.Of(k)
		var parts []dhcpv6.Option
		for _, have := range ia.Options.Addresses() {
			a := address(have.IPv6Addr)
			switch {
			case !a.IsValid():
				continue
			case !s.cfg.Prefix.Contains(a) || has && a != own:
				parts = append(parts, gone(a)) // wrong on this link
			case !has && kind == dhcpv6.MessageTypeRebind && s.book.Free(now, a):
				s.hold(now, a, k)
				own, has = a, true
				events = append(events, Event{"lease-granted", map[string]any{"address": a.String(), "client": name(id), "lifetime": s.cfg.Lease.Seconds()}})
			}
			known = known || len(parts) > 0
		}
		switch {
		case has:
			known = true
			s.hold(now, own, k)
			parts = append([]dhcpv6.Option{s.leased(own)}, parts...)
		case kind == dhcpv6.MessageTypeRenew:
			known = true
			parts = append(parts, status(iana.StatusNoBinding, "no such lease here"))
		}
		if len(parts) > 0 {
			r.AddOption(s.association(ia, parts...))
		}
	}
	return events, known
}

// confirm says whether addresses are of the link: RFC 8415, section 18.3.3. It is
// false where there are none.
func (s *Server) confirm(ias []*dhcpv6.OptIANA, r *dhcpv6.Message) bool {
	some, all := false, true
	for _, ia := range ias {
		for _, have := range ia.Options.Addresses() {
			a := address(have.IPv6Addr)
			some, all = true, all && a.IsValid() && s.cfg.Prefix.Contains(a)
		}
	}
	if all {
		r.AddOption(status(iana.StatusSuccess, ""))
	} else {
		r.AddOption(status(iana.StatusNotOnLink, "other addresses are on this link"))
	}
	return some
}

// giveBack takes addresses that a client does not want, or cannot use: RFC 8415,
// sections 18.3.7 and 18.3.8.
func (s *Server) giveBack(now time.Time, id dhcpv6.DUID, ias []*dhcpv6.OptIANA, r *dhcpv6.Message, kind dhcpv6.MessageType) (events []ServerOutput) {
	r.AddOption(status(iana.StatusSuccess, ""))
	for _, ia := range ias {
		own, has := s.book.Of(key(id, ia))
		if !has {
			r.AddOption(s.association(ia, status(iana.StatusNoBinding, "no such lease here")))
			continue
		}
		for _, have := range ia.Options.Addresses() {
			if address(have.IPv6Addr) != own {
				continue
			}
			fields := map[string]any{"address": own.String(), "client": name(id)}
			if kind == dhcpv6.MessageTypeRelease {
				s.book.End(own)
				fields["reason"] = "released"
				events = append(events, Event{"lease-ended", fields})
			} else {
				s.book.Decline(now, own)
				events = append(events, Event{"address-declined", fields})
			}
			break
		}
	}
	return events
}

func status(code iana.StatusCode, text string) dhcpv6.Option {
	return &dhcpv6.OptStatusCode{StatusCode: code, StatusMessage: text}
}

// leased is an address as it is given: RFC 8415, section 21.6.
func (s *Server) leased(a netip.Addr) dhcpv6.Option {
	return &dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice(), PreferredLifetime: (s.cfg.Lease * 3 / 4).Truncate(time.Second), ValidLifetime: s.cfg.Lease}
}

// gone is an address that must not be used any more.
func gone(a netip.Addr) dhcpv6.Option { return &dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice()} }

// association answers one of a client's: T1 and T2 are those of RFC 8415, section
// 21.4.
func (s *Server) association(ia *dhcpv6.OptIANA, parts ...dhcpv6.Option) dhcpv6.Option {
	preferred := s.cfg.Lease * 3 / 4
	return &dhcpv6.OptIANA{IaId: ia.IaId, T1: (preferred / 2).Truncate(time.Second), T2: (preferred * 4 / 5).Truncate(time.Second), Options: dhcpv6.IdentityOptions{Options: parts}}
}

// configure adds what a client asks for beside addresses.
func (s *Server) configure(m, r *dhcpv6.Message) {
	if len(s.cfg.DNS) > 0 && m.IsOptionRequested(dhcpv6.OptionDNSRecursiveNameServer) {
		r.AddOption(dhcpv6.OptDNS(ips(s.cfg.DNS)...))
	}
	if s.cfg.Domain != "" && m.IsOptionRequested(dhcpv6.OptionDomainSearchList) {
		r.AddOption(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{s.cfg.Domain}}))
	}
	if s.cfg.Home == nil {
		return
	}
	asked := askedNetwork(m)
	for _, code := range []dhcpv6.OptionCode{OptionVisited, OptionIdentified, OptionUnrestricted} {
		if !m.IsOptionRequested(code) || code == OptionIdentified && !strings.EqualFold(asked, s.cfg.Home.Identifier) {
			continue
		}
		if o, err := s.cfg.Home.option(code); err == nil {
			r.AddOption(o)
		}
	}
}

// Tick does what is due at now, and nothing before Deadline.
func (s *Server) Tick(now time.Time) (out []ServerOutput) {
	for _, a := range s.book.Expire(now) {
		out = append(out, Event{"lease-ended", map[string]any{"address": a.String(), "reason": "expired"}})
	}
	return out
}

// Deadline is when Tick has something to do; zero: never, as things stand.
func (s *Server) Deadline() time.Time { return s.book.Deadline() }
