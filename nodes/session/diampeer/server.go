package diampeer

import (
	"slices"
	"strings"
	"time"

	"s2clab/nodes/wire/diameter"
)

// A Server keeps the connections that Diameter clients open, and gives their
// requests to its owner, who answers each by Answer, in any order.
//
// It asks its clients too: the one that is the Destination-Host, or the agent by
// which that host was heard last.
//
// What strangers can make it hold is bounded: connections in all, connections
// that have not said who they are (the oldest gives way to a new one), requests
// that wait for an answer, and answers kept.
type Server struct {
	local   *Local
	most    int
	peers   map[uint64]*peer
	order   []uint64 // of peers, the oldest first
	inbox   inbox
	hosts   hosts
	stopped bool
	timeout time.Duration  // of its own requests
	asked   []*outstanding // its own requests, without an answer yet
	names   identifiers
	out     []Output
}

// ServerOptions is what a Server needs to know.
type ServerOptions struct {
	Local   Local
	Most    int           // connections; 0: 256
	Timeout time.Duration // for the answer to a request of its own; 0: 2 s
	Now     time.Time     // of the start, for identifiers that are unique across starts
}

const (
	defaultConnections = 256
	mostStrangers      = 32 // connections whose CER has not come
)

// NewServer makes a Server without connections.
func NewServer(o ServerOptions) *Server {
	s := &Server{local: &o.Local, most: o.Most, timeout: o.Timeout, peers: map[uint64]*peer{}, inbox: newInbox(), names: newIdentifiers(&o.Local, o.Now)}
	if s.most <= 0 {
		s.most = defaultConnections
	}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	return s
}

// Deadline is when Tick has something to do; zero: never.
func (s *Server) Deadline() (first time.Time) {
	for _, p := range s.peers {
		if !p.at.IsZero() && (first.IsZero() || p.at.Before(first)) {
			first = p.at
		}
	}
	for _, o := range s.asked {
		if first.IsZero() || o.due.Before(first) {
			first = o.due
		}
	}
	return first
}

// Step takes one Input.
func (s *Server) Step(now time.Time, in Input) []Output {
	s.out = s.out[:0]
	switch in := in.(type) {
	case Accepted:
		s.accepted(now, in)
	case Received:
		if p := s.peers[in.Conn]; p != nil {
			p.received(now, in.Octets)
			s.collect(now, p)
		}
	case Closed:
		if p := s.peers[in.Conn]; p != nil {
			p.ended(now, in.Reason)
			s.collect(now, p)
		}
	case Ask:
		s.ask(now, in)
	case Stop:
		s.stopped = true
		s.abandon("stopped", func(*outstanding) bool { return true })
		for _, id := range slices.Clone(s.order) {
			p := s.peers[id]
			p.stop(now, in.Cause)
			s.collect(now, p)
		}
	}
	return s.out
}

// Tick does what is due.
func (s *Server) Tick(now time.Time) []Output {
	s.out = s.out[:0]
	for _, id := range slices.Clone(s.order) {
		if p := s.peers[id]; p != nil {
			p.tick(now)
			s.collect(now, p)
		}
	}
	s.abandon("time-out", func(o *outstanding) bool { return !now.Before(o.due) })
	return s.out
}

// Quiet says that there is no connection.
func (s *Server) Quiet() bool { return len(s.peers) == 0 }

func (s *Server) accepted(now time.Time, in Accepted) {
	if s.stopped {
		s.out = append(s.out, Close{Conn: in.Conn})
		return
	}
	strangers, oldest := 0, uint64(0)
	for _, id := range s.order {
		if s.peers[id].state == waitCER {
			if strangers == 0 {
				oldest = id
			}
			strangers++
		}
	}
	if strangers >= mostStrangers || len(s.peers) >= s.most && strangers > 0 {
		p := s.peers[oldest]
		p.reject(now, "too-many-connections")
		s.collect(now, p)
	}
	if len(s.peers) >= s.most {
		s.out = append(s.out, Rejected{Conn: in.Conn, Reason: "too-many-connections"}, Close{Conn: in.Conn, Abort: true})
		return
	}
	p := &peer{local: s.local, accept: s.admit(now)}
	p.accepted(now, in)
	s.peers[in.Conn] = p
	s.order = append(s.order, in.Conn)
}

// admit decides on a second connection with one peer, which RFC 6733 does not
// let be (section 5.6: R-Reject in R-Open). A client that has lost its state and
// says so by its Origin-State-Id (section 8.16) has lost the first connection
// too, and takes its place.
func (s *Server) admit(now time.Time) func(*peer, *diameter.Capabilities) *diameter.Failure {
	return func(_ *peer, told *diameter.Capabilities) *diameter.Failure {
		if s.stopped {
			return &diameter.Failure{Result: diameter.UnableToComply, What: "going away"}
		}
		for _, id := range slices.Clone(s.order) {
			old := s.peers[id]
			if old.state != open || !strings.EqualFold(old.host, told.Host) {
				continue
			}
			if told.State <= old.told.State && old.health == okay {
				return &diameter.Failure{Result: diameter.UnableToComply, What: "there is a connection with " + told.Host}
			}
			old.fail(now, "replaced", true)
			s.collect(now, old)
		}
		return nil
	}
}

// collect takes over what a peer has to say, and forgets one that has ended.
func (s *Server) collect(now time.Time, p *peer) {
	for _, o := range p.out {
		switch o := o.(type) {
		case Deliver:
			s.heardFrom(p, o.Message)
			s.out = append(s.out, s.inbox.take(now, p, o)...)
			continue
		case answered:
			s.heard(p, o)
			continue
		}
		s.out = append(s.out, o)
	}
	p.out = p.out[:0]
	if p.state == closed {
		s.abandon("connection-lost", func(o *outstanding) bool { return o.conn == p.conn })
		delete(s.peers, p.conn)
		if i := slices.Index(s.order, p.conn); i >= 0 {
			s.order = slices.Delete(s.order, i, i+1)
		}
	}
}

// Answer sends the answer to the request that was delivered under that ID, on
// every connection by which it came and that is still there; where none is, there
// is an Ignored. Unless final says that the answer will always be so, another
// request like it is delivered again.
func (s *Server) Answer(now time.Time, id uint64, octets []byte, final bool) []Output {
	s.out = append(s.out[:0], s.inbox.answer(now, id, octets, final, func(conn uint64) bool {
		p := s.peers[conn]
		return p != nil && p.state == open
	})...)
	return s.out
}
