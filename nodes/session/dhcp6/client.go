package dhcp6

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// A ClientConfig is who asks, and for what.
type ClientConfig struct {
	DUID      dhcpv6.DUID
	IAID      [4]byte
	Rapid     bool   // two messages in place of four, with a server that does so: RFC 8415, section 21.14
	Stateless bool   // configuration only; addresses come otherwise
	Home      bool   // asks for home networks too: RFC 6610
	Network   string // the FQDN of the home network that it asks for; empty: of any
}

// A ClientInput is one of Started, Stopped, Received and Conflicted.
type ClientInput interface{ clientInput() }

// Started says that the link can be used. Previous is a lease that the client had
// and that may still be right, after the link was gone: RFC 8415, section 18.2.12.
type Started struct{ Previous *Lease }

// Stopped says that the link is gone, or will be: then Release gives the lease back.
type Stopped struct{ Release bool }

// Conflicted says that duplicate address detection found another node with the
// address.
type Conflicted struct{ Address netip.Addr }

func (Started) clientInput()    {}
func (Stopped) clientInput()    {}
func (Received) clientInput()   {}
func (Conflicted) clientInput() {}

// A ClientOutput is one of Send, Configured, Deconfigured, Informed and Event.
type ClientOutput interface{ clientOutput() }

// Configured says that an address is the client's, or is for longer.
type Configured struct{ Lease Lease }

// Deconfigured says that an address is the client's no more.
type Deconfigured struct {
	Address netip.Addr
	Reason  string // expired, refused, released, link-gone, duplicate
}

// Informed says what a server tells beside addresses.
type Informed struct{ Configuration Configuration }

func (Send) clientOutput()         {}
func (Event) clientOutput()        {}
func (Configured) clientOutput()   {}
func (Deconfigured) clientOutput() {}
func (Informed) clientOutput()     {}

// A Configuration is what a server tells beside addresses.
type Configuration struct {
	DNS     []netip.Addr
	Domains []string
	Home    []HomeNetwork
}

// A Lease is an address that a server gives.
type Lease struct {
	Address netip.Addr
	Server  dhcpv6.DUID
	Configuration

	Renew, Rebind     time.Time // zero: never
	Preferred, Expire time.Time // zero: it has no end
}

// An exchange is how a message is repeated until it is answered: RFC 8415, section
// 15, with the numbers of section 7.6.
type exchange struct {
	kind   dhcpv6.MessageType
	first  time.Duration // IRT
	most   time.Duration // MRT; 0: no limit
	times  int           // MRC; 0: no limit
	during time.Duration // MRD; 0: no limit
}

var (
	soliciting  = exchange{dhcpv6.MessageTypeSolicit, time.Second, 3600 * time.Second, 0, 0}
	requesting  = exchange{dhcpv6.MessageTypeRequest, time.Second, 30 * time.Second, 10, 0}
	confirming  = exchange{dhcpv6.MessageTypeConfirm, time.Second, 4 * time.Second, 0, 10 * time.Second}
	renewing    = exchange{dhcpv6.MessageTypeRenew, 10 * time.Second, 600 * time.Second, 0, 0}
	rebinding   = exchange{dhcpv6.MessageTypeRebind, 10 * time.Second, 600 * time.Second, 0, 0}
	informing   = exchange{dhcpv6.MessageTypeInformationRequest, time.Second, 3600 * time.Second, 0, 0}
	releasing   = exchange{dhcpv6.MessageTypeRelease, time.Second, 0, 4, 0}
	declining   = exchange{dhcpv6.MessageTypeDecline, time.Second, 0, 4, 0}
	nothingSent = exchange{}
)

// refresh is when configuration is asked for again where the server does not say:
// RFC 8415, section 7.6, IRT_DEFAULT; and the least that it may say.
const (
	refresh      = 24 * time.Hour
	leastRefresh = 600 * time.Second
	forever      = 0xffffffff * time.Second
)

