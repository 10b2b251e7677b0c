package ha

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/radpeer"
	"s2clab/nodes/wire/radius"
)

// A radiusAsker asks by RADIUS, as the profiles 3GPP2 and WiMAX have it: about an
// MN-AAA option by a radius.BindingRequest, for the key of an MN-HA option by a
// radius.KeyRequest. What is answered is put into Diameter's terms.
type radiusAsker struct {
	nas    radius.NAS
	agent  netip.Addr
	hosts  map[netip.AddrPort]string // the servers, as events name them
	client *host.RADIUSClient
}

// radiusTries are how often a server is asked before the next is. RFC 5080, section
// 2.2.1, has 5 in 30 s, but a mobile node waits: the wait after the first is a quarter
// of the time-out, so that the third and last leaves it a quarter too.
const radiusTries = 3

// ignoredRate is how many datagrams that were ignored are told of: anybody can send
// them, and of more there is nothing more to learn.
var ignoredRate = rate{perSecond: 10, burst: 20}

// connectRADIUS makes the RADIUS client.
func (k *kernel) connectRADIUS(cfg *control.Config, t teller) (err error) {
	h := cfg.HomeAgent
	o := radpeer.ClientOptions{
		Sockets: 4, Initial: h.AAATimeout / 4, Longest: h.AAATimeout, Duration: h.AAATimeout, Tries: radiusTries, Most: maxQuestions,
		Jitter: rand.New(rand.NewPCG(cfg.Seed, 0xaaa)), Random: crand.Reader,
	}
	a := &radiusAsker{nas: radius.NAS{Address: k.address, Identifier: h.Host}, agent: k.address, hosts: map[netip.AddrPort]string{}}
	for _, p := range h.RADIUS {
		o.Servers = append(o.Servers, radpeer.Remote{Address: p.Address, Secret: p.Secret, Guarded: true})
		a.hosts[p.Address] = p.Host
	}
	var ignored bucket
	a.client, err = host.NewRADIUSClient(o, netip.Addr{}, func(o radpeer.Output) {
		if _, anybody := o.(radpeer.Ignored); anybody && !ignored.take(time.Now(), ignoredRate) {
			return
		}
		if name, fields := a.event(o); name != "" {
			t.Event(name, fields)
		}
	})
	k.asker = a
	return err
}

// event gives the event that tells of a RADIUS server; an empty name: none.
func (k *radiusAsker) event(o radpeer.Output) (name string, fields map[string]any) {
	switch o := o.(type) {
	case radpeer.Suspected:
		return "peer-suspected", map[string]any{"peer": k.hosts[o.Server]}
	case radpeer.Restored:
		return "peer-restored", map[string]any{"peer": k.hosts[o.Server]}
	case radpeer.Ignored:
		return eventNames[messageIgnored], map[string]any{"peer": cmp.Or(k.hosts[o.From], o.From.Addr().String()), "reason": o.Reason}
	}
	return "", nil
}

func (k *radiusAsker) run(ctx context.Context) error { return k.client.Run(ctx) }

func (k *radiusAsker) ask(a *AskAAA, done func(Input)) {
	attributes, read, err := k.request(a)
	if err != nil {
		go done(AAAFailed{ID: a.ID, Reason: "malformed-request"})
		return
	}
	k.client.Ask(radpeer.Ask{Attributes: attributes}, func(o radpeer.Outcome) { done(k.outcome(a, o, read)) })
}

// request is what is asked, and how to read an Access-Accept. It fails where RADIUS
// has no place for what is asked: about a Binding Update without a timestamp.
func (k *radiusAsker) request(a *AskAAA) (as []radius.Attribute, read func(*AAAAnswered, radpeer.Outcome) error, err error) {
	if a.Fetch {
		as, err = (&radius.KeyRequest{NAS: k.nas, User: a.NAI, HomeAgent: k.agent, SPI: a.SPI}).AppendTo(nil)
		return as, func(in *AAAAnswered, o radpeer.Outcome) error { return readKey(in, o, a) }, err
	}
	careOf := a.CareOf
	if careOf.Is4() { // the attribute is for IPv6: an IPv4 one is mapped, as in authenticators
		careOf = netip.AddrFrom16(careOf.As16())
	}
	as, err = (&radius.BindingRequest{NAS: k.nas, User: a.NAI, HomeAgent: k.agent, CareOf: careOf, Home: a.HomeAddress,
		Timestamp: a.Timestamp, Authenticator: a.Authenticator, MobilityData: a.MobilityData[:]}).AppendTo(nil)
	return as, readBinding, err
}

// outcome says in the machine's terms what became of a question.
func (k *radiusAsker) outcome(a *AskAAA, o radpeer.Outcome, read func(*AAAAnswered, radpeer.Outcome) error) Input {
	if o.Packet == nil {
		return AAAFailed{ID: a.ID, Reason: o.Reason}
	}
	in := &AAAAnswered{ID: a.ID, Peer: k.hosts[o.Server]}
	switch o.Packet.Code {
	case radius.AccessReject: // RADIUS does not tell why
		in.Result = resultAuthenticationReject
		return in
	case radius.AccessAccept:
		in.Result = resultSuccess
		if read(in, o) == nil {
			return in
		}
	}
	return AAAFailed{ID: a.ID, Reason: "malformed-answer"}
}

// readBinding reads the answer about an MN-AAA option. Its key is that of SPI 5.
func readBinding(in *AAAAnswered, o radpeer.Outcome) error {
	accept, err := radius.ParseBindingAccept(o.Packet.Attributes, o.Cover)
	if err != nil {
		return err
	}
	in.NAI, in.HomeAddress, in.Agent = accept.User, accept.Home, accept.HomeAgent
	if in.Agent.IsValid() {
		in.Result = resultRelocate
	}
	in.Session = &Session{Key: accept.SessionKey, SPI: bootstrap.ThreeGPP2SPI, Lifetime: untilEnd(accept.Lifetime), Timestamp: true}
	return nil
}

// readKey reads the answer that has the key of an MN-HA option.
func readKey(in *AAAAnswered, o radpeer.Outcome, a *AskAAA) error {
	accept, err := radius.ParseKeyAccept(o.Packet.Attributes, o.Cover)
	if err != nil {
		return err
	}
	if accept.SPI != a.SPI {
		return errOtherSPI
	}
	in.NAI = accept.User
	in.Session = &Session{Key: accept.Key, SPI: a.SPI, Lifetime: untilEnd(accept.Lifetime), Timestamp: a.Timestamp != nil}
	return nil
}

var errOtherSPI = errors.New("the key is that of another SPI")

// untilEnd is how long a key is good: where nobody tells, the binding ends it.
func untilEnd(told time.Duration) time.Duration { return cmp.Or(told, longestKey) }
