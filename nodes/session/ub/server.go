package ub

import (
	"strings"
	"time"
	"unicode/utf8"

	"s2clab/nodes/keys"
)

// A Server is the BSF's side of Ub. It takes each request that has come (Requested)
// and gives its response (Respond), in between asking for a vector where it needs one
// (WantVector). Whoever asks must be given one response to each request; whoever is
// asked for a vector must give it, or say that there is none.
//
// A challenge is good for one answer, right or wrong. Of those who only say who they
// are, little is kept, and not for long.
type Server struct {
	o        ServerOptions
	fetching map[uint64]*fetch // by ID of the request
	nonces   map[string]*issued
	line     []*issued // the oldest first, with some that are used
	open     map[string][]*issued
	kept     kept
	lie      Lie
}

// ServerOptions is what a Server needs to know.
type ServerOptions struct {
	Host     string        // FQDN: the realm of digests, and in B-TIDs
	Lifetime time.Duration // of a bootstrapping, whole seconds
}

// Bounds of what is kept.
const (
	mostFetching = 1024             // requests that wait for a vector
	mostOfOne    = 4                // of them, and of challenges, of one identity
	mostIssued   = 8192             // challenges without an answer
	answerWithin = 30 * time.Second // how long a challenge is good
	mostKept     = 65536            // bootstrappings
	retryAfter   = time.Second
)

// fetch is a request that waits for a vector.
type fetch struct {
	impi     string
	resynced bool // the vector follows a token of the card
}

// issued is a challenge.
type issued struct {
	nonce    string
	impi     string
	vector   keys.Vector
	until    time.Time
	resynced bool
	used     bool
}

// NewServer makes a Server that holds nothing.
func NewServer(o ServerOptions) *Server {
	o.Lifetime = o.Lifetime.Truncate(time.Second)
	return &Server{o: o, fetching: map[uint64]*fetch{}, nonces: map[string]*issued{}, open: map[string][]*issued{}, kept: newKept()}
}

// Requested is an input of a Server; its owner chose the ID.
type Requested struct {
	ID      uint64
	Request Request
}

// A Resync tells what a card said to a challenge that was not fresh: TS 33.102,
// section 6.3.5.
type Resync struct {
	RAND [16]byte
	AUTS [14]byte
}

// WantVector is an output of a Server. Vector or NoVector follows.
type WantVector struct {
	ID     uint64 // of the request
	IMPI   string
	Resync *Resync // nil: the card is not ahead
}

// Why says why there is no vector.
type Why int

const (
	Unavailable Why = iota // the HSS cannot be asked, or could not do it now
	UnknownUser            // it does not know the IMPI, or gives it no vector
)

// Respond is an output of a Server: the response to the request of that ID.
type Respond struct {
	ID       uint64
	Response Response
}

// Ended is an output of a Server: a bootstrapping's lifetime is over.
type Ended struct{ IMPI, BTID string }

func (WantVector) output() {}
func (Respond) output()    {}
func (Ended) output()      {}

// Deadline is when Tick has something to do; zero: never.
func (s *Server) Deadline() time.Time {
	first := s.kept.deadline()
	if len(s.line) > 0 && (first.IsZero() || s.line[0].until.Before(first)) {
		first = s.line[0].until
	}
	return first
}

// Tick forgets what is over.
func (s *Server) Tick(now time.Time) []Output {
	for len(s.line) > 0 && !now.Before(s.line[0].until) {
		s.shift()
	}
	return s.kept.expire(now)
}