// A Client has an address of one link, or configuration: RFC 8415, section 18.2.
// Its owner calls Step for each input, and Tick at the time Deadline gives.
//
// Differs from section 18.2.1: it does not wait before its first Solicit. A mobile
// that comes does so alone.
type Client struct {
	cfg  ClientConfig
	rand *rand.Rand

	running bool
	now     exchange // what waits for an answer
	xid     dhcpv6.TransactionID
	began   time.Time // the first message of the exchange
	tries   int
	wait    time.Duration // that ends at retry
	retry   time.Time
	best    *dhcpv6.Message // while soliciting: the advertisement to take
	lease   *Lease
	given   netip.Addr // that is given back
	server  dhcpv6.DUID
	again   time.Time // when configuration is asked for again
}

// NewClient makes a Client. Random choices come from r.
func NewClient(cfg ClientConfig, r *rand.Rand) *Client { return &Client{cfg: cfg, rand: r} }

// Lease returns what the client has; nil: it has nothing.
func (c *Client) Lease() *Lease { return c.lease }

// Step takes one input that happened at now.
func (c *Client) Step(now time.Time, in ClientInput) []ClientOutput {
	switch in := in.(type) {
	case Started:
		if c.running {
			return nil
		}
		c.running = true
		switch {
		case c.cfg.Stateless:
			return c.begin(now, informing)
		case in.Previous != nil && (in.Previous.Expire.IsZero() || now.Before(in.Previous.Expire)):
			l := *in.Previous
			c.lease = &l
			return c.begin(now, confirming)
		}
		return c.begin(now, soliciting)
	case Stopped:
		return c.stop(now, in.Release)
	case Received:
		return c.receive(now, in.Message)
	case Conflicted:
		if c.lease == nil || c.lease.Address != in.Address {
			return nil
		}
		c.given, c.server = in.Address, c.lease.Server
		out := append(c.lose("duplicate"), Event{"address-failed", map[string]any{"address": in.Address.String()}})
		return append(out, c.begin(now, declining)...)
	default:
		panic(fmt.Sprintf("dhcp6: no rule for %T", in))
	}
}

// begin begins an exchange with a transaction of its own.
func (c *Client) begin(now time.Time, e exchange) []ClientOutput {
	x := c.rand.Uint32()
	c.now, c.began, c.tries, c.wait, c.best = e, now, 0, 0, nil
	c.xid = dhcpv6.TransactionID{byte(x >> 16), byte(x >> 8), byte(x)}
	return c.send(now)
}

func (c *Client) done() { c.now, c.retry = nothingSent, time.Time{} }

// send sends the message of the exchange, and sets when to send it again.
func (c *Client) send(now time.Time) []ClientOutput {
	m := &dhcpv6.Message{MessageType: c.now.kind, TransactionID: c.xid}
	m.AddOption(dhcpv6.OptClientID(c.cfg.DUID))
	switch c.now.kind {
	case dhcpv6.MessageTypeRequest:
		m.AddOption(dhcpv6.OptServerID(c.server))
		m.AddOption(c.association(c.given))
	case dhcpv6.MessageTypeSolicit:
		m.AddOption(c.association(netip.Addr{}))
		if c.cfg.Rapid {
			m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
		}
	case dhcpv6.MessageTypeRenew:
		m.AddOption(dhcpv6.OptServerID(c.lease.Server))
		m.AddOption(c.association(c.lease.Address))
	case dhcpv6.MessageTypeRebind, dhcpv6.MessageTypeConfirm:
		m.AddOption(c.association(c.lease.Address))
	case dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		m.AddOption(dhcpv6.OptServerID(c.server))
		m.AddOption(c.association(c.given))
	}
	elapsed := min(max(now.Sub(c.began), 0), 0xffff*10*time.Millisecond)
	m.AddOption(dhcpv6.OptElapsedTime(elapsed.Truncate(10 * time.Millisecond)))
	switch c.now.kind {
	case dhcpv6.MessageTypeConfirm, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
	default:
		asked := []dhcpv6.OptionCode{dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList}
		if c.now.kind == dhcpv6.MessageTypeInformationRequest {
			asked = append(asked, dhcpv6.OptionInformationRefreshTime)
		}
		if c.cfg.Home {
			asked = append(asked, OptionVisited, OptionIdentified, OptionUnrestricted)
			if name, err := appendName(c.cfg.Network); c.cfg.Network != "" && err == nil {
				m.AddOption(&dhcpv6.OptionGeneric{OptionCode: OptionHomeNetworkID, OptionData: name})
			}
		}
		m.AddOption(dhcpv6.OptRequestedOption(asked...))
	}
	c.tries++
	c.wait = c.next()
	c.retry = now.Add(c.wait)
	if c.now.during > 0 && c.retry.After(c.began.Add(c.now.during)) {
		c.retry = c.began.Add(c.now.during)
	}
	return []ClientOutput{Send{To: netip.AddrPortFrom(Servers, ServerPort), Message: m}}
}

