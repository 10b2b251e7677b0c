package aaa

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
	"github.com/fiorix/go-diameter/v4/diam/sm"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

const (
	transactions      = 4096 // of a round
	transactionRounds = 7
	outstanding       = 64 // requests at a time, on one connection
)

// BenchmarkTransactions is how many MIP6-Requests a second come in by one TCP
// connection of the loopback and are answered: by our AAA server, which verifies each
// and makes a key for it; by our side of Diameter alone, which says yes to each; and by
// go-diameter, which does so too. The three take turns. Whoever asks is on the same
// machine, takes its share, and looks at the length, the command and the result of an
// answer only:
//
//	go test -run none -bench Transactions ./nodes/aaa
func BenchmarkTransactions(b *testing.B) {
	servers := []*asker{askerOf(b, servingAAA(b)), askerOf(b, servingYes(b)), askerOf(b, servingGo(b))}
	for b.Loop() {
		rates := make([][]float64, len(servers))
		var real, plain []float64
		for range transactionRounds {
			var now [3]float64
			for i, s := range servers {
				start := time.Now()
				if err := s.ask(transactions); err != nil {
					b.Fatalf("server %d: %v", i, err)
				}
				now[i] = transactions / time.Since(start).Seconds()
				rates[i] = append(rates[i], now[i])
			}
			real, plain = append(real, now[0]/now[2]), append(plain, now[1]/now[2])
		}
		b.ReportMetric(0, "ns/op")
		for i, unit := range []string{"served-k/s", "answered-k/s", "go-diameter-k/s"} {
			slices.Sort(rates[i])
			b.ReportMetric(rates[i][transactionRounds/2]/1e3, unit)
		}
		slices.Sort(real)
		slices.Sort(plain)
		b.ReportMetric(real[transactionRounds/2], "served/go-diameter")
		b.ReportMetric(plain[transactionRounds/2], "answered/go-diameter")
	}
}

