package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"s2clab/nodes/control"
)

const (
	port        = 53
	connections = 64              // over TCP, at a time
	patience    = 5 * time.Second // for a client over TCP: RFC 7766, section 6.2.3
	queries     = 100             // of one connection
)

// Run is role dns: it runs until ctx or the lab ends.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	return run(ctx, c, c.Commands(), cfg)
}

// teller is what a control.Conn does for this role.
type teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

func run(ctx context.Context, t teller, commands <-chan control.Command, cfg *control.Config) error {
	z, err := newZone(cfg.Node, cfg.DNS)
	if err != nil {
		return err
	}
	s := &server{zone: z, slots: make(chan struct{}, connections)}
	ctx, cancel := context.WithCancelCause(ctx)
	defer s.running.Wait()
	defer cancel(nil)
	for _, a := range listens(cfg) {
		if err := s.listen(ctx, netip.AddrPortFrom(a, port), cancel); err != nil {
			return err
		}
	}
	t.Event("ready", nil)
	for {
		select {
		case cmd, ok := <-commands:
			if !ok {
				return nil
			}
			t.Reply(cmd.ID, nil, fmt.Errorf("a DNS server knows no command %q", cmd.Name))
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}
	}
}

// A server answers queries. What it keeps for others is bounded.
type server struct {
	zone    *zone
	slots   chan struct{} // taken by connections
	running sync.WaitGroup
}

// listen answers what comes to an address until ctx ends.
func (s *server) listen(ctx context.Context, at netip.AddrPort, fail context.CancelCauseFunc) error {
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		udp.Close()
		return err
	}
	s.running.Go(func() {
		<-ctx.Done()
		udp.Close()
		tcp.Close()
	})
	s.running.Go(func() {
		if err := s.datagrams(udp); err != nil && ctx.Err() == nil {
			fail(err)
		}
	})
	s.running.Go(func() {
		if err := s.accept(ctx, tcp); err != nil && ctx.Err() == nil {
			fail(err)
		}
	})
	return nil
}

// reply is the answer to octets; nil: they are no query.
func (s *server) reply(b []byte, udp bool) []byte {
	q := new(dns.Msg)
	if err := q.Unpack(b); err != nil {
		if len(b) < 12 || b[2]&0x80 != 0 {
			return nil
		}
		// What cannot be read is said to be so by its own number: RFC 1035, section 4.1.1.
		return []byte{b[0], b[1], 0x80 | b[2]&0x79, dns.RcodeFormatError, 0, 0, 0, 0, 0, 0, 0, 0}
	}
	m := s.zone.answer(q, udp)
	if m == nil {
		return nil
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

func (s *server) datagrams(conn *net.UDPConn) error {
	b := make([]byte, dns.MaxMsgSize)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return err
		}
		if out := s.reply(b[:n], true); out != nil {
			conn.WriteToUDPAddrPort(out, from)
		}
	}
}

// accept serves connections, some at a time: more wait in the kernel.
func (s *server) accept(ctx context.Context, l *net.TCPListener) error {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := l.AcceptTCP()
		if err != nil {
			return err
		}
		s.running.Go(func() {
			defer func() { <-s.slots }()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			s.serve(conn)
		})
	}
}

func (s *server) serve(conn *net.TCPConn) {
	defer conn.Close()
	c := &dns.Conn{Conn: conn}
	for range queries {
		conn.SetDeadline(time.Now().Add(patience))
		b, err := c.ReadMsgHeader(nil)
		if err != nil {
			return
		}
		out := s.reply(b, false)
		if out == nil {
			return
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}