// next is the time to wait after this transmission: RFC 8415, section 15.
func (c *Client) next() time.Duration {
	by := func(d time.Duration, share float64) time.Duration { return d + time.Duration(share*float64(d)) }
	share := c.rand.Float64()*0.2 - 0.1
	if c.wait == 0 {
		if c.now.kind == dhcpv6.MessageTypeSolicit {
			share = c.rand.Float64() * 0.1 // section 18.2.1: it must be above 0
		}
		return by(c.now.first, share)
	}
	if d := c.wait + by(c.wait, share); c.now.most == 0 || d <= c.now.most {
		return d
	}
	return by(c.now.most, share)
}

func (c *Client) association(a netip.Addr) dhcpv6.Option {
	ia := &dhcpv6.OptIANA{IaId: c.cfg.IAID}
	if a.IsValid() {
		ia.Options.Options = dhcpv6.Options{&dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice()}}
	}
	return ia
}

// receive takes a message of a server. What answers nothing that was asked is left
// alone, whoever sent it: RFC 8415, sections 16.3 and 16.10.
func (c *Client) receive(now time.Time, m *dhcpv6.Message) []ClientOutput {
	server := m.Options.ServerID()
	if c.now == nothingSent || m.TransactionID != c.xid || !sound(server) || !same(m.Options.ClientID(), c.cfg.DUID) {
		return nil
	}
	switch kind := m.MessageType; c.now.kind {
	case dhcpv6.MessageTypeSolicit:
		switch {
		case kind == dhcpv6.MessageTypeAdvertise:
			return c.advertised(now, m)
		case kind == dhcpv6.MessageTypeReply && c.cfg.Rapid && m.GetOneOption(dhcpv6.OptionRapidCommit) != nil:
			return c.replied(now, m)
		}
	case dhcpv6.MessageTypeRequest:
		if kind == dhcpv6.MessageTypeReply && same(server, c.server) {
			return c.replied(now, m)
		}
	case dhcpv6.MessageTypeRenew:
		if kind == dhcpv6.MessageTypeReply && same(server, c.lease.Server) {
			return c.replied(now, m)
		}
	case dhcpv6.MessageTypeRebind:
		if kind == dhcpv6.MessageTypeReply {
			return c.replied(now, m)
		}
	case dhcpv6.MessageTypeConfirm:
		if kind == dhcpv6.MessageTypeReply {
			return c.confirmed(now, m)
		}
	case dhcpv6.MessageTypeInformationRequest:
		if kind == dhcpv6.MessageTypeReply {
			c.done()
			wait := max(m.Options.InformationRefreshTime(refresh), leastRefresh)
			c.again = time.Time{}
			if wait < forever {
				c.again = now.Add(wait)
			}
			return []ClientOutput{Informed{configuration(m)}}
		}
	case dhcpv6.MessageTypeRelease:
		if kind == dhcpv6.MessageTypeReply && same(server, c.server) {
			c.done()
		}
	case dhcpv6.MessageTypeDecline:
		if kind == dhcpv6.MessageTypeReply && same(server, c.server) {
			return c.begin(now, soliciting)
		}
	}
	return nil
}

