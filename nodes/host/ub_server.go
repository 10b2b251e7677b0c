package host

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"s2clab/nodes/session/ub"
)

// Bounds of what HTTP may cost.
const (
	ubHeader     = 8 << 10 // octets of a header, of requests and of responses
	ubSockets    = 256     // at a time, of those that mobile nodes open
	ubWaiting    = 64      // requests that are read and that nobody has taken
	ubPatience   = 5 * time.Second
	ubLonger     = 10 * time.Second // until there is a response, which the HSS may take its time for
	ubIdle       = 10 * time.Second
	ubAnswerable = time.Minute // for Retry-After
)

// http1 is all of HTTP that Ub needs.
func http1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// A UbServer carries the requests and responses of a ub.Server over HTTP/1.1.
type UbServer struct {
	requests chan ub.Requested
	server   *http.Server
	slots    chan struct{} // taken by connections
	ctx      context.Context
	cancel   context.CancelFunc
	all      sync.WaitGroup

	mu   sync.Mutex
	last uint64 // ID given last
	open map[uint64]chan ub.Response
}

// NewUbServer makes one that ends with ctx or Close.
func NewUbServer(ctx context.Context) *UbServer {
	ctx, cancel := context.WithCancel(ctx)
	s := &UbServer{
		requests: make(chan ub.Requested, ubWaiting), slots: make(chan struct{}, ubSockets),
		ctx: ctx, cancel: cancel, open: map[uint64]chan ub.Response{},
	}
	s.server = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: ubPatience,
		ReadTimeout:       ubPatience,
		WriteTimeout:      ubPatience + ubLonger,
		IdleTimeout:       ubIdle,
		MaxHeaderBytes:    ubHeader,
		Protocols:         http1(),
		ErrorLog:          log.New(io.Discard, "", 0),

		DisableGeneralOptionsHandler: true,
	}
	context.AfterFunc(ctx, func() { s.server.Close() })
	return s
}

// Requests gives what comes, for a ub.Server.
func (s *UbServer) Requests() <-chan ub.Requested { return s.requests }

// Listen accepts connections at an address from now on, and gives the address with
// the port that it has.
func (s *UbServer) Listen(at netip.AddrPort) (netip.AddrPort, error) {
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(s.ctx, "tcp", at.String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	s.all.Go(func() { s.server.Serve(&fewListener{Listener: l, slots: s.slots, over: s.ctx.Done()}) })
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
}

// Close ends all connections at once and returns when nothing accepts any more.
func (s *UbServer) Close() {
	s.cancel()
	s.server.Close()
	s.all.Wait()
}

// Respond sends a response. Where nobody waits for it any more, nothing happens.
func (s *UbServer) Respond(r ub.Respond) {
	s.mu.Lock()
	waits := s.open[r.ID]
	delete(s.open, r.ID)
	s.mu.Unlock()
	if waits != nil {
		waits <- r.Response // it has room for one
	}
}

func (s *UbServer) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, ub.MostBody+1))
	credentials := r.Header.Values("Authorization")
	if err != nil || len(credentials) > 1 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	in := ub.Requested{Request: ub.Request{Method: r.Method, Target: r.RequestURI, Host: r.Host, Authorization: strings.Join(credentials, ""), Body: body}}
	waits := make(chan ub.Response, 1)
	s.mu.Lock()
	s.last++
	in.ID = s.last
	s.open[in.ID] = waits
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.open, in.ID)
		s.mu.Unlock()
	}()
	select {
	case s.requests <- in:
	default: // whoever takes them does not come along
		respond(w, &ub.Response{Status: http.StatusServiceUnavailable, RetryAfter: time.Second})
		return
	}
	late := time.NewTimer(ubLonger)
	defer late.Stop()
	select {
	case response := <-waits:
		respond(w, &response)
	case <-late.C:
		respond(w, &ub.Response{Status: http.StatusServiceUnavailable, RetryAfter: time.Second})
	case <-r.Context().Done():
		panic(http.ErrAbortHandler) // to return would be to say 200
	case <-s.ctx.Done():
		panic(http.ErrAbortHandler)
	}
}

// respond writes a response, which nobody in between may keep.
func respond(w http.ResponseWriter, r *ub.Response) {
	h := w.Header()
	h.Set("Server", ub.Product)
	h.Set("Cache-Control", "no-store")
	for _, c := range r.Challenges {
		h.Add("WWW-Authenticate", c)
	}
	if r.AuthenticationInfo != "" {
		h.Set("Authentication-Info", r.AuthenticationInfo)
	}
	if r.ContentType != "" {
		h.Set("Content-Type", r.ContentType)
	}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(r.RetryAfter/time.Second)))
	}
	h.Set("Content-Length", strconv.Itoa(len(r.Body)))
	w.WriteHeader(r.Status)
	w.Write(r.Body)
}

// A fewListener accepts so many connections at a time.
type fewListener struct {
	net.Listener
	slots chan struct{}
	over  <-chan struct{}
}

func (l *fewListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.over:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &countedConn{Conn: c, free: func() { <-l.slots }}, nil
}

// A countedConn gives its slot back once it is closed.
type countedConn struct {
	net.Conn
	free func()
	once sync.Once
}

func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.free)
	return err
}
