package diampeer

import (
	"errors"
	"slices"
	"strings"
	"time"

	"s2clab/nodes/wire/diameter"
)

// mostOutstanding is how many requests of a Server's own wait for an answer at most.
const mostOutstanding = 4096

// An outstanding is a request that a Server has sent to one of its clients.
type outstanding struct {
	id      uint64
	conn    uint64
	hop     uint32
	command diameter.Command
	session string
	due     time.Time
}

// ask sends a request to the client that Ask names: as RFC 6733, section 8.5, has
// a server do with ASR. It goes by the client's own connection or not at all, for
// nobody else has the session.
func (s *Server) ask(now time.Time, in Ask) {
	fail := func(reason string) { s.out = append(s.out, Done{ID: in.ID, Outcome: Outcome{Reason: reason}}) }
	p := s.peerNamed(in.Peer)
	switch {
	case s.stopped:
		fail("stopped")
		return
	case p == nil:
		fail("no-peer")
		return
	case len(s.asked) >= mostOutstanding:
		fail("overload")
		return
	}
	o := &outstanding{id: in.ID, conn: p.conn, due: now.Add(s.timeout)}
	request := in.Request
	if r, ok := request.(*diameter.AbortSessionRequest); ok {
		filled := *r
		filled.Identity = s.local.Identity
		filled.DestinationHost, filled.DestinationRealm = p.told.Host, p.told.Realm
		request, o.command, o.session = &filled, diameter.AbortSession, r.Session
	}
	h := diameter.Header{EndToEnd: s.local.Rand.Uint32()}
	if in.Again {
		h.Flags = diameter.Retransmitted
	}
	octets, err := request.AppendTo(nil, h)
	if err != nil {
		fail("malformed-request")
		return
	}
	o.hop = p.send(octets)
	s.asked = append(s.asked, o)
	s.collect(now, p)
}

// peerNamed gives the open connection with a client; nil: there is none.
func (s *Server) peerNamed(host string) *peer {
	for _, id := range s.order {
		if p := s.peers[id]; p.state == open && strings.EqualFold(p.host, host) {
			return p
		}
	}
	return nil
}

// heard takes the answer to a request of the server's own.
func (s *Server) heard(p *peer, in answered) {
	m := in.message
	i := slices.IndexFunc(s.asked, func(o *outstanding) bool { return o.conn == p.conn && o.hop == m.HopByHop })
	if i < 0 || s.asked[i].command != 0 && s.asked[i].command != m.Command {
		s.out = append(s.out, Ignored{Conn: p.conn, Peer: p.host, Reason: "answer-to-nothing"})
		return
	}
	done := s.asked[i]
	s.asked = slices.Delete(s.asked, i, i+1)
	o := Outcome{Peer: p.host}
	if in.broken != nil || done.read(m, &o) != nil {
		o.Reason = "malformed-answer"
	} else if !o.Result.Succeeded() {
		o.Reason = o.Result.String()
	}
	s.out = append(s.out, Done{ID: done.id, Outcome: o})
}

func (d *outstanding) read(m *diameter.Message, o *Outcome) error {
	outcome, _, err := diameter.ParseError(m)
	if err != nil {
		return err
	}
	if session := m.Find(diameter.SessionID); session != nil && string(session.Data) != d.session {
		return errors.New("the answer is of another session")
	}
	o.Result, o.Message = outcome.Result, m
	return nil
}

// abandon ends the requests of the server's own for which over says so.
func (s *Server) abandon(reason string, over func(*outstanding) bool) {
	s.asked = slices.DeleteFunc(s.asked, func(o *outstanding) bool {
		if !over(o) {
			return false
		}
		s.out = append(s.out, Done{ID: o.id, Outcome: Outcome{Reason: reason}})
		return true
	})
}