// advertised takes the first advertisement of the greatest preference: at once
// where a greater cannot come, or where it has been waited for: RFC 8415, section
// 18.2.1.
func (c *Client) advertised(now time.Time, m *dhcpv6.Message) []ClientOutput {
	if _, err := c.read(now, m); err != nil {
		return ignored("dhcp6-advertise", err)
	}
	if c.best == nil || m.Options.Preference() > c.best.Options.Preference() {
		c.best = m
	}
	if c.best.Options.Preference() == 255 || c.tries > 1 {
		return c.request(now)
	}
	return nil
}

func ignored(message string, err error) []ClientOutput {
	return []ClientOutput{Event{"message-ignored", map[string]any{"message": message, "reason": err.Error()}}}
}

func (c *Client) request(now time.Time) []ClientOutput {
	l, err := c.read(now, c.best)
	if err != nil {
		return c.begin(now, soliciting)
	}
	c.server, c.given = l.Server, l.Address
	return c.begin(now, requesting)
}

// replied takes a Reply that gives an address, or does not: RFC 8415, section
// 18.2.10.1.
func (c *Client) replied(now time.Time, m *dhcpv6.Message) []ClientOutput {
	kind := c.now.kind
	l, err := c.read(now, m)
	switch {
	case err == nil && c.lease != nil && l.Address != c.lease.Address:
		out := c.lose("refused")
		return append(out, c.take(l)...)
	case err == nil:
		return c.take(l)
	case kind == dhcpv6.MessageTypeRenew || kind == dhcpv6.MessageTypeRebind:
		if c.lost(m) {
			return append(append(c.lose("refused"), Event{"lease-refused", map[string]any{"reason": err.Error()}}), c.begin(now, soliciting)...)
		}
		return ignored("dhcp6-reply", err)
	case kind == dhcpv6.MessageTypeRequest:
		return append(ignored("dhcp6-reply", err), c.begin(now, soliciting)...)
	}
	return ignored("dhcp6-reply", err)
}

// lost says whether a server says that the lease is none, or that it has ended.
func (c *Client) lost(m *dhcpv6.Message) bool {
	for _, ia := range m.Options.IANA() {
		if ia.IaId != c.cfg.IAID {
			continue
		}
		if s := ia.Options.Status(); s != nil && s.StatusCode == iana.StatusNoBinding {
			return true
		}
		for _, a := range ia.Options.Addresses() {
			if address(a.IPv6Addr) == c.lease.Address && a.ValidLifetime == 0 {
				return true
			}
		}
	}
	return false
}

func (c *Client) take(l *Lease) []ClientOutput {
	c.lease = l
	c.done()
	c.retry = l.Renew
	return []ClientOutput{Configured{*l}}
}

func (c *Client) confirmed(now time.Time, m *dhcpv6.Message) []ClientOutput {
	if s := m.Options.Status(); s != nil && s.StatusCode != iana.StatusSuccess {
		return append(append(c.lose("refused"), Event{"lease-refused", map[string]any{"reason": s.StatusMessage}}), c.begin(now, soliciting)...)
	}
	l := *c.lease
	return c.take(&l)
}

func (c *Client) lose(reason string) []ClientOutput {
	if c.lease == nil {
		return nil
	}
	a := c.lease.Address
	c.lease = nil
	return []ClientOutput{Deconfigured{a, reason}}
}

func (c *Client) stop(now time.Time, release bool) []ClientOutput {
	l := c.lease
	if !release || l == nil {
		c.done()
		c.running, c.again = false, time.Time{}
		return c.lose("link-gone")
	}
	c.given, c.server, c.running = l.Address, l.Server, false
	return append(c.lose("released"), c.begin(now, releasing)...) // it must not use the address while it gives it back
}