// Requested takes a request that came at now.
func (s *Server) Requested(now time.Time, in Requested) []Output {
	r := &in.Request
	path, _, _ := strings.Cut(r.Target, "?")
	switch {
	case r.Method != method:
		return s.refuse(in.ID, "", statusMethodNotAllowed, "method-not-allowed")
	case path != target:
		return s.refuse(in.ID, "", statusNotFound, "target-unknown")
	case len(r.Body) > MostBody:
		return s.refuse(in.ID, "", statusBadRequest, "body-too-long")
	case r.Authorization == "":
		return s.refuse(in.ID, "", statusBadRequest, "no-identity") // there is no vector for nobody: lab decision
	}
	told, err := parseCredentials(r.Authorization)
	if err != nil || told.scheme != "digest" {
		return s.refuse(in.ID, "", statusBadRequest, "credentials-malformed")
	}
	impi := told.get("username")
	if !identifies(impi) || !utf8.ValidString(impi) {
		return s.refuse(in.ID, "", statusBadRequest, "identity-malformed")
	}
	if nonce := told.get("nonce"); nonce != "" {
		if ch := s.nonces[nonce]; ch != nil && now.Before(ch.until) {
			s.use(ch)
			return s.answered(now, in.ID, ch, r, told.directives)
		}
		// One that was used, or that is too old, or of a former life: to start anew.
	}
	return s.want(in.ID, impi, nil)
}

// want asks for a vector, if it may.
func (s *Server) want(id uint64, impi string, resync *Resync) []Output {
	own := 0
	for _, f := range s.fetching {
		if f.impi == impi {
			own++
		}
	}
	if s.fetching[id] != nil || own >= mostOfOne || len(s.fetching) >= mostFetching {
		return s.refuse(id, impi, statusUnavailable, "overload")
	}
	s.fetching[id] = &fetch{impi: impi, resynced: resync != nil}
	return []Output{WantVector{ID: id, IMPI: impi, Resync: resync}}
}

// NoVector takes that there is no vector for the request of that ID. An HSS that
// does not know an identity is no secret of ours: 403, lab decision.
func (s *Server) NoVector(id uint64, why Why) []Output {
	f := s.fetching[id]
	if f == nil {
		return []Output{Ignored{Reason: "no-vector-for-nothing"}}
	}
	delete(s.fetching, id)
	if why == UnknownUser {
		return s.refuse(id, f.impi, statusForbidden, "user-unknown")
	}
	return s.refuse(id, f.impi, statusUnavailable, "hss-unavailable")
}

// Vector takes the vector for the request of that ID, and challenges whoever sent it.
func (s *Server) Vector(now time.Time, id uint64, v keys.Vector) []Output {
	f := s.fetching[id]
	if f == nil {
		return []Output{Ignored{Reason: "vector-for-nothing"}}
	}
	delete(s.fetching, id)
	fit := !s.kept.has(keys.BTID(v.RAND, s.o.Host)) && len(v.XRES) > 0
	v = s.challenged(f.impi, v)
	nonce := keys.DigestAKANonce(v.RAND, v.AUTN, nil)
	if !fit || s.nonces[nonce] != nil {
		return s.refuse(id, f.impi, statusUnavailable, "vector-unfit")
	}
	s.issue(&issued{nonce: nonce, impi: f.impi, vector: v, until: now.Add(answerWithin), resynced: f.resynced})
	var w writer
	w.scheme("Digest")
	w.quoted("realm", s.o.Host)
	w.quoted("nonce", nonce)
	w.bare("algorithm", keys.DigestAKA)
	w.quoted("qop", string(keys.QoPAuthInt))
	return []Output{Respond{ID: id, Response: Response{Status: statusUnauthorized, Challenges: []string{w.String()}}}}
}

// issue keeps a challenge, in the place of the oldest where there are too many.
func (s *Server) issue(ch *issued) {
	if own := s.open[ch.impi]; len(own) >= mostOfOne {
		s.use(own[0])
	}
	for len(s.line) >= mostIssued {
		s.shift()
	}
	s.nonces[ch.nonce] = ch
	s.open[ch.impi] = append(s.open[ch.impi], ch)
	s.line = append(s.line, ch)
}

// use takes a challenge out, so that it is good for nothing any more.
func (s *Server) use(ch *issued) {
	if ch.used {
		return
	}
	ch.used = true
	delete(s.nonces, ch.nonce)
	own := s.open[ch.impi]
	for i := range own {
		if own[i] == ch {
			own = append(own[:i:i], own[i+1:]...)
			break
		}
	}
	if s.open[ch.impi] = own; len(own) == 0 {
		delete(s.open, ch.impi)
	}
}

