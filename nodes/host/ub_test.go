package host_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/host"
	"s2clab/nodes/session/ub"
)

var anyPort = netip.MustParseAddrPort("[::1]:0")

// answering serves at a port of the loopback, until the test ends, what answer makes
// of each request.
func answering(t *testing.T, answer func(ub.Request) ub.Response) netip.AddrPort {
	t.Helper()
	s := host.NewUbServer(t.Context())
	at, err := s.Listen(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case in := <-s.Requests():
				s.Respond(ub.Respond{ID: in.ID, Response: answer(in.Request)})
			case <-ended:
				return
			}
		}
	}()
	t.Cleanup(func() { s.Close(); close(ended) })
	return at
}

// asking gives a client, and what becomes of its requests.
func asking(t *testing.T) (*host.UbClient, <-chan ub.Input) {
	t.Helper()
	told := make(chan ub.Input, 16)
	c := host.NewUbClient(t.Context(), func(in ub.Input) { told <- in })
	t.Cleanup(c.Close)
	return c, told
}

func await(t *testing.T, told <-chan ub.Input) ub.Input {
	t.Helper()
	select {
	case in := <-told:
		return in
	case <-time.After(20 * time.Second):
		t.Fatal("nothing becomes of a request")
		return nil
	}
}

func TestARequestLeavesByTheDeviceThatIsNamed(t *testing.T) {
	at := answering(t, func(ub.Request) ub.Response { return ub.Response{Status: 401} })
	c, told := asking(t)
	c.Send(host.UbRoute{Server: at, Device: "lo"}, ub.Send{ID: 1, Request: ub.Request{Method: "GET", Target: "/", Host: "bsf"}})
	if got, ok := await(t, told).(ub.Responded); !ok || got.Response.Status != 401 {
		t.Errorf("told %+v", got)
	}
}

func TestHTTPCarriesARequestAndItsResponse(t *testing.T) {
	request := ub.Request{Method: "GET", Target: "/?a=b", Host: "bsf.home.example", Authorization: `Digest username="a, b"`}
	response := ub.Response{Status: 401, Challenges: []string{`Digest a="1"`, "Basic b=2"}, AuthenticationInfo: `qop=auth-int`,
		ContentType: ub.ContentType, RetryAfter: 2 * time.Second, Body: []byte("<x/>")}
	seen := make(chan ub.Request, 1)
	at := answering(t, func(r ub.Request) ub.Response { seen <- r; return response })
	c, told := asking(t)
	c.Send(host.UbRoute{Server: at, Source: netip.IPv6Loopback()}, ub.Send{ID: 7, Request: request})
	got, ok := await(t, told).(ub.Responded)
	if !ok || got.ID != 7 {
		t.Fatalf("told %+v", got)
	}
	r := <-seen
	if r.Method != request.Method || r.Target != request.Target || r.Host != request.Host || r.Authorization != request.Authorization || len(r.Body) != 0 {
		t.Errorf("the server saw %s %q of %q", r, r.Authorization, r.Host)
	}
	if g := got.Response; g.Status != 401 || strings.Join(g.Challenges, "|") != `Digest a="1"|Basic b=2` || g.AuthenticationInfo != response.AuthenticationInfo ||
		g.ContentType != response.ContentType || g.RetryAfter != response.RetryAfter || string(g.Body) != "<x/>" {
		t.Errorf("the client saw %s with %q", g, g.Challenges)
	}
}

// raw serves what answer writes to each connection, once a header has come, until the
// test ends; it counts connections.
func raw(t *testing.T, answer string) (netip.AddrPort, <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	from := make(chan string, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			from <- c.RemoteAddr().String()
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan() && lines.Text() != ""; {
				}
				c.Write([]byte(answer))
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), from
}

func TestWhatIsNoResponseIsToldInOneWord(t *testing.T) {
	gone, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	header := "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest "
	for answer, want := range map[string]string{
		"":                  "closed",
		"SSH-2.0-x\r\n\r\n": "malformed-response",
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort": "malformed-response",
		header + strings.Repeat("a", 64<<10) + "\r\n\r\n":    "malformed-response",
	} {
		at, _ := raw(t, answer)
		c, told := asking(t)
		c.Send(host.UbRoute{Server: at}, ub.Send{ID: 1, Request: ub.Request{Method: "GET", Target: "/", Host: "bsf"}})
		if got := await(t, told); got != (ub.Failed{ID: 1, Reason: want}) {
			t.Errorf("%.20q: told %+v, want %s", answer, got, want)
		}
	}
	for by, want := range map[host.UbRoute]string{
		{Server: gone.Addr().(*net.TCPAddr).AddrPort()}:                                             "connection-refused",
		{Server: gone.Addr().(*net.TCPAddr).AddrPort(), Source: netip.MustParseAddr("2001:db8::9")}: "unreachable",
		{Server: gone.Addr().(*net.TCPAddr).AddrPort(), Device: "nowhere0"}:                         "no-device",
	} {
		c, told := asking(t)
		c.Send(by, ub.Send{ID: 1, Request: ub.Request{Method: "GET", Target: "/", Host: "bsf"}})
		if got := await(t, told); got != (ub.Failed{ID: 1, Reason: want}) {
			t.Errorf("told %+v, want %s", got, want)
		}
	}
}