// Tick does what is due at now, and nothing before Deadline.
func (c *Client) Tick(now time.Time) []ClientOutput {
	d := c.Deadline()
	if d.IsZero() || now.Before(d) {
		return nil
	}
	if l := c.lease; l != nil {
		switch {
		case !l.Expire.IsZero() && !now.Before(l.Expire):
			return append(c.lose("expired"), c.begin(now, soliciting)...)
		case (c.now == nothingSent || c.now == renewing) && !l.Rebind.IsZero() && !now.Before(l.Rebind):
			return c.begin(now, rebinding)
		case c.now == nothingSent:
			return c.begin(now, renewing)
		}
	}
	if c.now == nothingSent {
		c.again = time.Time{}
		return c.begin(now, informing)
	}
	ended := c.now.times > 0 && c.tries >= c.now.times || c.now.during > 0 && !now.Before(c.began.Add(c.now.during))
	switch {
	case c.now == soliciting && c.best != nil:
		return c.request(now)
	case !ended:
		return c.send(now)
	case c.now == confirming: // nobody says otherwise: section 18.2.3
		l := *c.lease
		return c.take(&l)
	case c.now == releasing:
		c.done()
		return nil
	}
	return c.begin(now, soliciting)
}

// Deadline is when Tick has something to do; zero: never, as things stand.
func (c *Client) Deadline() (at time.Time) {
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	sooner(c.retry)
	if l := c.lease; l != nil {
		sooner(l.Expire)
		if c.now == renewing {
			sooner(l.Rebind)
		}
	}
	if c.now == nothingSent {
		sooner(c.again)
	}
	return at
}

// read reads the address that a server gives, which must be of use.
func (c *Client) read(now time.Time, m *dhcpv6.Message) (*Lease, error) {
	if s := m.Options.Status(); s != nil && s.StatusCode != iana.StatusSuccess {
		return nil, fmt.Errorf("%v: %s", s.StatusCode, s.StatusMessage)
	}
	for _, ia := range m.Options.IANA() {
		if ia.IaId != c.cfg.IAID {
			continue
		}
		if s := ia.Options.Status(); s != nil && s.StatusCode != iana.StatusSuccess {
			return nil, fmt.Errorf("%v: %s", s.StatusCode, s.StatusMessage)
		}
		if ia.T2 > 0 && ia.T1 > ia.T2 {
			return nil, fmt.Errorf("T1 %v is after T2 %v", ia.T1, ia.T2) // section 21.4: it must be discarded
		}
		for _, o := range ia.Options.Addresses() {
			a := address(o.IPv6Addr)
			if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast() || o.ValidLifetime == 0 || o.PreferredLifetime > o.ValidLifetime {
				continue
			}
			l := &Lease{Address: a, Server: m.Options.ServerID(), Configuration: configuration(m)}
			after := func(d time.Duration) time.Time {
				if d >= forever {
					return time.Time{}
				}
				return now.Add(d)
			}
			l.Preferred, l.Expire = after(o.PreferredLifetime), after(o.ValidLifetime)
			t1, t2 := ia.T1, ia.T2
			if base := min(max(o.PreferredLifetime, time.Second), forever); t1 == 0 || t2 == 0 { // section 18.2.4: left to the client
				if base == forever {
					t1, t2 = forever, forever
				} else {
					t1, t2 = base/2, base*4/5
				}
			}
			l.Renew, l.Rebind = after(max(t1, time.Second)), after(max(t2, time.Second))
			return l, nil
		}
	}
	return nil, fmt.Errorf("no address of use")
}

func configuration(m *dhcpv6.Message) Configuration {
	c := Configuration{DNS: addresses(m.Options.DNS()), Home: HomeNetworks(m)}
	if l := m.Options.DomainSearchList(); l != nil {
		c.Domains = l.Labels
	}
	return c
}
