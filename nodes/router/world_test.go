package router

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
	"s2clab/nodes/wire/eapol"
)

var (
	began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	alice = [6]byte{2, 0, 0, 0, 0, 0xa}
	bob   = [6]byte{2, 0, 0, 0, 0, 0xb}
	msk   = []byte(strings.Repeat("a master session key ", 4))[:64]
)

const (
	nai  = "6001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	imsi = "0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
)

func configuration() *control.Config {
	return &control.Config{
		Node: "wlan-gw", Role: "router", Seed: 7,
		Interfaces: []control.Interface{
			{Name: "core", Link: "core"},
			{Name: "wlan", Link: "wlan", Auth: "eap-aka-prime"},
			{Name: "wlan2", Link: "other", Auth: "eap-aka"},
		},
		Router: &control.Router{Host: "gw.example", Realm: "visited.example", Timeout: time.Second, AAA: []control.Peer{
			{Host: "aaa.example", Realm: "epc.example", Address: netip.MustParseAddrPort("[2001:db8::1]:3868")},
		}},
	}
}

// A story is a Machine, and stations and an AAA server that the test plays. It tells,
// in order and with times, what the Machine did.
type story struct {
	t     testing.TB
	m     *Machine
	now   time.Time
	told  []string
	asked []asked              // and not answered
	last  map[[6]byte]eap.Code // heard by a station
	id    map[[6]byte]uint8    // of the last Request to it
	on    map[[6]byte]bool     // let on, at wlan
	names int                  // of sessions
	keys  bool                 // events may have keys
}

// asked is a request, as the server reads it.
type asked struct {
	id      uint64
	message *diameter.Message
	session string
}

func newStory(t testing.TB, cfg *control.Config) *story {
	m, err := New(cfg, began)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, m: m, now: began, last: map[[6]byte]eap.Code{}, id: map[[6]byte]uint8{}, on: map[[6]byte]bool{}, keys: cfg.ShowKeys}
	s.step(CarrierChanged{Dev: "wlan", Carrier: true})
	s.told = nil
	return s
}

func (s *story) tell(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf("%v ", s.now.Sub(began))+fmt.Sprintf(format, args...))
}

func name(mac [6]byte) string {
	switch mac {
	case alice:
		return "alice"
	case bob:
		return "bob"
	case eapol.Group:
		return "all"
	}
	return text(mac)
}

func (s *story) step(in Input) { s.hear(s.m.Step(s.now, in)) }

// until lets time pass, with every tick that is due.
func (s *story) until(after time.Duration) {
	for d := s.m.Deadline(); !d.IsZero() && !d.After(began.Add(after)); d = s.m.Deadline() {
		if d.Before(s.now) {
			s.t.Fatalf("a deadline of %v at %v", d.Sub(began), s.now.Sub(began))
		}
		s.now = d
		s.hear(s.m.Tick(d))
	}
	s.now = began.Add(after)
}

func (s *story) hear(out []Output) {
	s.t.Helper()
	for _, o := range out {
		switch o := o.(type) {
		case SendEAPOL:
			f, err := eapol.Parse(o.Octets)
			if err != nil {
				s.t.Fatal(err)
			}
			p, err := eap.Parse(f.Body)
			if err != nil {
				s.t.Fatal(err)
			}
			what := p.Code.String()
			if p.Code == eap.Request {
				what = p.Type.String()
				s.id[o.To] = p.Identifier
			}
			s.last[o.To] = p.Code
			s.tell("%s -> %s", what, name(o.To))
		case Admit:
			if s.on[o.Station] || o.Dev != "wlan" {
				s.t.Errorf("%s is admitted on %s, and was: %v", name(o.Station), o.Dev, s.on[o.Station])
			}
			s.on[o.Station] = true
			s.tell("admit %s", name(o.Station))
		case Bar:
			if !s.on[o.Station] {
				s.t.Errorf("%s is barred, and was not admitted", name(o.Station))
			}
			delete(s.on, o.Station)
			s.tell("bar %s", name(o.Station))
		case Ask:
			s.request(o)
		case AnswerAAA:
			m, err := diameter.Parse(o.Octets)
			if err != nil {
				s.t.Fatal(err)
			}
			outcome, from, err := diameter.ParseError(m)
			if err != nil || from.Host != "gw.example" {
				s.t.Errorf("answered %+v, %v", m, err)
				continue
			}
			s.tell("%s %v", m.Name(), outcome.Result)
		case Event:
			s.event(o)
		}
	}
	var authorized [][6]byte
	for _, l := range s.m.links {
		authorized = append(authorized, l.authenticator.Authorized()...)
	}
	if len(authorized) != len(s.on) {
		s.t.Errorf("%d are admitted, and %d authorized", len(s.on), len(authorized))
	}
}