func TestABodyWithoutEndIsReadNoFurtherThanItMayGo(t *testing.T) {
	at, _ := raw(t, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+strings.Repeat("a", 1<<20))
	c, told := asking(t)
	c.Send(host.UbRoute{Server: at}, ub.Send{ID: 1, Request: ub.Request{Method: "GET", Target: "/", Host: "bsf"}})
	if got, ok := await(t, told).(ub.Responded); !ok || len(got.Response.Body) != ub.MostBody+1 {
		t.Errorf("told %d octets, want %d", len(got.Response.Body), ub.MostBody+1)
	}
}

func TestARedirectionIsNotFollowed(t *testing.T) {
	at, from := raw(t, "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")
	c, told := asking(t)
	c.Send(host.UbRoute{Server: at}, ub.Send{ID: 1, Request: ub.Request{Method: "GET", Target: "/", Host: "bsf"}})
	if got, ok := await(t, told).(ub.Responded); !ok || got.Response.Status != 302 || len(from) != 1 {
		t.Errorf("told %+v after %d connections", got, len(from))
	}
}

func TestRequestsOneAfterAnotherShareAConnection(t *testing.T) {
	at := answering(t, func(ub.Request) ub.Response { return ub.Response{Status: 401} })
	relay, from := through(t, at)
	c, told := asking(t)
	for id := range uint64(3) {
		c.Send(host.UbRoute{Server: relay}, ub.Send{ID: id, Request: ub.Request{Method: "GET", Target: "/", Host: "bsf"}})
		await(t, told)
	}
	if len(from) != 1 {
		t.Errorf("%d connections, want 1", len(from))
	}
}

// through relays connections to a server, until the test ends, and tells of each.
func through(t *testing.T, to netip.AddrPort) (netip.AddrPort, <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	from := make(chan string, 16)
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			from <- a.RemoteAddr().String()
			b, err := net.Dial("tcp", to.String())
			if err != nil {
				a.Close()
				return
			}
			for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
				go func() {
					defer way[1].Close()
					bufio.NewReader(way[0]).WriteTo(way[1])
				}()
			}
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), from
}

// status gives what a server says first to octets that are no client's of ours.
func status(t *testing.T, at netip.AddrPort, octets string) string {
	t.Helper()
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go fmt.Fprint(c, octets) // which the server may not read to the end
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("%.20q: %v", octets, err)
	}
	return strings.TrimSpace(line)
}

func TestHostileRequestsReachNobody(t *testing.T) {
	at := answering(t, func(r ub.Request) ub.Response {
		if len(r.Body) > ub.MostBody {
			return ub.Response{Status: 413}
		}
		return ub.Response{Status: 401}
	})
	for octets, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: bsf\r\n\r\n": "HTTP/1.1 401 Unauthorized",
		"GET / HTTP/1.1\r\nHost: bsf\r\nAuthorization: Digest a=b\r\nAuthorization: Digest a=c\r\n\r\n":       "HTTP/1.1 400 Bad Request",
		"GET / HTTP/1.1\r\nHost: bsf\r\nAuthorization: Digest " + strings.Repeat("a", 64<<10) + "\r\n\r\n":    "HTTP/1.1 431 Request Header Fields Too Large",
		"GET / HTTP/1.1\r\nHost: bsf\r\nContent-Length: 9999999\r\n\r\n" + strings.Repeat("a", 2*ub.MostBody): "HTTP/1.1 413 Request Entity Too Large",
		"GET / HTTP/1.1\r\nHost: bsf\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n":    "HTTP/1.1 400 Bad Request",
		"\x16\x03\x01\x02\x00\x01\r\n\r\n": "HTTP/1.1 400 Bad Request",
	} {
		if got := status(t, at, octets); got != want {
			t.Errorf("%.60q: %s, want %s", octets, got, want)
		}
	}
}

func TestAServerThatEndsLeavesNobodyWaiting(t *testing.T) {
	s := host.NewUbServer(t.Context())
	at, err := s.Listen(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	c, told := asking(t)
	c.Send(host.UbRoute{Server: at}, ub.Send{ID: 1, Request: ub.Request{Method: "GET", Target: "/", Host: "bsf"}})
	in := <-s.Requests()
	s.Close()
	if got, ok := await(t, told).(ub.Failed); !ok {
		t.Errorf("told %+v", got)
	}
	s.Respond(ub.Respond{ID: in.ID, Response: ub.Response{Status: 200}}) // of nobody
}
