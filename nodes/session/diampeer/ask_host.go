package diampeer

import (
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
	header  diameter.Header
	session string
	due     time.Time
}

// ask sends a request to the host that it names as its destination: as RFC 6733,
// section 8.5, has a server do with ASR. It goes by the client's own connection,
// or by the agent by which the client was heard last, or not at all, for nobody
// else has the session.
func (s *Server) ask(now time.Time, in Ask) {
	fail := func(reason string) {
		s.out = append(s.out, Done{ID: in.ID, Outcome: Outcome{Reason: reason, EndToEnd: in.Again}})
	}
	if s.stopped {
		fail("stopped")
		return
	}
	if len(s.asked) >= mostOutstanding {
		fail("overload")
		return
	}
	endToEnd := in.Again
	if endToEnd == 0 {
		endToEnd = s.names.nextEndToEnd()
	}
	d, err := s.local.draw(in.Request, endToEnd)
	if err != nil {
		fail("malformed-request")
		return
	}
	p, realm := s.wayTo(d.text(diameter.DestinationHost))
	if p == nil || !p.told.Offers(d.Application) {
		fail("no-peer")
		return
	}
	d.fill(diameter.SessionID, s.names.nextSession)
	d.fill(diameter.DestinationRealm, func() string { return realm })
	octets, err := d.done()
	if err != nil {
		fail("malformed-request")
		return
	}
	o := &outstanding{id: in.ID, conn: p.conn, header: d.Header, session: d.text(diameter.SessionID), due: now.Add(s.timeout)}
	if in.Again != 0 {
		diameter.SetFlags(octets, diameter.Retransmitted)
	}
	o.hop = p.send(octets)
	s.asked = append(s.asked, o)
	s.collect(now, p)
}

// wayTo gives the peer that a request to a host goes to, and the host's realm;
// nil: there is none.
func (s *Server) wayTo(host string) (*peer, string) {
	if p := s.peerNamed(host); p != nil {
		return p, p.told.Realm
	}
	if found, ok := s.hosts.of(host); ok {
		return s.peerNamed(found.via), found.realm
	}
	return nil, ""
}

// heardFrom takes note of who is reached by a peer.
func (s *Server) heardFrom(p *peer, m *diameter.Message) {
	s.hosts.hear(valueOf(m, diameter.OriginHost), valueOf(m, diameter.OriginRealm), p.host)
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
	if i < 0 || s.asked[i].header.Command != m.Command || s.asked[i].header.Application != m.Application {
		s.out = append(s.out, Ignored{Conn: p.conn, Peer: p.host, Reason: "answer-to-nothing"})
		return
	}
	done := s.asked[i]
	s.asked = slices.Delete(s.asked, i, i+1)
	o := Outcome{Peer: p.host, EndToEnd: done.header.EndToEnd, Session: done.session}
	if in.broken != nil || o.read(m, done.session) != nil {
		o.Reason = "malformed-answer"
	} else {
		s.heardFrom(p, m)
	}
	s.out = append(s.out, Done{ID: done.id, Outcome: o})
}

// abandon ends the requests of the server's own for which over says so.
func (s *Server) abandon(reason string, over func(*outstanding) bool) {
	s.asked = slices.DeleteFunc(s.asked, func(o *outstanding) bool {
		if !over(o) {
			return false
		}
		s.out = append(s.out, Done{ID: o.id, Outcome: Outcome{Reason: reason, EndToEnd: o.header.EndToEnd, Session: o.session}})
		return true
	})
}
