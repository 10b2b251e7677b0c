package radpeer

import (
	"container/list"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"s2clab/nodes/wire/radius"
)

// A Known is a client that a Server answers, found by its address: RFC 2865,
// section 3. It is a prefix, of which the longest counts.
type Known struct {
	Name   string // for those who read events
	Prefix netip.Prefix
	Secret radius.Secret
	// Guarded has requests without a Message-Authenticator discarded: RFC 5080,
	// section 2.2.2.
	Guarded bool
}

// ServerOptions is what a Server needs to know.
type ServerOptions struct {
	Clients []Known
	Keep    time.Duration // an answer, for duplicates of its request; 5 s to 30 s (RFC 5080, section 2.2.2); 0: 30 s
	Most    int           // requests kept, of which the oldest gives way; 0: 4096
	Salts   *rand.Rand    // where salts of covered keys begin
}

// A Server takes requests of known clients and gives them to its owner, each
// once. The owner answers when he can. A request that comes again is answered as
// it was, or not yet: RFC 5080, section 2.2.2.
type Server struct {
	options ServerOptions
	kept    map[origin]*list.Element // of *exchange
	line    *list.List               // the same, the oldest first
	open    map[uint64]*exchange     // by ID, those without an answer
	last    uint64                   // the ID given last
	out     []Output
}

// An origin is what tells requests apart, beside their authenticators.
type origin struct {
	socket     int
	from       netip.AddrPort
	identifier uint8
}

// An exchange is a request and, in time, its answer.
type exchange struct {
	origin
	id      uint64
	at      time.Time // when it came; of an answered one, when the answer went
	secret  radius.Secret
	request radius.Authenticator
	proxies []radius.Attribute // Proxy-State, in their order
	answer  []byte             // nil: none yet
}

// NewServer makes a Server.
func NewServer(o ServerOptions) (*Server, error) {
	if o.Salts == nil {
		return nil, errors.New("radius server: no source of random numbers")
	}
	if o.Keep == 0 {
		o.Keep = 30 * time.Second
	}
	if o.Keep < 5*time.Second || o.Keep > 30*time.Second {
		return nil, errors.New("radius server: answers kept for " + o.Keep.String() + ", want 5s to 30s")
	}
	if o.Most <= 0 {
		o.Most = 4096
	}
	o.Clients = slices.Clone(o.Clients)
	for i, k := range o.Clients {
		if len(k.Secret) == 0 { // RFC 2865, section 3
			return nil, errors.New("radius server: no shared secret with " + k.Name)
		}
		o.Clients[i].Prefix = k.Prefix.Masked()
	}
	slices.SortStableFunc(o.Clients, func(a, b Known) int { return b.Prefix.Bits() - a.Prefix.Bits() })
	return &Server{options: o, kept: map[origin]*list.Element{}, line: list.New(), open: map[uint64]*exchange{}}, nil
}

// Deadline is when Tick has something to do; zero: never.
func (s *Server) Deadline() time.Time {
	if first := s.line.Front(); first != nil {
		return first.Value.(*exchange).at.Add(s.options.Keep)
	}
	return time.Time{}
}

// Tick forgets what was kept long enough; a request that has no answer by then
// gets none.
func (s *Server) Tick(now time.Time) []Output {
	s.out = s.out[:0]
	for d := s.Deadline(); !d.IsZero() && !now.Before(d); d = s.Deadline() {
		s.forget(s.line.Front())
	}
	return s.out
}

func (s *Server) forget(e *list.Element) {
	x := e.Value.(*exchange)
	s.line.Remove(e)
	delete(s.kept, x.origin)
	delete(s.open, x.id)
}

// Received takes a datagram.
func (s *Server) Received(now time.Time, in Received) []Output {
	s.Tick(now)
	s.out = s.out[:0]
	if reason := s.receive(now, in); reason != "" {
		s.out = append(s.out, Ignored{in.Socket, in.From, reason})
	}
	return s.out
}

// receive gives why a datagram is ignored; empty: it was delivered.
func (s *Server) receive(now time.Time, in Received) string {
	from := in.From.Addr().Unmap().WithZone("")
	i := slices.IndexFunc(s.options.Clients, func(k Known) bool { return k.Prefix.Contains(from) })
	if i < 0 {
		return "unknown-client"
	}
	client := &s.options.Clients[i]
	p, err := radius.Parse(in.Octets)
	if err != nil {
		return reasonOf(err)
	}
	if p.Code != radius.AccessRequest {
		return "unexpected-code"
	}
	guarded, err := radius.VerifyRequest(in.Octets, client.Secret)
	if err != nil {
		return reasonOf(err)
	}
	if !guarded && (client.Guarded || !proves(p)) {
		return "unauthenticated"
	}
	o := origin{in.Socket, in.From, p.Identifier}
	if e := s.kept[o]; e != nil {
		x := e.Value.(*exchange)
		if x.request == p.Authenticator {
			if x.answer != nil {
				s.out = append(s.out, Send{x.socket, x.from, x.answer})
			}
			return "duplicate-request"
		}
		s.forget(e) // the client has used the identifier again
	}
	if s.line.Len() >= s.options.Most {
		s.forget(s.line.Front())
	}
	s.last++
	x := &exchange{origin: o, id: s.last, at: now, secret: client.Secret, request: p.Authenticator}
	for _, a := range p.Attributes {
		if a.Type == radius.ProxyState {
			x.proxies = append(x.proxies, a)
		}
	}
	s.kept[o] = s.line.PushBack(x)
	s.open[x.id] = x
	s.out = append(s.out, Deliver{ID: x.id, From: in.From, Client: client.Name, Guarded: guarded, Packet: p,
		Cover: &radius.Cover{Secret: x.secret, Request: x.request, Salt: uint16(s.options.Salts.Uint32())}})
	return ""
}

// proves says whether a request without Message-Authenticator has something else
// to prove itself by: RFC 3579, section 3.3, note 1. EAP-Message is never without.
func proves(p *radius.Packet) bool {
	return p.Has(radius.UserPassword) || p.Has(radius.CHAPPassword) || p.Has(radius.ARAPPassword)
}

// Answer answers a delivered request: with an Access-Accept, Access-Reject or
// Access-Challenge of these attributes, before which a Message-Authenticator and
// behind which the request's Proxy-State attributes are put: RFC 2865, section
// 5.33. Of a request that was forgotten or is answered nothing comes but Ignored.
func (s *Server) Answer(now time.Time, id uint64, code radius.Code, as []radius.Attribute) ([]Output, error) {
	s.out = s.out[:0]
	x := s.open[id]
	if x == nil {
		return append(s.out, Ignored{Reason: "answer-to-nothing"}), nil
	}
	p := radius.Packet{Code: code, Identifier: x.identifier, Attributes: slices.Concat(radius.Guard(as), x.proxies)}
	b, err := p.AppendResponse(nil, x.secret, x.request)
	if err != nil {
		return nil, err
	}
	delete(s.open, id)
	x.answer, x.at, x.proxies = b, now, nil
	s.line.MoveToBack(s.kept[x.origin])
	return append(s.out, Send{x.socket, x.from, b}), nil
}
