package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/miekg/dns"

	"s2clab/nodes/control"
	"s2clab/nodes/netns/netnstest"
)

const soon = 10 * time.Second // enough for anything

func config() *control.Config {
	apn := "internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org"
	agent := []netip.Addr{netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("192.0.2.1")}
	cfg := &control.Config{
		Node: "ns", Role: "dns",
		Interfaces: []control.Interface{{Name: "lo", Addresses: []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("127.0.0.1/8")}}},
		DNS: &control.DNS{Domain: "lab.test", Records: []control.DNSRecord{
			{Name: "ue.lab.test", Addresses: []netip.Addr{netip.MustParseAddr("2001:db8:100::10"), netip.MustParseAddr("198.51.100.16")}},
			{Name: "pgw.lab.test", Addresses: agent},
			{Name: apn, Addresses: agent},
			{Name: "_mip6._ipv6.lab.test", Targets: []string{apn}},
			{Name: "_mip6._ipv6.mnc001.mcc001.pub.3gppnetwork.org", Targets: []string{apn}},
		}},
	}
	for i := range 60 {
		cfg.DNS.Records = append(cfg.DNS.Records, control.DNSRecord{Name: "many.lab.test", Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})}})
	}
	return cfg
}

func testZone(t testing.TB) *zone {
	t.Helper()
	z, err := newZone("ns", config().DNS)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func ask(z *zone, name string, kind uint16) *dns.Msg {
	return z.answer(new(dns.Msg).SetQuestion(name, kind), true)
}

func TestNamesAreAnsweredWithWhatTheyHave(t *testing.T) {
	z := testZone(t)
	for _, c := range []struct {
		name  string
		kind  uint16
		rcode int
		want  []string // the answer, without name, TTL and class
	}{
		{"ue.lab.test.", dns.TypeA, dns.RcodeSuccess, []string{"A 198.51.100.16"}},
		{"ue.lab.test.", dns.TypeAAAA, dns.RcodeSuccess, []string{"AAAA 2001:db8:100::10"}},
		{"UE.Lab.Test.", dns.TypeAAAA, dns.RcodeSuccess, []string{"AAAA 2001:db8:100::10"}},
		{"ue.lab.test.", dns.TypeMX, dns.RcodeSuccess, nil},
		{"internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org.", dns.TypeAAAA, dns.RcodeSuccess, []string{"AAAA 2001:db8:1::1"}},
		{"ha-apn.mnc001.mcc001.pub.3gppnetwork.org.", dns.TypeA, dns.RcodeSuccess, nil}, // a name lies below it: RFC 8020
		{"_mip6._ipv6.lab.test.", dns.TypeSRV, dns.RcodeSuccess, []string{"SRV 0 0 0 internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org."}},
		{"_ipv6.lab.test.", dns.TypeSRV, dns.RcodeSuccess, nil},
		{"nobody.lab.test.", dns.TypeA, dns.RcodeNameError, nil},
		{"lab.test.", dns.TypeNS, dns.RcodeSuccess, []string{"NS ns.lab.test."}},
		{"lab.test.", dns.TypeSOA, dns.RcodeSuccess, []string{"SOA ns.lab.test. hostmaster.lab.test. 1 3600 600 86400 10"}},
		{"example.org.", dns.TypeA, dns.RcodeRefused, nil},
		{".", dns.TypeNS, dns.RcodeRefused, nil},
		{"lab.test.", dns.TypeAXFR, dns.RcodeRefused, nil},
	} {
		m := ask(z, c.name, c.kind)
		var got []string
		for _, r := range m.Answer {
			got = append(got, strings.Join(strings.Fields(r.String())[3:], " "))
			if r.Header().Name != c.name {
				t.Errorf("%s is answered as %s", c.name, r.Header().Name)
			}
		}
		if m.Rcode != c.rcode || !slices.Equal(got, c.want) || m.Authoritative != (c.rcode != dns.RcodeRefused) || m.RecursionAvailable {
			t.Errorf("%s %s: %s %q, want %s %q", c.name, dns.TypeToString[c.kind], dns.RcodeToString[m.Rcode], got, dns.RcodeToString[c.rcode], c.want)
		}
		if soa := len(m.Ns) == 1; soa != (c.rcode != dns.RcodeRefused && c.want == nil) {
			t.Errorf("%s %s: authority %v", c.name, dns.TypeToString[c.kind], m.Ns)
		}
	}
	if m := ask(z, "_mip6._ipv6.lab.test.", dns.TypeSRV); len(m.Extra) != 2 {
		t.Errorf("with the service come %v", m.Extra)
	}
}

func TestALongAnswerIsCutForUDPAlone(t *testing.T) {
	z := testZone(t)
	q := new(dns.Msg).SetQuestion("many.lab.test.", dns.TypeA)
	short, long := z.answer(q, true), z.answer(q, false)
	if b, _ := short.Pack(); !short.Truncated || len(b) > 512 {
		t.Errorf("over UDP: truncated %v, %d octets", short.Truncated, len(b))
	}
	if long.Truncated || len(long.Answer) != 60 {
		t.Errorf("over TCP: truncated %v, %d records", long.Truncated, len(long.Answer))
	}
	q.SetEdns0(4096, false)
	wide := z.answer(q, true)
	if b, _ := wide.Pack(); wide.Truncated || len(b) > udpMost || wide.IsEdns0() == nil {
		t.Errorf("with EDNS: truncated %v, %d octets, %v", wide.Truncated, len(b), wide.IsEdns0())
	}
}

func TestWhatIsNoQueryIsNotAnswered(t *testing.T) {
	s := &server{zone: testZone(t)}
	reply := func(change func(m *dns.Msg)) *dns.Msg {
		m := new(dns.Msg).SetQuestion("ue.lab.test.", dns.TypeA)
		change(m)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		out := s.reply(b, true)
		if out == nil {
			return nil
		}
		r := new(dns.Msg)
		if err := r.Unpack(out); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := reply(func(m *dns.Msg) { m.Response = true }); r != nil {
		t.Errorf("an answer is answered with %v", r)
	}
	for what, c := range map[string]struct {
		change func(m *dns.Msg)
		rcode  int
	}{
		"an update":       {func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, dns.RcodeNotImplemented},
		"two questions":   {func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, dns.RcodeFormatError},
		"no question":     {func(m *dns.Msg) { m.Question = nil }, dns.RcodeFormatError},
		"another class":   {func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused},
		"a later version": {func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }, dns.RcodeBadVers},
	} {
		if r := reply(c.change); r == nil || r.Rcode != c.rcode {
			t.Errorf("%s: %v, want %s", what, r, dns.RcodeToString[c.rcode])
		}
	}
	if out := s.reply([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x3f"), true); len(out) != 12 || out[0] != 0x12 || out[3] != dns.RcodeFormatError {
		t.Errorf("half a question: % x", out)
	}
	for _, b := range []string{"", "\x12", "\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00\x3f"} {
		if out := s.reply([]byte(b), true); out != nil {
			t.Errorf("% x is answered with % x", b, out)
		}
	}
}

func FuzzReply(f *testing.F) {
	for _, name := range []string{"ue.lab.test.", "_mip6._ipv6.lab.test.", "many.lab.test."} {
		for _, kind := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeANY} {
			m := new(dns.Msg).SetQuestion(name, kind)
			m.SetEdns0(1232, false)
			b, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	s := &server{zone: testZone(f)}
	f.Fuzz(func(t *testing.T, b []byte) {
		out := s.reply(b, true)
		if len(out) > udpMost {
			t.Fatalf("%d octets", len(out))
		}
		if out != nil && (out[0] != b[0] || out[1] != b[1] || out[2]&0x80 == 0) {
			t.Fatalf("% x is answered with % x", b, out)
		}
		s.reply(b, false)
	})
}

type told struct {
	events  chan string
	replies chan error
}

func (t *told) Event(name string, _ map[string]any) { t.events <- name }
func (t *told) Reply(_ uint64, _ any, err error)    { t.replies <- err }

func next[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(soon):
		t.Fatal("nothing came")
	}
	return v
}

// serve runs the role in a namespace of its own.
func serve(t *testing.T) ns.NetNS {
	t.Helper()
	space := netnstest.New(t)
	r, ended, inside := &told{make(chan string, 10), make(chan error, 10)}, make(chan error, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	commands := make(chan control.Command)
	go func() {
		defer close(inside)
		space.Do(func(ns.NetNS) error {
			// Sockets are made where run is called; what it starts only uses them.
			ended <- run(ctx, r, commands, config())
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := next(t, ended); err != nil {
			t.Errorf("ended with %v", err)
		}
		<-inside
	})
	select {
	case <-r.events:
	case err := <-ended:
		ended <- err
		t.Fatalf("ended with %v", err)
	case <-time.After(soon):
		t.Fatal("not ready")
	}
	commands <- control.Command{ID: 1, Name: "dance"}
	if err := next(t, r.replies); err == nil {
		t.Error("it dances")
	}
	return space
}

func TestAnIndependentResolverIsAnswered(t *testing.T) {
	dig, err := exec.LookPath("dig")
	if err != nil {
		netnstest.Lacking(t, "dig", err)
	}
	space := serve(t)
	for _, c := range []struct {
		args string
		want []string
	}{
		{"@::1 ue.lab.test AAAA", []string{"2001:db8:100::10"}},
		{"@127.0.0.1 ue.lab.test A", []string{"198.51.100.16"}},
		{"@127.0.0.1 +tcp ue.lab.test A", []string{"198.51.100.16"}},
		{"@::1 _mip6._ipv6.lab.test SRV", []string{"0 0 0 internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org."}},
		{"@::1 internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org AAAA", []string{"2001:db8:1::1"}},
		{"@::1 nobody.lab.test A", nil},
	} {
		netnstest.In(t, space, func() error {
			out, err := exec.Command(dig, append(strings.Fields(c.args), "+short", "+time=5", "+norecurse")...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w\n%s", err, out)
			}
			if got := strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' }); !slices.Equal(got, c.want) {
				t.Errorf("dig %s: %q, want %q", c.args, got, c.want)
			}
			return nil
		})
	}
	netnstest.In(t, space, func() error { // cut for UDP, whole by TCP
		out, err := exec.Command(dig, "@::1", "+noedns", "+short", "+norecurse", "many.lab.test", "A").CombinedOutput()
		if n := strings.Count(string(out), "\n10."); n < 59 {
			t.Errorf("%d addresses of 60: %s", n, out)
		}
		return err
	})
}

// Garbage, and clients that say nothing, leave the server answering.
func TestAServerOutlivesGarbageAndIdlers(t *testing.T) {
	space := serve(t)
	var udp net.Conn
	var idlers []net.Conn
	netnstest.In(t, space, func() (err error) {
		for range 2 * connections {
			c, err := net.Dial("tcp", "127.0.0.1:53")
			if err != nil {
				return err
			}
			idlers = append(idlers, c)
		}
		udp, err = net.Dial("udp", "127.0.0.1:53")
		return err
	})
	defer func() {
		udp.Close()
		for _, c := range idlers {
			c.Close()
		}
	}()
	q, err := new(dns.Msg).SetQuestion("ue.lab.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := slices.Clone(q)
		for range 1 + r.IntN(6) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		udp.Write(b[:1+r.IntN(len(b))])
	}
	q[0], q[1] = 0xab, 0xcd
	udp.SetDeadline(time.Now().Add(soon))
	for b := make([]byte, 1500); ; {
		if _, err := udp.Write(q); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		n, err := udp.Read(b)
		if err != nil {
			t.Fatalf("no answer after the garbage: %v", err)
		}
		if n > len(q) && b[0] == 0xab && b[1] == 0xcd {
			return
		}
	}
}
