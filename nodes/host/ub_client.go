package host

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/session/ub"
)

// A UbClient carries the requests and responses of a ub.Client over HTTP/1.1.
type UbClient struct {
	told   func(ub.Input)
	ctx    context.Context
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu        sync.Mutex
	by        UbRoute
	transport *http.Transport // by that; nil: there is none
}

// A UbRoute is by which way a BSF is asked.
type UbRoute struct {
	Server netip.AddrPort
	Source netip.Addr // of ours; invalid: any
	Device string     // what is sent leaves by it; empty: by any
}

// NewUbClient makes one that ends with ctx or Close. It gives what became of each
// request to told, in a goroutine of its own.
func NewUbClient(ctx context.Context, told func(ub.Input)) *UbClient {
	ctx, cancel := context.WithCancel(ctx)
	return &UbClient{told: told, ctx: ctx, cancel: cancel}
}

// Send sends a request and returns at once. Requests that go by the same way, one after
// another, share a connection.
func (c *UbClient) Send(by UbRoute, s ub.Send) {
	transport := c.open(by)
	c.all.Go(func() {
		r, err := roundTrip(c.ctx, transport, by, &s.Request)
		switch {
		case c.ctx.Err() != nil:
		case err != nil:
			c.told(ub.Failed{ID: s.ID, Reason: httpReasonOf(err)})
		default:
			c.told(ub.Responded{ID: s.ID, Response: *r})
		}
	})
}

func httpReasonOf(err error) string {
	if errors.Is(err, unix.ENODEV) {
		return "no-device"
	}
	if reason := reasonOf(err); reason != "error" {
		return reason
	}
	return "malformed-response"
}

// Rest closes connections that no request needs.
func (c *UbClient) Rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil {
		c.transport.CloseIdleConnections()
		c.transport = nil
	}
}

// Close ends all connections at once and returns when no request of the client is on its way.
func (c *UbClient) Close() {
	c.cancel()
	c.all.Wait()
	c.Rest()
}

func (c *UbClient) open(by UbRoute) *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil && c.by == by {
		return c.transport
	}
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	d := &net.Dialer{Timeout: ubPatience, KeepAlive: -1}
	if by.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(by.Source, 0))
	}
	if by.Device != "" {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			var refused error
			err := raw.Control(func(fd uintptr) { refused = unix.BindToDevice(int(fd), by.Device) })
			return errors.Join(err, refused)
		}
	}
	c.by = by
	c.transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", by.Server.String())
		},
		DisableCompression:     true,
		MaxIdleConns:           1,
		MaxConnsPerHost:        2, // the second while the answer to the first is not waited for any more
		IdleConnTimeout:        ubIdle / 2,
		MaxResponseHeaderBytes: ubHeader,
		Protocols:              http1(),
	}
	return c.transport
}

// roundTrip sends a request and reads its response, of whose body no more than one octet
// too many. A redirection is a response like another: TS 24.109 has none.
func roundTrip(ctx context.Context, by http.RoundTripper, route UbRoute, r *ub.Request) (*ub.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, ubLonger+ubPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, r.Method, "http://"+route.Server.String()+r.Target, strings.NewReader(string(r.Body)))
	if err != nil {
		return nil, err
	}
	request.Host = r.Host
	request.Header.Set("User-Agent", ub.UserAgent)
	request.Header.Set("Accept", "*/*")
	if r.Authorization != "" {
		request.Header.Set("Authorization", r.Authorization)
	}
	response, err := by.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, ub.MostBody+1))
	if err != nil {
		return nil, err
	}
	h := response.Header
	out := &ub.Response{
		Status: response.StatusCode, Challenges: h.Values("WWW-Authenticate"), AuthenticationInfo: strings.Join(h.Values("Authentication-Info"), ","),
		ContentType: h.Get("Content-Type"), Body: body,
	}
	if seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 16); err == nil {
		out.RetryAfter = min(time.Duration(seconds)*time.Second, ubAnswerable)
	}
	return out, nil
}