// shift takes the oldest challenge out.
func (s *Server) shift() {
	s.use(s.line[0])
	s.line[0] = nil
	s.line = s.line[1:]
}

// answered takes the answer to a challenge, which is used up.
func (s *Server) answered(now time.Time, id uint64, ch *issued, r *Request, told directives) []Output {
	bad := func(reason string) []Output { return s.refuse(id, ch.impi, statusBadRequest, reason) }
	algorithm, named := told.find("algorithm") // the examples of RFC 3310 leave it out
	switch {
	case told.get("username") != ch.impi:
		return s.refuse(id, ch.impi, statusForbidden, "identity-changed")
	case !strings.EqualFold(told.get("realm"), s.o.Host):
		return bad("realm-wrong")
	case told.get("uri") != r.Target: // RFC 2617, section 3.2.2.5
		return bad("uri-wrong")
	case named && !strings.EqualFold(algorithm, keys.DigestAKA):
		return bad("algorithm-unknown")
	case !strings.EqualFold(told.get("qop"), string(keys.QoPAuthInt)):
		return bad("qop-unknown")
	case told.get("nc") != nc:
		return bad("nonce-count-wrong")
	case told.get("cnonce") == "" || !plain(told.get("cnonce")):
		return bad("cnonce-malformed")
	}
	d := keys.Digest{
		Username: ch.impi, Realm: told.get("realm"), Nonce: ch.nonce, Method: r.Method, URI: r.Target,
		QoP: keys.QoPAuthInt, NC: 1, CNonce: told.get("cnonce"), Body: r.Body,
	}
	given := []byte(strings.ToLower(told.get("response")))
	if auts, ok := told.find("auts"); ok {
		token, err := keys.ParseDigestAUTS(auts)
		switch {
		case err != nil:
			return bad("auts-malformed")
		case !keys.Equal(given, []byte(d.ResyncResponse())):
			return s.refuse(id, ch.impi, statusForbidden, "response-wrong")
		case ch.resynced: // the HSS has taken the card at its word already
			return s.refuse(id, ch.impi, statusForbidden, "resynchronised-already")
		}
		return s.want(id, ch.impi, &Resync{RAND: ch.vector.RAND, AUTS: token})
	}
	if !keys.Equal(given, []byte(d.Response(ch.vector.XRES))) {
		return s.refuse(id, ch.impi, statusForbidden, "response-wrong") // another try has no other card: lab decision
	}
	return s.bootstrap(now, id, ch, &d)
}

// bootstrap keeps a key, and tells by which name: TS 33.220, section 4.5.2.
func (s *Server) bootstrap(now time.Time, id uint64, ch *issued, d *keys.Digest) []Output {
	ends := now.Truncate(time.Second).Add(s.o.Lifetime)
	g := keys.GBA{Ks: keys.Ks(ch.vector.CK, ch.vector.IK), RAND: ch.vector.RAND, IMPI: ch.impi, BTID: keys.BTID(ch.vector.RAND, s.o.Host), Ends: ends}
	s.kept.add(&bootstrapping{GBA: g, autn: ch.vector.AUTN, since: now})
	body, kind := s.lastWord(now, &g)
	d.Body = body
	var w writer
	w.bare("qop", string(d.QoP))
	w.quoted("rspauth", s.signature(d, ch.vector.XRES))
	w.quoted("cnonce", d.CNonce)
	w.bare("nc", nc)
	return []Output{
		Bootstrapped{GBA: g, Made: Made(ch.vector.CK, ch.vector.IK, ends.Sub(now))},
		Respond{ID: id, Response: Response{Status: statusOK, AuthenticationInfo: w.String(), ContentType: kind, Body: body}},
	}
}

func (s *Server) refuse(id uint64, impi string, status int, reason string) []Output {
	r := Response{Status: status}
	if status == statusUnavailable {
		r.RetryAfter = retryAfter
	}
	return []Output{Refused{IMPI: impi, Reason: reason}, Respond{ID: id, Response: r}}
}
