package aaa

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/radpeer"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/radius"
)

// A radiusSide is the side of this node that is asked by RADIUS. What is asked is
// put into Diameter's terms, and decided on as if it had come so.
type radiusSide struct {
	server  *radpeer.Server
	clients map[string]*control.RADIUSClient // by host
	out     []radpeer.Output                 // of the present call: Send only
}

// answerRADIUS makes the server that RADIUS clients ask.
func (m *Machine) answerRADIUS(own *control.AAA, rng *rand.Rand) (err error) {
	if own.RADIUS == nil {
		return nil
	}
	o := radpeer.ServerOptions{Salts: rng}
	r := &radiusSide{clients: map[string]*control.RADIUSClient{}}
	for i := range own.RADIUS.Clients {
		c := &own.RADIUS.Clients[i]
		r.clients[c.Host] = c
		for _, p := range c.Addresses {
			o.Clients = append(o.Clients, radpeer.Known{Name: c.Host, Prefix: p, Secret: c.Secret, Guarded: true})
		}
	}
	r.server, err = radpeer.NewServer(o)
	m.radius = r
	return err
}

// Received takes a datagram that a RADIUS client has sent.
func (m *Machine) Received(now time.Time, in radpeer.Received) ([]diampeer.Output, []telling.Event) {
	m.begin()
	m.heardRADIUS(now, m.radius.server.Received(now, in))
	return m.out, m.events.Take(now)
}

// Datagrams are what the last call has to be sent by RADIUS: they go with what it
// has returned, and hold as long.
func (m *Machine) Datagrams() []radpeer.Output {
	if m.radius == nil {
		return nil
	}
	return m.radius.out
}

// heardRADIUS passes on what is to be sent, tells what happened, and serves a request.
func (m *Machine) heardRADIUS(now time.Time, out []radpeer.Output) {
	var serve *datagram
	for _, o := range out {
		switch o := o.(type) {
		case radpeer.Deliver: // one at most: a datagram is one request
			serve = &datagram{Deliver: o, client: m.radius.clients[o.Client]}
		case radpeer.Ignored:
			if o.Reason == "duplicate-request" {
				m.counts.Duplicates++
			}
			m.events.Tell("message-ignored", map[string]any{"peer": m.radius.nameOf(o.From.Addr()), "reason": o.Reason})
		default:
			m.radius.out = append(m.radius.out, o)
		}
	}
	if serve != nil {
		m.serveRADIUS(now, serve)
	}
}

// nameOf is how events name who is at an address.
func (r *radiusSide) nameOf(at netip.Addr) string {
	at = at.Unmap().WithZone("")
	for _, c := range r.clients {
		for _, p := range c.Addresses {
			if p.Contains(at) {
				return c.Host
			}
		}
	}
	return at.String()
}

// A datagram is a request by RADIUS that is to be answered.
type datagram struct {
	radpeer.Deliver
	client *control.RADIUSClient
}

// serveRADIUS answers a request, or begins to. RADIUS has no word for being too busy:
// who hears nothing asks another server.
func (m *Machine) serveRADIUS(now time.Time, q *datagram) {
	as := q.Packet.Attributes
	switch {
	case m.busy:
		m.silent(q, "too-busy")
	case q.Packet.Has(radius.EAPMessage):
		m.converseRADIUS(now, q)
	case radius.IsBindingRequest(as):
		m.bindingAsked(now, q)
	case radius.IsKeyRequest(as):
		m.keyAsked(now, q)
	default:
		m.reject(now, q, "nothing that this server decides on")
	}
}

// silent tells of a request that gets no answer.
func (m *Machine) silent(q *datagram, reason string) {
	m.events.Tell("message-ignored", map[string]any{"peer": q.Client, "reason": reason})
}

// answer answers a request. Err is why its attributes could not be made.
func (m *Machine) answer(now time.Time, q *datagram, code radius.Code, as []radius.Attribute, err error) {
	var out []radpeer.Output
	if err == nil {
		out, err = m.radius.server.Answer(now, q.ID, code, as)
	}
	if err != nil { // too much of what the configuration or the HSS has does not fit
		code = radius.AccessReject
		if out, err = m.radius.server.Answer(now, q.ID, code, nil); err != nil {
			panic("aaa: an Access-Reject without attributes: " + err.Error()) // nothing in it can be too long
		}
	}
	m.counts.Requests++
	m.counts.Results[code.String()]++
	fields := map[string]any{"command": q.Packet.Code.String(), "result": uint32(code), "name": code.String()}
	if users := q.Packet.All(radius.UserName); len(users) > 0 {
		fields["nai"] = shown(string(users[0]))
	}
	m.events.Tell("request-answered", fields)
	m.heardRADIUS(now, out)
}