// event tells one, without what other lines tell.
func (s *story) event(e Event) {
	b, err := json.Marshal(e.Fields)
	if err != nil {
		s.t.Fatal(err)
	}
	if !s.keys && (strings.Contains(string(b), string(msk[:12])) || strings.Contains(string(b), fmt.Sprintf("%x", msk[:6]))) {
		s.t.Errorf("%s tells a key: %s", e.Name, b)
	}
	line := e.Name
	for _, f := range slices.Sorted(maps.Keys(e.Fields)) {
		switch f {
		case "link", "session", "peer", "octets", "print":
			continue
		case "nai":
			continue
		case "station", "source":
			line += " " + strings.Replace(strings.Replace(e.Fields[f].(string), text(alice), "alice", 1), text(bob), "bob", 1)
		default:
			line += fmt.Sprintf(" %s=%v", f, e.Fields[f])
		}
	}
	s.tell("%s", line)
}

// request takes what is asked as diampeer.Client would send it.
func (s *story) request(o Ask) {
	octets, err := o.Request.AppendTo(nil, diameter.Header{})
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := diameter.Parse(octets)
	if err != nil {
		s.t.Fatal(err)
	}
	session := m.Find(diameter.SessionID)
	if len(session.Data) == 0 {
		s.names++
		session.Data = fmt.Appendf(nil, "gw.example;1;%d", s.names)
	}
	if err := diameter.Check(m); err != nil {
		s.t.Errorf("asked a wrong %s: %v", m.Name(), err)
	}
	s.asked = append(s.asked, asked{o.ID, m, string(session.Data)})
	to := "any"
	if host := m.Find(diameter.DestinationHost); host != nil {
		to = string(host.Data)
	}
	line := fmt.Sprintf("%s of %s to %s", m.Name(), session.Data[len("gw.example;1;"):], to)
	if r, err := diameter.ParseSessionTerminationRequest(m); err == nil {
		line += " " + r.Cause.String()
	}
	s.tell("%s", line)
}

// says has a station send an EAPOL frame.
func (s *story) says(from [6]byte, kind eapol.Type, body []byte) {
	s.t.Helper()
	b, err := eapol.Append(nil, &eapol.Frame{Type: kind, Body: body})
	if err != nil {
		s.t.Fatal(err)
	}
	s.hear(s.m.Step(s.now, EAPOLReceived{Dev: "wlan", From: from, Octets: b}))
}

// responds has a station answer the last Request.
func (s *story) responds(from [6]byte, kind eap.Type, what string) {
	s.t.Helper()
	p := &eap.Packet{Code: eap.Response, Identifier: s.id[from], Type: kind, Data: []byte(what)}
	b, err := p.AppendTo(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.says(from, eapol.EAPPacket, b)
}

// begins has a station start and tell its identity.
func (s *story) begins(station [6]byte) {
	s.t.Helper()
	s.says(station, eapol.Start, nil)
	s.responds(station, eap.TypeIdentity, nai)
}

func packet(code eap.Code, id uint8, rest ...byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{byte(code), id}, uint16(4+len(rest))), rest...)
}

