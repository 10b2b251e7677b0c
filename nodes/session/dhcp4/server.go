package dhcp4

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"s2clab/nodes/session/leases"
)

// A ServerConfig is what a server has to give.
type ServerConfig struct {
	Address     netip.Addr            // its own on the link, which identifies it
	Prefix      netip.Prefix          // of the link
	First, Last netip.Addr            // the pool, both ends included; invalid: only the reserved ones
	Reserved    map[string]netip.Addr // by hardware address, as net.HardwareAddr writes it; none of the pool
	Router      netip.Addr            // invalid: there is none
	DNS         []netip.Addr
	Domain      string        // empty: none
	MTU         int           // octets; 0: not told
	Lease       time.Duration // whole seconds
}

// quiet is how long an event of a kind that strangers can cause at will is not
// told again; how often it happened then is.
const quiet = time.Second

// A ServerInput is a Received.
type ServerInput interface{ serverInput() }

// Received is a message from a client, or, to a client, from a server.
type Received struct {
	From    netip.Addr // its source; the unspecified address of one without
	Message *dhcpv4.DHCPv4
}

func (Received) serverInput() {}

// A ServerOutput is a Send or an Event.
type ServerOutput interface{ serverOutput() }

func (Send) serverOutput()  {}
func (Event) serverOutput() {}

// A Server gives addresses of one link: RFC 2131, section 4.3. Its owner calls
// Step for each input, and Tick at the time Deadline gives.
//
// It promises nothing by an offer: what it keeps is bounded by its pool, however
// many ask.
type Server struct {
	cfg  ServerConfig
	book *leases.Book
	told map[string]quietness // by event
}

type quietness struct {
	until time.Time
	count int // not told since then
}

// NewServer makes a Server with nothing given.
func NewServer(cfg ServerConfig) (*Server, error) {
	switch {
	case !cfg.Prefix.IsValid() || !cfg.Prefix.Addr().Is4():
		return nil, fmt.Errorf("dhcp4: prefix %v: want an IPv4 prefix", cfg.Prefix)
	case !cfg.Prefix.Contains(cfg.Address):
		return nil, fmt.Errorf("dhcp4: server %v is not in %v", cfg.Address, cfg.Prefix)
	case cfg.First.IsValid() != cfg.Last.IsValid() || cfg.First.IsValid() && (!cfg.Prefix.Contains(cfg.First) || !cfg.Prefix.Contains(cfg.Last) || cfg.Last.Less(cfg.First)):
		return nil, fmt.Errorf("dhcp4: pool %v to %v: want addresses of %v, the lesser one first", cfg.First, cfg.Last, cfg.Prefix)
	case leases.Count(cfg.First, cfg.Last) > leases.Most:
		return nil, fmt.Errorf("dhcp4: pool %v to %v has more than %d addresses", cfg.First, cfg.Last, leases.Most)
	case cfg.Lease < time.Second || cfg.Lease >= infinite || cfg.Lease%time.Second != 0:
		return nil, fmt.Errorf("dhcp4: lease %v: want whole seconds", cfg.Lease)
	}
	return &Server{cfg: cfg, book: leases.NewBook(cfg.First, cfg.Last, cfg.Address), told: map[string]quietness{}}, nil
}

// Step takes one input that happened at now.
func (s *Server) Step(now time.Time, in ServerInput) []ServerOutput {
	switch in := in.(type) {
	case Received:
		out := s.Tick(now)
		m := in.Message
		// A relay would answer for another link than this one: RFC 2131, section 4.1.
		if m.OpCode != dhcpv4.OpcodeBootRequest || address(m.GatewayIPAddr).IsValid() || len(m.ClientHWAddr) == 0 {
			return out
		}
		switch m.MessageType() {
		case dhcpv4.MessageTypeDiscover:
			return append(out, s.discover(now, m)...)
		case dhcpv4.MessageTypeRequest:
			return append(out, s.request(now, m)...)
		case dhcpv4.MessageTypeDecline:
			return append(out, s.decline(now, m)...)
		case dhcpv4.MessageTypeRelease:
			return append(out, s.release(m)...)
		case dhcpv4.MessageTypeInform:
			return append(out, s.inform(m)...)
		}
		return out
	default:
		panic(fmt.Sprintf("dhcp4: no rule for %T", in))
	}
}

