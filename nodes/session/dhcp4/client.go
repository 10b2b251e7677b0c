package dhcp4

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	firstRetry = 4 * time.Second // RFC 2131, section 4.1: doubled each time, 1 s more or less by chance
	lastRetry  = 64 * time.Second
	spread     = time.Second
	leastWait  = 60 * time.Second // section 4.4.5: between requests of one who renews
	afterProbe = 10 * time.Second // section 3.1, step 5: after a DHCPDECLINE that is not the first

	requestTries = 4 // section 3.1, step 5: then from the beginning
	rebootTries  = 2
)

// A ClientConfig is who asks.
type ClientConfig struct {
	HardwareAddr [6]byte
	HostName     string // empty: not told
	Probe        bool   // asks by ARP whether an address is somebody's before it takes it: RFC 2131, section 4.4.1
}

// A ClientInput is one of Started, Stopped, Received and Probed.
type ClientInput interface{ clientInput() }

// Started says that the link can be used. Previous is an address that the client
// had there before, which it asks for again; invalid: it had none.
type Started struct{ Previous netip.Addr }

// Stopped says that the link is gone, or will be: then Release gives the lease back.
type Stopped struct{ Release bool }

// Probed answers a Probe. That somebody else has the address may also be told later:
// RFC 5227, section 2.4.
type Probed struct {
	Address netip.Addr
	InUse   bool // somebody else has it
}

func (Started) clientInput()  {}
func (Stopped) clientInput()  {}
func (Received) clientInput() {}
func (Probed) clientInput()   {}

// A ClientOutput is one of Send, Offered, Probe, Configured, Deconfigured and Event.
type ClientOutput interface{ clientOutput() }

// Offered says what a server offers, which the client asks for with the Send that
// follows.
type Offered struct{ Lease Lease }

// Probe asks the client's owner to find out whether an address is somebody's:
// RFC 5227. It answers with Probed.
type Probe struct{ Address netip.Addr }

// Configured says that an address is the client's, or is for longer.
type Configured struct{ Lease Lease }

// Deconfigured says that an address is the client's no more.
type Deconfigured struct {
	Address netip.Prefix
	Reason  string // expired, refused, released, link-gone, duplicate
}

func (Send) clientOutput()         {}
func (Event) clientOutput()        {}
func (Offered) clientOutput()      {}
func (Probe) clientOutput()        {}
func (Configured) clientOutput()   {}
func (Deconfigured) clientOutput() {}

// A Lease is what a server gives.
type Lease struct {
	Address netip.Prefix // with the length of the link's prefix
	Server  netip.Addr
	Router  netip.Addr // invalid: it named none on the link
	DNS     []netip.Addr
	Domain  string
	MTU     int // octets; 0: not told

	Renew, Rebind, Expire time.Time // zero: it has no end
}

// A state is one of RFC 2131, figure 5.
type state int

const (
	stopped state = iota
	selecting
	requesting
	rebooting
	probing
	bound
	renewing
	rebinding
	waiting // to begin again
)

// A Client has an address of one link: RFC 2131, section 4.4. Its owner calls
// Step for each input, and Tick at the time Deadline gives.
//
// Differs from section 4.4.1: it does not wait before its first message. A mobile
// that comes does so alone. Nor does it wait after its first DHCPDECLINE, which is
// against clients that loop (section 3.1, step 5).
type Client struct {
	cfg  ClientConfig
	rand *rand.Rand

	state    state
	xid      dhcpv4.TransactionID
	began    time.Time // the first message of this exchange
	tries    int
	retry    time.Time // when to send again, or to begin again
	offer    *dhcpv4.DHCPv4
	previous netip.Addr
	lease    Lease // while probing, bound, renewing or rebinding
	refusals int   // since an address was had
	declines int   // since it was started
}

// NewClient makes a Client. Random choices come from r.
func NewClient(cfg ClientConfig, r *rand.Rand) *Client { return &Client{cfg: cfg, rand: r} }

// Lease returns what the client has; false: it has nothing.
func (c *Client) Lease() (Lease, bool) {
	return c.lease, c.state == bound || c.state == renewing || c.state == rebinding
}

