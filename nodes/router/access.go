package router

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/dot1x"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
)

// A Machine is a trusted access network's side of access authentication: TS 33.402,
// section 6, and TS 29.273, section 5 (STa). On each of its links that authenticate
// it passes EAP between stations and an AAA server: EAPOL on the one side, the
// Diameter EAP application on the other. A station is on the link from the server's
// success to the end of its session, which either side may bring about.
//
// What it holds is bounded by the stations of each link and by mostQuestions.
type Machine struct {
	identity  diameter.Identity
	realm     string // of the AAA servers
	links     []*link
	questions map[uint64]*question
	last      uint64              // ID of a question
	sessions  map[string]*station // by Session-Id
	told      keys.Told
	quota     telling.Quota
	out       []Output
}

// A link is one that mobile nodes are authenticated on.
type link struct {
	dev, name     string
	authenticator *dot1x.Authenticator
	stations      map[[6]byte]*station // that are in a conversation or on the link
}

// A station is a mobile node, as far as its link knows it.
type station struct {
	link         *link
	mac          [6]byte
	conversation *conversation // nil: none
	admission    *admission    // nil: it is not on the link
}

// A conversation is one authentication.
type conversation struct {
	number   uint64 // the Authenticator's
	identity string // of EAP-Response/Identity
	began    time.Time
	rounds   int      // questions asked
	method   eap.Type // of the server's last Request; 0: none came
	session  string   // Session-Id; empty: not known yet
	server   string   // Diameter identity of the server that leads it; empty: any
	state    []byte   // State of its last answer
	said     []byte   // the station's last packet
	grant    *diameter.DiameterEAPAnswer
}

// An admission is a session that an AAA server has authorised.
type admission struct {
	session, server string
	nai             string
	method          eap.Type
	since, until    time.Time // until: zero: no end was told
	standing        standing
}

// A standing is what can be done with a session besides ending it.
type standing int

const (
	good   standing = iota // it can be authorised again
	torn                   // an authentication in it was broken off: the next is in another session (RFC 4072, section 2.8.5)
	unheld                 // the server does not know it any more, or is out of reach
)

// New makes the Machine of a configuration, which has AAA servers and links that
// authenticate. The time is that of the start: Origin-State-Id grows with it (RFC
// 6733, section 8.16).
func New(cfg *control.Config, now time.Time) (*Machine, error) {
	r := cfg.Router
	if r == nil || len(r.AAA) == 0 {
		return nil, errors.New("access authentication: there is no AAA server to ask")
	}
	m := &Machine{
		identity:  diameter.Identity{Host: r.Host, Realm: r.Realm, State: uint32(now.Unix())},
		realm:     r.AAA[0].Realm,
		questions: map[uint64]*question{},
		sessions:  map[string]*station{},
		told:      keys.Told{Show: cfg.ShowKeys},
		quota:     telling.Quota{Most: eventsPerSecond},
	}
	for n, i := range cfg.Interfaces {
		switch i.Auth {
		case "":
			continue
		case "eap-aka", "eap-aka-prime":
		default:
			return nil, fmt.Errorf("device %s: access authentication %q: want eap-aka or eap-aka-prime", i.Name, i.Auth)
		}
		m.links = append(m.links, &link{dev: i.Name, name: i.Link, stations: map[[6]byte]*station{}, authenticator: dot1x.NewAuthenticator(dot1x.AuthenticatorOptions{
			ServerTimeout: answerTimeout(r),
			Rand:          rand.New(rand.NewPCG(cfg.Seed, uint64(n)|0x1f<<32)),
		})})
	}
	return m, nil
}

// answerTimeout is how long a question may take: whoever carries it has a time-out for
// each peer. This one is for a question that it has lost.
func answerTimeout(r *control.Router) time.Duration {
	each := r.Timeout
	if each <= 0 {
		each = 2 * time.Second // diampeer.ClientOptions
	}
	return each*time.Duration(2*len(r.AAA)+1) + time.Second
}