// client is who sent a message: RFC 2131, section 2, and RFC 6842.
func client(m *dhcpv4.DHCPv4) string {
	if id := m.GetOneOption(dhcpv4.OptionClientIdentifier); len(id) > 0 {
		return "id " + string(id)
	}
	return "hw " + string(m.ClientHWAddr)
}

func (s *Server) discover(now time.Time, m *dhcpv4.DHCPv4) []ServerOutput {
	a, ok := s.choose(now, m)
	if !ok {
		if !s.book.Exhausted() {
			return nil
		}
		return []ServerOutput{Event{"pool-exhausted", map[string]any{"addresses": int(s.book.Size())}}}
	}
	return []ServerOutput{s.answer(m, dhcpv4.MessageTypeOffer, a, s.cfg.Lease)}
}

// choose returns the address for a client: RFC 2131, section 4.3.1. One that has
// none gets an address made of who it is, so that it gets the same one again.
func (s *Server) choose(now time.Time, m *dhcpv4.DHCPv4) (netip.Addr, bool) {
	if a, ok := s.reserved(m); ok {
		return a, true
	}
	return s.book.Choose(now, client(m), address(m.RequestedIPAddress()))
}

func (s *Server) reserved(m *dhcpv4.DHCPv4) (netip.Addr, bool) {
	a, ok := s.cfg.Reserved[m.ClientHWAddr.String()]
	return a, ok
}

// request answers a DHCPREQUEST by what it is for: RFC 2131, section 4.3.2.
func (s *Server) request(now time.Time, m *dhcpv4.DHCPv4) []ServerOutput {
	wanted, has := address(m.RequestedIPAddress()), address(m.ClientIPAddr)
	selecting := address(m.ServerIdentifier()).IsValid()
	switch {
	case selecting && address(m.ServerIdentifier()) != s.cfg.Address:
		return nil // it has taken another's offer
	case has.IsValid():
		wanted = has // it renews or rebinds
	case !wanted.IsValid():
		return nil
	}
	if !s.cfg.Prefix.Contains(wanted) {
		return s.refuse(now, m, wanted, "not of this link")
	}
	own, known := s.book.Of(client(m))
	if a, ok := s.reserved(m); ok {
		own, known = a, true
	}
	switch {
	case known && own == wanted:
	case known:
		return s.refuse(now, m, wanted, "not the client's")
	case !s.book.Free(now, wanted):
		return s.refuse(now, m, wanted, "not free")
	case !selecting && !has.IsValid():
		return nil // nothing is known of a client that comes back: another server may
	}
	granted := s.book.Hold(wanted, client(m), now.Add(s.cfg.Lease))
	out := []ServerOutput{s.answer(m, dhcpv4.MessageTypeAck, wanted, s.cfg.Lease)}
	if granted {
		out = append(out, Event{"lease-granted", map[string]any{"address": wanted.String(), "client": m.ClientHWAddr.String(), "lifetime": s.cfg.Lease.Seconds()}})
	}
	return out
}

// refuse sends a DHCPNAK, which goes to all: RFC 2131, section 4.3.2.
func (s *Server) refuse(now time.Time, m *dhcpv4.DHCPv4, a netip.Addr, reason string) []ServerOutput {
	nak := s.reply(m, dhcpv4.MessageTypeNak)
	nak.ClientIPAddr = net.IPv4zero
	nak.UpdateOption(dhcpv4.OptMessage(reason))
	nak.SetBroadcast()
	out := []ServerOutput{Send{To: netip.AddrPortFrom(Everybody, ClientPort), Message: nak}}
	return append(out, s.tell(now, "lease-refused", map[string]any{"address": a.String(), "client": m.ClientHWAddr.String(), "reason": reason})...)
}

// tell tells an event that strangers can cause, once in a while.
func (s *Server) tell(now time.Time, name string, fields map[string]any) []ServerOutput {
	q := s.told[name]
	if now.Before(q.until) {
		q.count++
		s.told[name] = q
		return nil
	}
	if q.count > 0 {
		fields["untold"] = q.count
	}
	s.told[name] = quietness{until: now.Add(quiet)}
	return []ServerOutput{Event{name, fields}}
}