// Step takes one input that happened at now.
func (c *Client) Step(now time.Time, in ClientInput) []ClientOutput {
	switch in := in.(type) {
	case Started:
		if c.state != stopped {
			return nil
		}
		c.refusals, c.declines = 0, 0
		if in.Previous.Is4() && !in.Previous.IsUnspecified() {
			c.previous = in.Previous
			c.begin(now, rebooting)
			return c.send(now)
		}
		return c.discover(now)
	case Stopped:
		return c.stop(in.Release)
	case Received:
		return c.receive(now, in.Message)
	case Probed:
		return c.probed(now, in)
	default:
		panic(fmt.Sprintf("dhcp4: no rule for %T", in))
	}
}

// begin begins an exchange with a transaction of its own.
func (c *Client) begin(now time.Time, s state) {
	x := c.rand.Uint32()
	c.state, c.began, c.tries = s, now, 0
	c.xid = dhcpv4.TransactionID{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)}
}

func (c *Client) discover(now time.Time) []ClientOutput {
	c.begin(now, selecting)
	return c.send(now)
}

// message is what all of the client's messages begin with: RFC 2131, table 5.
func (c *Client) message(now time.Time, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	seconds := min(max(now.Sub(c.began)/time.Second, 0), 0xffff)
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: 1, TransactionID: c.xid, NumSeconds: uint16(seconds),
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
		ClientHWAddr: c.cfg.HardwareAddr[:], Options: dhcpv4.Options{},
	}
	m.UpdateOption(dhcpv4.OptMessageType(kind))
	m.UpdateOption(dhcpv4.OptClientIdentifier(append([]byte{1}, c.cfg.HardwareAddr[:]...)))
	if kind == dhcpv4.MessageTypeDecline || kind == dhcpv4.MessageTypeRelease {
		return m
	}
	m.UpdateOption(dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionDomainName,
		dhcpv4.OptionInterfaceMTU, dhcpv4.OptionIPAddressLeaseTime, dhcpv4.OptionRenewTimeValue, dhcpv4.OptionRebindingTimeValue))
	m.UpdateOption(dhcpv4.OptMaxMessageSize(1500))
	if c.cfg.HostName != "" {
		m.UpdateOption(dhcpv4.OptHostName(c.cfg.HostName))
	}
	return m
}

// send sends what the state asks for, and sets when to send it again.
func (c *Client) send(now time.Time) []ClientOutput {
	from, to := netip.IPv4Unspecified(), Everybody
	var m *dhcpv4.DHCPv4
	if c.state == selecting {
		m = c.message(now, dhcpv4.MessageTypeDiscover)
	} else {
		m = c.message(now, dhcpv4.MessageTypeRequest)
	}
	switch c.state { // RFC 2131, table 4
	case requesting:
		m.UpdateOption(dhcpv4.OptServerIdentifier(c.offer.ServerIdentifier()))
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(c.offer.YourIPAddr))
	case rebooting:
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(ip(c.previous)))
	case renewing:
		to = c.lease.Server
		fallthrough
	case rebinding:
		from = c.lease.Address.Addr()
		m.ClientIPAddr = ip(from)
	}
	if c.state != renewing && c.state != rebinding {
		m.SetBroadcast() // it cannot hear what is sent to an address that it has not got
	}
	c.tries++
	c.retry = now.Add(c.wait(now))
	return []ClientOutput{Send{From: from, To: netip.AddrPortFrom(to, ServerPort), Message: m}}
}

// wait is how long to wait for an answer.
func (c *Client) wait(now time.Time) time.Duration {
	switch c.state {
	case renewing:
		return max(c.lease.Rebind.Sub(now)/2, leastWait)
	case rebinding:
		return max(c.lease.Expire.Sub(now)/2, leastWait)
	}
	d := firstRetry
	for range c.tries - 1 {
		d = min(2*d, lastRetry)
	}
	return d + time.Duration(c.rand.Int64N(int64(2*spread))) - spread
}