// Deadline is when Tick has something to do; zero: never.
func (m *Machine) Deadline() time.Time {
	first := m.quota.Deadline()
	for _, l := range m.links {
		if d := l.authenticator.Deadline(); !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}

// Step takes one Input.
func (m *Machine) Step(now time.Time, in Input) []Output {
	m.out = nil
	switch in := in.(type) {
	case EAPOLReceived:
		m.step(now, in.Dev, dot1x.Received{From: in.From, Octets: in.Octets})
	case CarrierChanged:
		if in.Carrier {
			m.step(now, in.Dev, dot1x.CarrierUp{})
		} else {
			m.step(now, in.Dev, dot1x.CarrierDown{})
		}
	case AdmissionFailed:
		m.step(now, in.Dev, dot1x.Revoke{Station: in.Station, Reason: "port-failed"})
	case AAAAnswered:
		m.answered(now, in)
	case AAARequested:
		m.requested(now, in)
	default:
		panic(fmt.Sprintf("router: no rule for %T", in))
	}
	return m.out
}

// Tick does what is due at now, and nothing before Deadline.
func (m *Machine) Tick(now time.Time) []Output {
	m.out = nil
	m.tellSuppressed(now)
	for _, l := range m.links {
		m.pass(now, l, l.authenticator.Tick(now))
	}
	return m.out
}

func (m *Machine) do(o Output) { m.out = append(m.out, o) }

// step hands an input to the Authenticator of a device, if that has one.
func (m *Machine) step(now time.Time, dev string, in dot1x.Input) {
	for _, l := range m.links {
		if l.dev == dev {
			m.pass(now, l, l.authenticator.Step(now, in))
		}
	}
}

// pass does what an Authenticator says.
func (m *Machine) pass(now time.Time, l *link, out []dot1x.Output) {
	var barred [][6]byte
	for _, o := range out {
		switch o := o.(type) {
		case dot1x.Send:
			m.do(SendEAPOL{Dev: l.dev, To: o.To, Octets: o.Octets})
		case dot1x.ToServer:
			m.toServer(now, l, o)
		case dot1x.Authorize:
			m.admit(now, l, o)
		case dot1x.Unauthorize:
			m.bar(now, l, o)
			barred = append(barred, o.Station)
		case dot1x.Abandon:
			m.breakOff(l, o.Station)
			m.endConversation(l, o.Station)
		case dot1x.Failed:
			s := l.stations[o.Station]
			m.endConversation(l, o.Station)
			on := s != nil && s.admission != nil // an Unauthorize follows, and says why
			if !on && !slices.Contains(barred, o.Station) && m.tells(now, "station-refused") {
				m.tell("station-refused", map[string]any{"link": l.name, "station": text(o.Station), "reason": o.Reason})
			}
		case dot1x.Ignored:
			if m.tells(now, "message-ignored") {
				m.tell("message-ignored", map[string]any{"link": l.name, "source": text(o.From), "reason": o.Reason})
			}
		}
	}
}

// station gives the one with that address, which may be new.
func (l *link) station(mac [6]byte) *station {
	s := l.stations[mac]
	if s == nil {
		s = &station{link: l, mac: mac}
		l.stations[mac] = s
	}
	return s
}

// breakOff takes note that the server of a conversation still waits for the station.
func (m *Machine) breakOff(l *link, mac [6]byte) {
	s := l.stations[mac]
	if s != nil && s.conversation != nil && s.admission != nil && s.conversation.session == s.admission.session {
		s.admission.standing = torn
	}
}

// endConversation forgets a conversation. An answer that still comes is late.
func (m *Machine) endConversation(l *link, mac [6]byte) {
	s := l.stations[mac]
	if s == nil || s.conversation == nil {
		return
	}
	ended := s.conversation.session
	s.conversation = nil
	if s.admission == nil || s.admission.session != ended {
		delete(m.sessions, ended)
	}
	s.settle()
}

// settle forgets a station of which there is nothing to remember.
func (s *station) settle() {
	if s.conversation == nil && s.admission == nil {
		delete(s.link.stations, s.mac)
	}
}

// admit lets a station on that an AAA server has authorised, or keeps it on.
func (m *Machine) admit(now time.Time, l *link, o dot1x.Authorize) {
	s := l.stations[o.Station]
	c, before := s.conversation, s.admission
	a := &admission{session: c.session, server: c.server, method: c.method, since: now, until: o.Until, nai: c.identity}
	switch {
	case c.grant.User != "":
		a.nai = c.grant.User
	case c.grant.MobileNode != "":
		a.nai = c.grant.MobileNode
	}
	s.conversation, s.admission = nil, a
	if before != nil {
		a.since = before.since
		switch {
		case before.session == a.session:
		case before.standing == unheld:
			delete(m.sessions, before.session)
		default:
			m.terminate(now, before.session, before.server, before.nai, diameter.Administrative)
		}
	}
	m.sessions[a.session] = s
	if !o.Again {
		m.do(Admit{Dev: l.dev, Station: s.mac})
	}
	key := keys.Derived{Name: keys.NameMSK, How: "from " + a.server, Value: o.MSK, Lifetime: c.grant.SessionTimeout}
	if m.told.News(a.nai, key) && m.tells(now, "key-made") {
		m.tell("key-made", key.Fields(a.nai, m.told.Show))
	}
	if m.tells(now, "station-admitted") {
		m.tell("station-admitted", map[string]any{"link": l.name, "station": text(s.mac), "nai": a.nai, "method": a.method.Word(),
			"rounds": c.rounds, "latency": now.Sub(c.began).Seconds(), "again": o.Again})
	}
}

// bar shuts a station out that was on the link, and tells the server so.
//
// Differs from RFC 6733, section 8.1, where a server that refuses to authorise a
// session again is told nothing: not every server forgets the session by that.
func (m *Machine) bar(now time.Time, l *link, o dot1x.Unauthorize) {
	s := l.stations[o.Station]
	a := s.admission
	s.admission = nil
	m.do(Bar{Dev: l.dev, Station: s.mac})
	if m.tells(now, "station-barred") {
		m.tell("station-barred", map[string]any{"link": l.name, "station": text(s.mac), "nai": a.nai, "reason": o.Reason})
	}
	m.terminate(now, a.session, a.server, a.nai, causeOf(o.Reason))
	s.settle()
}

// causeOf says in terms of RFC 6733, section 8.15, why a station was barred.
func causeOf(reason string) diameter.TerminationCause {
	switch reason {
	case "logoff":
		return diameter.Logout
	case "session-timeout":
		return diameter.TimedOut
	case "carrier-lost", "no-answer", "left":
		return diameter.LinkBroken
	}
	return diameter.Administrative
}

// text is the address of a station as events have it.
func text(mac [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])
}

// A Station is one that is on a link, for people.
type Station struct {
	Link    string  `json:"link"`
	Station string  `json:"station"` // its MAC address
	NAI     string  `json:"nai"`
	Method  string  `json:"method"`
	Session string  `json:"session"`             // Session-Id
	Server  string  `json:"server"`              // Diameter identity
	Age     float64 `json:"age"`                 // s, since it was let on
	Remains float64 `json:"remaining,omitempty"` // s, of its session; 0: no end was told
}

// Stations lists who is on the links, by link and address.
func (m *Machine) Stations(now time.Time) []Station {
	all := []Station{}
	for _, l := range m.links {
		of := l.authenticator.Authorized()
		slices.SortFunc(of, func(a, b [6]byte) int { return bytes.Compare(a[:], b[:]) })
		for _, mac := range of {
			a := l.stations[mac].admission
			one := Station{Link: l.name, Station: text(mac), NAI: a.nai, Method: a.method.Word(), Session: a.session, Server: a.server, Age: now.Sub(a.since).Seconds()}
			if !a.until.IsZero() {
				one.Remains = a.until.Sub(now).Seconds()
			}
			all = append(all, one)
		}
	}
	return all
}