// challenge is an answer with another Request.
func (s *story) challenge(id uint8) *diameter.DiameterEAPAnswer {
	return &diameter.DiameterEAPAnswer{Outcome: diameter.Outcome{Result: diameter.MultiRoundAuth}, EAP: packet(eap.Request, id, byte(eap.TypeAKAPrime), 1, 0, 0), State: []byte("state")}
}

// success is an answer that admits.
func (s *story) success(id uint8) *diameter.DiameterEAPAnswer {
	return &diameter.DiameterEAPAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, EAP: packet(eap.Success, id), MSK: msk, User: imsi}
}

func (s *story) refusal(result diameter.ResultCode, eap []byte) *diameter.DiameterEAPAnswer {
	return &diameter.DiameterEAPAnswer{Outcome: diameter.Outcome{Result: result}, EAP: eap}
}

// pop takes the oldest request.
func (s *story) pop() asked {
	s.t.Helper()
	if len(s.asked) == 0 {
		s.t.Fatal("nothing is asked")
	}
	q := s.asked[0]
	s.asked = s.asked[1:]
	return q
}

// answers has the server answer the oldest request.
func (s *story) answers(a *diameter.DiameterEAPAnswer) {
	s.t.Helper()
	s.answersTo(s.pop(), a)
}

func (s *story) answersTo(q asked, a *diameter.DiameterEAPAnswer) {
	s.t.Helper()
	a.Session, a.Identity, a.Type = q.session, diameter.Identity{Host: "aaa.example", Realm: "epc.example"}, diameter.AuthorizeAuthenticate
	s.arrives(q, outcome(s.t, q, a))
}

// ends has the server answer an STR, which is the oldest request.
func (s *story) ends() {
	s.t.Helper()
	q := s.pop()
	s.arrives(q, outcome(s.t, q, &diameter.SessionTerminationAnswer{Session: q.session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: diameter.Identity{Host: "aaa.example", Realm: "epc.example"}}))
}

func (s *story) arrives(q asked, o diampeer.Outcome) {
	s.step(AAAAnswered{ID: q.id, Outcome: o})
}

// outcome is an answer as diampeer.Client gives it.
func outcome(t testing.TB, q asked, a diampeer.Request) diampeer.Outcome {
	t.Helper()
	octets, err := a.AppendTo(nil, q.message.Header)
	if err != nil {
		t.Fatal(err)
	}
	m, err := diameter.Parse(octets)
	if err != nil {
		t.Fatal(err)
	}
	o, from, err := diameter.ParseError(m)
	if err != nil {
		t.Fatal(err)
	}
	out := diampeer.Outcome{Result: o.Result, Peer: "aaa.example", Host: from.Host, Session: q.session, EndToEnd: 1, Message: m}
	if !o.Result.Succeeded() && o.Result != diameter.MultiRoundAuth {
		out.Reason = o.Result.String()
	}
	return out
}

// orders has a server send a request of its own.
func (s *story) orders(r diampeer.Request) {
	s.t.Helper()
	octets, err := r.AppendTo(nil, diameter.Header{HopByHop: 3, EndToEnd: 4})
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := diameter.Parse(octets)
	if err != nil {
		s.t.Fatal(err)
	}
	s.step(AAARequested{ID: 1, Message: m})
}

// admits plays a whole authentication.
func (s *story) admits(station [6]byte) {
	s.t.Helper()
	s.begins(station)
	s.finishes(station)
	s.told = nil
}

// finishes plays what follows the identity.
func (s *story) finishes(station [6]byte) {
	s.t.Helper()
	s.answers(s.challenge(100))
	s.responds(station, eap.TypeAKAPrime, "\x01\x00\x00")
	s.answers(s.success(100))
}

func (s *story) want(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.told, want) {
		s.t.Errorf("told\n  %s\nwant\n  %s", strings.Join(s.told, "\n  "), strings.Join(want, "\n  "))
	}
	s.told = nil
}