// receive takes a message of a server. What answers nothing that was asked is left
// alone, whoever sent it.
func (c *Client) receive(now time.Time, m *dhcpv4.DHCPv4) []ClientOutput {
	if m.OpCode != dhcpv4.OpcodeBootReply || m.TransactionID != c.xid || string(m.ClientHWAddr) != string(c.cfg.HardwareAddr[:]) {
		return nil
	}
	server := address(m.ServerIdentifier())
	switch kind := m.MessageType(); c.state {
	case selecting:
		l, err := c.read(now, m)
		if kind != dhcpv4.MessageTypeOffer || err != nil {
			return c.unread(kind == dhcpv4.MessageTypeOffer, server, err)
		}
		c.offer, c.state, c.tries, c.began = m, requesting, 0, now
		return append([]ClientOutput{Offered{l}}, c.send(now)...)
	case requesting, rebooting, renewing, rebinding:
		if c.state == requesting && server != address(c.offer.ServerIdentifier()) {
			return nil
		}
		if c.state == renewing && server != c.lease.Server {
			return nil
		}
		switch kind {
		case dhcpv4.MessageTypeAck:
			return c.acked(now, m)
		case dhcpv4.MessageTypeNak:
			return c.refused(now, server)
		}
	}
	return nil
}

func (c *Client) unread(offered bool, server netip.Addr, err error) []ClientOutput {
	if !offered {
		return nil
	}
	return []ClientOutput{Event{"message-ignored", map[string]any{"message": "dhcp-offer", "source": server.String(), "reason": err.Error()}}}
}

// acked takes a DHCPACK.
func (c *Client) acked(now time.Time, m *dhcpv4.DHCPv4) []ClientOutput {
	l, err := c.read(now, m)
	had, has := c.Lease()
	switch {
	case err != nil:
		return []ClientOutput{Event{"message-ignored", map[string]any{"message": "dhcp-ack", "source": address(m.ServerIdentifier()).String(), "reason": err.Error()}}}
	case has && l.Address != had.Address:
		return nil // a lease is prolonged, not exchanged
	case c.state == rebooting && l.Address.Addr() != c.previous, c.state == requesting && l.Address.Addr() != address(c.offer.YourIPAddr):
		return nil
	}
	c.lease = l
	if !has && c.cfg.Probe {
		c.state, c.retry = probing, time.Time{}
		return []ClientOutput{Probe{l.Address.Addr()}}
	}
	return c.take()
}

func (c *Client) take() []ClientOutput {
	c.state, c.retry, c.refusals = bound, c.lease.Renew, 0
	c.previous = c.lease.Address.Addr()
	return []ClientOutput{Configured{c.lease}}
}

// refused begins again after a DHCPNAK: RFC 2131, section 3.1, step 4. Who is
// refused again and again asks ever more seldom.
func (c *Client) refused(now time.Time, server netip.Addr) []ClientOutput {
	out := append(c.lose("refused"), Event{"lease-refused", map[string]any{"server": server.String()}})
	c.previous = netip.Addr{}
	c.refusals++
	if c.refusals == 1 {
		return append(out, c.discover(now)...)
	}
	c.state = waiting
	c.retry = now.Add(min(time.Second<<min(c.refusals, 10), lastRetry))
	return out
}

// lose takes away the address that there is.
func (c *Client) lose(reason string) []ClientOutput {
	if l, has := c.Lease(); has {
		c.lease = Lease{}
		return []ClientOutput{Deconfigured{l.Address, reason}}
	}
	return nil
}

func (c *Client) probed(now time.Time, in Probed) []ClientOutput {
	l, has := c.Lease()
	if c.state != probing && !has || in.Address != l.Address.Addr() {
		return nil
	}
	if !in.InUse {
		if has {
			return nil
		}
		return c.take()
	}
	out := c.lose("duplicate")
	m := c.message(now, dhcpv4.MessageTypeDecline)
	m.UpdateOption(dhcpv4.OptServerIdentifier(ip(l.Server)))
	m.UpdateOption(dhcpv4.OptRequestedIPAddress(ip(in.Address)))
	c.state, c.retry, c.lease, c.previous = waiting, now.Add(afterProbe), Lease{}, netip.Addr{}
	out = append(out,
		Send{From: netip.IPv4Unspecified(), To: netip.AddrPortFrom(Everybody, ServerPort), Message: m},
		Event{"address-failed", map[string]any{"address": in.Address.String()}})
	if c.declines++; c.declines == 1 {
		return append(out, c.discover(now)...)
	}
	return out
}