// decline takes an address out of use that somebody else has: RFC 2131, section
// 4.3.3. Only who has its lease can say so.
func (s *Server) decline(now time.Time, m *dhcpv4.DHCPv4) []ServerOutput {
	a := address(m.RequestedIPAddress())
	if address(m.ServerIdentifier()) != s.cfg.Address || !s.has(m, a) {
		return nil
	}
	s.book.Decline(now, a)
	return []ServerOutput{Event{"address-declined", map[string]any{"address": a.String(), "client": m.ClientHWAddr.String()}}}
}

func (s *Server) release(m *dhcpv4.DHCPv4) []ServerOutput {
	a := address(m.ClientIPAddr)
	if address(m.ServerIdentifier()) != s.cfg.Address || !s.has(m, a) {
		return nil
	}
	s.book.End(a)
	return []ServerOutput{Event{"lease-ended", map[string]any{"address": a.String(), "client": m.ClientHWAddr.String(), "reason": "released"}}}
}

// has says whether the client that sent m has a.
func (s *Server) has(m *dhcpv4.DHCPv4, a netip.Addr) bool {
	own, has := s.book.Of(client(m))
	return has && own == a
}

// inform answers a node that has an address: RFC 2131, section 4.3.5.
func (s *Server) inform(m *dhcpv4.DHCPv4) []ServerOutput {
	if a := address(m.ClientIPAddr); !a.IsValid() || !s.cfg.Prefix.Contains(a) {
		return nil
	}
	return []ServerOutput{s.answer(m, dhcpv4.MessageTypeAck, netip.Addr{}, 0)}
}

// reply makes the message that all answers begin with: RFC 2131, table 3.
func (s *Server) reply(m *dhcpv4.DHCPv4, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	r := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: m.HWType, TransactionID: m.TransactionID, Flags: m.Flags & 0x8000,
		ClientIPAddr: m.ClientIPAddr, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero, ClientHWAddr: m.ClientHWAddr,
		Options: dhcpv4.Options{},
	}
	r.UpdateOption(dhcpv4.OptMessageType(kind))
	r.UpdateOption(dhcpv4.OptServerIdentifier(ip(s.cfg.Address)))
	if id := m.GetOneOption(dhcpv4.OptionClientIdentifier); len(id) > 0 {
		r.UpdateOption(dhcpv4.OptClientIdentifier(id)) // RFC 6842, section 3
	}
	return r
}

func (s *Server) answer(m *dhcpv4.DHCPv4, kind dhcpv4.MessageType, a netip.Addr, lease time.Duration) Send {
	r := s.reply(m, kind)
	if kind == dhcpv4.MessageTypeOffer {
		r.ClientIPAddr = net.IPv4zero
	}
	if a.IsValid() {
		r.YourIPAddr = ip(a)
		r.UpdateOption(dhcpv4.OptIPAddressLeaseTime(lease))
		r.UpdateOption(dhcpv4.OptRenewTimeValue(lease / 2)) // RFC 2131, section 4.4.5
		r.UpdateOption(dhcpv4.OptRebindingTimeValue(lease * 7 / 8))
	}
	r.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(s.cfg.Prefix.Bits(), 32)))
	if s.cfg.Router.IsValid() {
		r.UpdateOption(dhcpv4.OptRouter(ip(s.cfg.Router)))
	}
	if len(s.cfg.DNS) > 0 {
		r.UpdateOption(dhcpv4.OptDNS(ips(s.cfg.DNS)...))
	}
	if s.cfg.Domain != "" {
		r.UpdateOption(dhcpv4.OptDomainName(s.cfg.Domain))
	}
	if s.cfg.MTU > 0 {
		r.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{byte(s.cfg.MTU >> 8), byte(s.cfg.MTU)}))
	}
	// A client without an address is answered in a broadcast, which section 4.1
	// allows: to unicast would take its hardware address past the kernel.
	to := Everybody
	if has := address(m.ClientIPAddr); has.IsValid() && s.cfg.Prefix.Contains(has) {
		to = has
	}
	return Send{To: netip.AddrPortFrom(to, ClientPort), Message: r}
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
