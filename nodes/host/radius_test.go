package host_test

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"s2clab/nodes/host"
	"s2clab/nodes/session/radpeer"
	"s2clab/nodes/wire/radius"
)

const radiusSecret = "a shared secret"

// A radiusAnswer is what the owner of a server gives to a request.
type radiusAnswer struct {
	code       radius.Code
	attributes []radius.Attribute
}

// serveRADIUS runs a server on sockets of these addresses, until the test ends.
// What answer does not answer is asked again.
func serveRADIUS(t *testing.T, answer func(radpeer.Deliver) *radiusAnswer, addresses ...string) (bound []netip.AddrPort) {
	t.Helper()
	machine, err := radpeer.NewServer(radpeer.ServerOptions{Salts: rand.New(rand.NewPCG(1, 2)), Clients: []radpeer.Known{
		{Name: "four", Prefix: netip.MustParsePrefix("127.0.0.0/8"), Secret: radius.Secret(radiusSecret)},
		{Name: "six", Prefix: netip.MustParsePrefix("::1/128"), Secret: radius.Secret(radiusSecret), Guarded: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	transport := host.NewRADIUSTransport(ctx)
	for i, a := range addresses {
		socket, at, err := transport.Open(netip.AddrPortFrom(netip.MustParseAddr(a), 0))
		if err != nil || socket != i {
			t.Fatal(socket, err)
		}
		bound = append(bound, at)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		defer transport.Close()
		act := func(out []radpeer.Output) (requests []radpeer.Deliver) {
			for _, o := range out {
				switch o := o.(type) {
				case radpeer.Send:
					transport.Act(o)
				case radpeer.Deliver:
					requests = append(requests, o)
				}
			}
			return requests
		}
		for {
			select {
			case <-ctx.Done():
				return
			case in := <-transport.Inputs():
				for _, d := range act(machine.Received(time.Now(), in)) {
					a := answer(d)
					if a == nil {
						continue
					}
					out, err := machine.Answer(time.Now(), d.ID, a.code, a.attributes)
					if err != nil {
						t.Error(err)
					}
					act(out)
				}
			}
		}
	}()
	return bound
}

// runRADIUSClient runs a client until the test ends; its questions go to servers.
func runRADIUSClient(t *testing.T, local netip.Addr, initial time.Duration, servers ...netip.AddrPort) (ask func(radpeer.Ask) radpeer.Outcome, told chan radpeer.Output) {
	t.Helper()
	var remotes []radpeer.Remote
	for _, s := range servers {
		remotes = append(remotes, radpeer.Remote{Address: s, Secret: radius.Secret(radiusSecret), Guarded: true})
	}
	told = make(chan radpeer.Output, 1000)
	c, err := host.NewRADIUSClient(radpeer.ClientOptions{Servers: remotes, Initial: initial, Tries: 3, Jitter: rand.New(rand.NewPCG(1, 2)), Random: crand.Reader},
		local, func(o radpeer.Output) { told <- o })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(a radpeer.Ask) radpeer.Outcome {
		done := make(chan radpeer.Outcome, 1)
		c.Ask(a, func(o radpeer.Outcome) { done <- o })
		return <-done
	}, told
}

// grantBinding answers a BindingRequest with a key.
func grantBinding(t *testing.T) func(radpeer.Deliver) *radiusAnswer {
	return func(d radpeer.Deliver) *radiusAnswer {
		r, err := radius.ParseBindingRequest(d.Packet.Attributes)
		if err != nil {
			t.Error(err)
			return nil
		}
		as, err := (&radius.BindingAccept{User: r.User, SessionKey: []byte("0123456789abcdef"), Lifetime: time.Hour, Home: r.Home}).AppendTo(nil, d.Cover)
		if err != nil {
			t.Error(err)
		}
		return &radiusAnswer{radius.AccessAccept, as}
	}
}

func bindingAttributes(t *testing.T) []radius.Attribute {
	t.Helper()
	some := netip.MustParseAddr("2001:db8::1")
	as, err := (&radius.BindingRequest{NAS: radius.NAS{Identifier: "ha"}, User: "mn@example", HomeAgent: some, CareOf: some, Home: some,
		Timestamp: make([]byte, 8), Authenticator: make([]byte, 20), MobilityData: make([]byte, 20)}).AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return as
}

func TestRADIUSGoesOverIPv4AndIPv6(t *testing.T) {
	bound := serveRADIUS(t, grantBinding(t), "127.0.0.1", "::1")
	for _, local := range []string{"", "127.0.0.1", "::1"} {
		a, _ := netip.ParseAddr(local)
		ask, _ := runRADIUSClient(t, a, time.Minute, bound...)
		for _, server := range bound {
			if a.IsValid() && a.Is4() != server.Addr().Is4() {
				continue
			}
			o := ask(radpeer.Ask{Attributes: bindingAttributes(t), Server: server})
			if o.Packet == nil || o.Server != server {
				t.Errorf("from %q to %v: %+v", local, server, o)
				continue
			}
			got, err := radius.ParseBindingAccept(o.Packet.Attributes, o.Cover)
			if err != nil || string(got.SessionKey) != "0123456789abcdef" {
				t.Errorf("%+v, %v", got, err)
			}
		}
	}
}

func TestARADIUSServerThatIsSilentIsFollowedByTheNext(t *testing.T) {
	silent, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	first := silent.LocalAddr().(*net.UDPAddr).AddrPort()
	bound := serveRADIUS(t, grantBinding(t), "::1")
	ask, told := runRADIUSClient(t, netip.Addr{}, 20*time.Millisecond, first, bound[0])
	var o radpeer.Outcome
	for o.Packet == nil { // the second may take long enough to be suspected too
		if o = ask(radpeer.Ask{Attributes: bindingAttributes(t)}); o.Packet == nil && o.Reason != "time-out" {
			t.Fatalf("%+v", o)
		}
	}
	if o.Server != bound[0] {
		t.Errorf("%v answers", o.Server)
	}
	if o := <-told; o != (radpeer.Suspected{Server: first}) {
		t.Errorf("%#v", o)
	}
	buf := make([]byte, radius.MostOctets)
	for range 3 { // it was asked three times, with one packet
		n, _, err := silent.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		if guarded, err := radius.VerifyRequest(buf[:n], radius.Secret(radiusSecret)); err != nil || !guarded {
			t.Error(guarded, err)
		}
	}
}

func TestARADIUSClientThatStopsEndsItsQuestions(t *testing.T) {
	c, err := host.NewRADIUSClient(radpeer.ClientOptions{Servers: []radpeer.Remote{{Address: netip.MustParseAddrPort("127.0.0.1:9"), Secret: radius.Secret("s")}},
		Jitter: rand.New(rand.NewPCG(1, 2)), Random: crand.Reader}, netip.Addr{}, func(radpeer.Output) {})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan radpeer.Outcome, 2)
	c.Ask(radpeer.Ask{Attributes: bindingAttributes(t)}, func(o radpeer.Outcome) { done <- o })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	c.Ask(radpeer.Ask{}, func(o radpeer.Outcome) { done <- o })
	for range 2 {
		if o := <-done; o.Reason != "stopped" {
			t.Errorf("%+v", o)
		}
	}
}