func (c *Client) stop(release bool) []ClientOutput {
	var out []ClientOutput
	reason := "link-gone"
	if l, has := c.Lease(); has && release {
		reason = "released"
		m := c.message(c.began, dhcpv4.MessageTypeRelease)
		m.ClientIPAddr = ip(l.Address.Addr())
		m.UpdateOption(dhcpv4.OptServerIdentifier(ip(l.Server)))
		out = append(out, Send{From: l.Address.Addr(), To: netip.AddrPortFrom(l.Server, ServerPort), Message: m})
	}
	out = append(out, c.lose(reason)...)
	c.state, c.retry, c.lease, c.offer = stopped, time.Time{}, Lease{}, nil
	return out
}

// Tick does what is due at now, and nothing before Deadline.
func (c *Client) Tick(now time.Time) []ClientOutput {
	if d := c.Deadline(); d.IsZero() || now.Before(d) {
		return nil
	}
	switch c.state {
	case bound:
		c.begin(now, renewing)
		if !now.Before(c.lease.Rebind) {
			c.state = rebinding
		}
		return c.send(now)
	case renewing:
		if !now.Before(c.lease.Rebind) {
			c.begin(now, rebinding)
		}
		return c.send(now)
	case rebinding:
		if !now.Before(c.lease.Expire) {
			return append(c.lose("expired"), c.discover(now)...)
		}
	case requesting:
		if c.tries >= requestTries {
			return c.discover(now)
		}
	case rebooting:
		if c.tries >= rebootTries {
			return c.discover(now)
		}
	case waiting:
		return c.discover(now)
	}
	return c.send(now)
}

// Deadline is when Tick has something to do; zero: never, as things stand.
func (c *Client) Deadline() time.Time {
	at := c.retry
	switch c.state {
	case stopped, probing:
		return time.Time{}
	case renewing:
		at = earlier(at, c.lease.Rebind)
	case rebinding:
		at = earlier(at, c.lease.Expire)
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// read reads what a server gives, which must be of use.
func (c *Client) read(now time.Time, m *dhcpv4.DHCPv4) (Lease, error) {
	a, server := address(m.YourIPAddr), address(m.ServerIdentifier())
	ones, bits := m.SubnetMask().Size()
	d := m.IPAddressLeaseTime(0)
	switch {
	case !server.IsValid() || server.IsMulticast():
		return Lease{}, fmt.Errorf("no server identifier")
	case !a.IsValid() || a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.As4()[0] >= 240:
		return Lease{}, fmt.Errorf("address %v: want one that a node can have", m.YourIPAddr)
	case bits != 32 || ones < 1 || ones > 30:
		return Lease{}, fmt.Errorf("subnet mask %v: want one of 1 to 30 bits", m.SubnetMask())
	case d < time.Second:
		return Lease{}, fmt.Errorf("lease time %v: want one second or more", d)
	}
	l := Lease{Address: netip.PrefixFrom(a, ones), Server: server, DNS: addresses(m.DNS()), Domain: m.DomainName()}
	for _, r := range addresses(m.Router()) {
		if l.Address.Contains(r) && r != a {
			l.Router = r
			break
		}
	}
	if mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, m.Options); err == nil && mtu >= 68 { // RFC 2132, section 5.1
		l.MTU = int(mtu)
	}
	if d >= infinite {
		return l, nil
	}
	renew, rebind := m.IPAddressRenewalTime(d/2), m.IPAddressRebindingTime(d*7/8) // section 4.4.5
	if renew >= rebind || rebind >= d {
		renew, rebind = d/2, d*7/8
	}
	l.Renew, l.Rebind, l.Expire = now.Add(renew), now.Add(rebind), now.Add(d)
	return l, nil
}