// reject answers that nothing comes of a request, in words for people.
func (m *Machine) reject(now time.Time, q *datagram, why string) {
	as, err := radius.Add(nil, radius.ReplyMessage, []byte(why))
	m.answer(now, q, radius.AccessReject, as, err)
}

// refused answers with what a refusal is in RADIUS. Where somebody behind this server
// could not be asked, another server may know.
func (m *Machine) refused(now time.Time, q *datagram, o diameter.Outcome) {
	if o.Result.ProtocolError() {
		m.silent(q, "unable-to-deliver")
		return
	}
	m.reject(now, q, o.Text)
}

// bindingAsked takes the request of a home agent of 3GPP2 about a Binding Update:
// RFC 5419, section 6.2.
func (m *Machine) bindingAsked(now time.Time, q *datagram) {
	r, err := radius.ParseBindingRequest(q.Packet.Attributes)
	switch {
	case err != nil:
		m.reject(now, q, "the request is malformed")
		return
	case !q.client.HomeAgent.IsValid() || r.HomeAgent != q.client.HomeAgent:
		m.reject(now, q, "the home agent is another")
		return
	}
	answer := &diameter.MIP6Answer{Outcome: diameter.Outcome{Result: diameter.Success}}
	m.decide(now, &diameter.MIP6Request{
		Identity: diameter.Identity{Host: q.client.Host}, User: r.User, Mode: diameter.AuthMNAAA, SPI: mh.HMACSHA1SPI, NoState: true,
		Home: r.Home, HomeAgent: r.HomeAgent, CareOf: r.CareOf.Unmap(), Authenticator: r.Authenticator, MobilityData: r.MobilityData, Timestamp: r.Timestamp,
	}, answer, func(now time.Time) bool {
		if !answer.Result.Succeeded() {
			m.refused(now, q, answer.Outcome)
			return true
		}
		accept := &radius.BindingAccept{User: answer.User, SessionKey: answer.MSA.Key, Lifetime: answer.MSA.Lifetime, Home: answer.Homes[0], HomeAgent: answer.Agent}
		as, err := accept.AppendTo(nil, q.Cover)
		m.answer(now, q, radius.AccessAccept, as, err)
		return true
	})
}

// keyAsked takes the request of a home agent of WiMAX for an MN-HA key, which is made
// of what the last access authentication has left.
func (m *Machine) keyAsked(now time.Time, q *datagram) {
	r, err := radius.ParseKeyRequest(q.Packet.Attributes)
	if err != nil {
		m.reject(now, q, "the request is malformed")
		return
	}
	known := m.records.byNAI[r.User]
	switch {
	case !m.authority.keeps():
		m.reject(now, q, "keys are not fetched here")
		return
	case !q.client.HomeAgent.IsValid() || r.HomeAgent != q.client.HomeAgent:
		m.reject(now, q, "the home agent is another")
		return
	case known == nil:
		m.reject(now, q, "no access has authenticated the mobile node")
		return
	}
	m.withProfile(now, known, func(now time.Time, result diameter.ResultCode, reason string) {
		switch {
		case reason != "" && (result == 0 || result.ProtocolError()):
			m.silent(q, "unable-to-deliver")
			return
		case reason != "":
			m.reject(now, q, "the HSS: "+reason)
			return
		case known.barred():
			m.reject(now, q, "the subscriber is barred")
			return
		}
		key, spi, ok := m.authority.keeper.Key(&bootstrap.Found{Access: known.access}, r.User, bootstrap.Agent{Address: r.HomeAgent, Host: q.client.Host})
		if !ok || spi != r.SPI { // it is of another authentication than the last
			m.reject(now, q, "there is no key for that SPI")
			return
		}
		key.Lifetime = m.authority.keyLifetime
		m.events.Tell("key-fetched", map[string]any{"nai": known.nai, "peer": q.client.Host})
		m.keyMade(known.nai, key)
		as, err := (&radius.KeyAccept{User: known.nai, Key: key.Value, SPI: spi, Lifetime: key.Lifetime}).AppendTo(nil, q.Cover)
		m.answer(now, q, radius.AccessAccept, as, err)
	})
}