// TestTheServersOfTheBenchmarkAnswerEachRequest holds what it measures.
func TestTheServersOfTheBenchmarkAnswerEachRequest(t *testing.T) {
	for name, at := range map[string]netip.AddrPort{"aaa": servingAAA(t), "yes": servingYes(t), "go-diameter": servingGo(t)} {
		if err := askerOf(t, at).ask(3*outstanding + 1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An asker is a home agent with one connection, which asks the same again and again
// under other identifiers.
type asker struct {
	net.Conn
	from    *bufio.Reader
	request []byte
	next    uint32
}

func askerOf(t testing.TB, at netip.AddrPort) *asker {
	t.Helper()
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	a := &asker{Conn: c, from: bufio.NewReaderSize(c, 1<<16)}
	hello, err := (&diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{Identity: diameter.Identity{Host: "pgw." + realm, Realm: realm},
		Addresses: []netip.Addr{netip.IPv6Loopback()}, Product: "test", Auth: []diameter.Application{diameter.MIP6A}}}).AppendTo(nil, diameter.Header{HopByHop: 1, EndToEnd: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(hello); err != nil {
		t.Fatal(err)
	}
	if err := a.answered(diameter.CapabilitiesExchange, make([]byte, 1<<12)); err != nil {
		t.Fatal(err)
	}
	if a.request, err = request().AppendTo(nil, diameter.Header{}); err != nil {
		t.Fatal(err)
	}
	return a
}

// ask asks n times, and waits for all answers.
func (a *asker) ask(n int) error {
	var many []byte
	room := make([]byte, 1<<12)
	for sent, heard := 0, 0; heard < n; {
		many = many[:0]
		for ; sent < n && sent-heard < outstanding; sent++ {
			a.next++
			at := len(many)
			many = append(many, a.request...)
			binary.BigEndian.PutUint32(many[at+12:], a.next) // Hop-by-Hop, then End-to-End
			binary.BigEndian.PutUint32(many[at+16:], a.next)
		}
		if len(many) > 0 {
			if _, err := a.Write(many); err != nil {
				return err
			}
		}
		if err := a.answered(diameter.MIP6, room); err != nil {
			return err
		}
		for heard++; a.from.Buffered() > 0; heard++ {
			if err := a.answered(diameter.MIP6, room); err != nil {
				return err
			}
		}
	}
	return nil
}

// success is the AVP Result-Code with DIAMETER_SUCCESS, mandatory: RFC 6733, section 7.1.
var success = []byte{0, 0, 1, 12, 0x40, 0, 0, 12, 0, 0, 0x07, 0xd1}

// answered reads one answer, which must be to that command and say yes.
func (a *asker) answered(command diameter.Command, room []byte) error {
	if _, err := io.ReadFull(a.from, room[:20]); err != nil {
		return err
	}
	length := int(binary.BigEndian.Uint32(room) & 0xffffff)
	if length > len(room) || length < 20 {
		return fmt.Errorf("answer of %d octets", length)
	}
	if _, err := io.ReadFull(a.from, room[20:length]); err != nil {
		return err
	}
	if got := binary.BigEndian.Uint32(room[4:]) & 0xffffff; got != uint32(command) || room[4]&0x80 != 0 {
		return fmt.Errorf("command %d, want an answer to %d", got, command)
	}
	for rest := room[20:length]; len(rest) >= 8; {
		size := int(binary.BigEndian.Uint32(rest[4:]) & 0xffffff)
		if slices.Equal(rest[:min(len(success), len(rest))], success) {
			return nil
		}
		rest = rest[min((max(size, 8)+3)&^3, len(rest)):]
	}
	return errors.New("an answer that does not say success")
}

// listening gives a transport of ours that listens until the test ends, and its address.
func listening(t testing.TB) (*host.DiameterTransport, netip.AddrPort, context.Context, *sync.WaitGroup) {
	t.Helper()
	transport := host.NewDiameterTransport(context.Background())
	at, err := transport.Listen(netip.MustParseAddrPort("[::1]:0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		done.Wait()
		transport.Close()
	})
	return transport, at, ctx, &done
}

// servingAAA is our AAA server.
func servingAAA(t testing.TB) netip.AddrPort {
	t.Helper()
	m, err := New(config(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	transport, at, ctx, done := listening(t)
	done.Go(func() { run(ctx, m, sides{diameter: transport}, newLab(), make(chan control.Command)) })
	return at
}

// servingYes is our side of Diameter, with an owner that says yes.
func servingYes(t testing.TB) netip.AddrPort {
	t.Helper()
	identity := diameter.Identity{Host: "yes." + realm, Realm: realm}
	s := diampeer.NewServer(diampeer.ServerOptions{Now: time.Now(), Local: diampeer.Local{Identity: identity, Product: "s2clab", Rand: rand.New(rand.NewPCG(1, 2)),
		Applications: []diameter.Application{diameter.MIP6A}, Serves: []diampeer.Service{{Application: diameter.MIP6A, Command: diameter.MIP6}}}})
	transport, at, ctx, done := listening(t)
	yes := func(m *diameter.Message) []byte {
		r, err := diameter.ParseMIP6Request(m)
		if err != nil {
			return nil
		}
		octets, err := (&diameter.MIP6Answer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: identity, Homes: []netip.Addr{r.Home},
			MSA: &diameter.MSA{Key: make([]byte, 16), Lifetime: time.Hour, SPI: 777, Algorithm: diameter.HMACSHA1, Replay: diameter.ReplayTimestamp}}).AppendTo(nil, m.Header)
		if err != nil {
			return nil
		}
		return octets
	}
	done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case in := <-transport.Inputs():
				for _, o := range slices.Clone(s.Step(time.Now(), in)) {
					if o, ok := o.(diampeer.Deliver); ok {
						for _, o := range s.Answer(time.Now(), o.ID, yes(o.Message), true) {
							transport.Act(o)
						}
						continue
					}
					transport.Act(o)
				}
			}
		}
	})
	return at
}

// servingGo is go-diameter, with a handler that says yes.
func servingGo(t testing.TB) netip.AddrPort {
	t.Helper()
	words, err := dict.NewParser("../wire/diameter/testdata/mip6a.xml")
	if err != nil {
		t.Fatal(err)
	}
	machine := sm.New(&sm.Settings{OriginHost: "theirs.example", OriginRealm: "example", ProductName: "go-diameter", Dict: words,
		HostIPAddresses: []datatype.Address{datatype.Address(net.IPv6loopback)}})
	machine.HandleFunc("MIR", func(c diam.Conn, m *diam.Message) {
		a := m.Answer(diam.Success)
		session, err := m.FindAVP("Session-Id", 0)
		if err != nil {
			return
		}
		a.InsertAVP(session)
		a.NewAVP("Auth-Application-Id", avp.Mbit, 0, datatype.Unsigned32(8))
		a.NewAVP("Origin-Host", avp.Mbit, 0, datatype.DiameterIdentity("theirs.example"))
		a.NewAVP("Origin-Realm", avp.Mbit, 0, datatype.DiameterIdentity("example"))
		a.WriteTo(c)
	})
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &diam.Server{Handler: machine, Dict: words}
	go server.Serve(l)
	t.Cleanup(func() { server.Close(); l.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}
