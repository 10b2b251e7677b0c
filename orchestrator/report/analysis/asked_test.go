package analysis

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/topologies"
)

// A story of the shipped topology eps-trusted: what a test tells of it is what the
// capture would, by the delays of the links and software that takes no time.
type servers struct {
	t        *testing.T
	topology *topologies.Topology
	events   []journal.Event
	last     float64 // identifier of a request
}

func eps(t *testing.T) *servers {
	t.Helper()
	file, err := topologies.FindShipped("eps-trusted")
	if err != nil {
		t.Fatal(err)
	}
	topology, _, err := topologies.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return &servers{t: t, topology: topology}
}

const eachMS = time.Millisecond

func (s *servers) tell(ms int, node, name string, fields map[string]any) {
	s.events = append(s.events, journal.Event{At: time.Duration(ms) * eachMS, Node: node, Name: name, Fields: fields})
}

// packet tells of a message that crosses one link.
func (s *servers) packet(ms, arrives int, message, link, from, to string, fields map[string]any) {
	all := map[string]any{"message": message, "link": link, "from": from, "to": []any{to}, "fate": "delivered", "length": 100.0,
		"sent": float64(ms) / 1000, "arrived": float64(arrives) / 1000, "src": from, "dst": to}
	for k, v := range fields {
		all[k] = v
	}
	s.tell(ms, from, "packet", all)
}

// asks tells of a request over the core and of its answer, 10 ms each, with a time
// between them.
func (s *servers) asks(ms, takes int, command, from, to, about string) {
	s.last++
	session := fmt.Sprint(from, ";", s.last)
	id := map[string]any{"end-to-end": s.last, "session": session, "nai": about}
	s.packet(ms, ms+10, command+"-request", "core", from, to, id)
	s.packet(ms+10+takes, ms+20+takes, command+"-answer", "core", to, from, map[string]any{"end-to-end": s.last, "session": session})
}

func (s *servers) analysis() *Analysis {
	slices.SortStableFunc(s.events, func(a, b journal.Event) int { return int(a.At - b.At) })
	return Analyze(s.events, s.topology)
}

const (
	theIMSI = "001010000000001"
	theRoot = "@nai.epc.mnc001.mcc001.3gppnetwork.org"
)

// handsOver tells of a move from LTE to WLAN at 1 s that is let in at 1.154 s and has an
// address at 1.16 s.
func (s *servers) handsOver() {
	s.tell(0, "", "link-attached", map[string]any{"node": "ue", "link": "lte"})
	s.tell(1000, "", "link-detached", map[string]any{"node": "ue", "link": "lte"})
	s.tell(1050, "", "link-attached", map[string]any{"node": "ue", "link": "wlan"})
	s.packet(1050, 1053, "eapol-start", "wlan", "ue", "wlan-gw", nil)
	s.packet(1053, 1056, "eap-request", "wlan", "wlan-gw", "ue", map[string]any{"eap-id": 1.0})
	s.packet(1056, 1059, "eap-response", "wlan", "ue", "wlan-gw", map[string]any{"eap-id": 1.0, "identity": "2pseudonym" + theRoot})
	s.asks(1059, 20, "diameter-eap", "wlan-gw", "aaa", "2pseudonym"+theRoot)
	s.asks(1069, 0, "multimedia-auth", "aaa", "hss", theIMSI)
	s.packet(1099, 1102, "eap-request", "wlan", "wlan-gw", "ue", map[string]any{"eap-id": 2.0})
	s.packet(1102, 1105, "eap-response", "wlan", "ue", "wlan-gw", map[string]any{"eap-id": 2.0})
	s.asks(1105, 20, "diameter-eap", "wlan-gw", "aaa", "6"+theIMSI+theRoot)
	s.asks(1115, 0, "server-assignment", "aaa", "hss", theIMSI)
	s.packet(1145, 1148, "eap-success", "wlan", "wlan-gw", "ue", map[string]any{"eap-id": 2.0})
	s.tell(1148, "ue", "access-authenticated", map[string]any{"link": "wlan", "exchanges": 2.0})
	s.tell(1154, "ue", "router-found", map[string]any{"link": "wlan"})
	s.tell(1154, "ue", "address-configured", map[string]any{"link": "wlan", "address": "2001:db8:200::9"})
	s.asks(1120, 0, "device-watchdog", "aaa", "hss", "")
}

func (s *servers) bound(at int, seq float64) {
	s.tell(at, "ue", "binding-acknowledged", map[string]any{"seq": seq, "status": 0.0})
}

func terms(b Bound) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, t := range b.Terms {
		all[t.Name] += t.Length / eachMS
	}
	return all
}

func wantTerms(t *testing.T, a *Analysis, want map[string]time.Duration) *Handover {
	t.Helper()
	h := &a.Handovers[1]
	got := terms(h.Bound)
	for name, ms := range want {
		if got[name] != ms {
			t.Errorf("%s takes %d ms, want %d: %v", name, got[name], ms, h.Bound.Terms)
		}
	}
	return h
}

var toWLAN = map[string]time.Duration{
	"link gap": 50, "EAPOL start and identity request": 6, "router solicitation and advertisement": 6,
	"EAP by way of the router to the AAA server and back, times 2": 52, "from there to the HSS and back, times 2": 40,
}

func with(more map[string]time.Duration) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, m := range []map[string]time.Duration{toWLAN, more} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

func TestTheBoundOfAKeyThatIsThereHasTheHomeAgentsQuestionAlone(t *testing.T) {
	s := eps(t)
	s.handsOver()
	s.tell(1154, "ue", "binding-update-sent", map[string]any{"seq": 1.0, "care-of": "2001:db8:200::9", "auth": "mn-aaa"})
	s.asks(1167, 0, "mip6a", "pgw", "aaa", "0"+theIMSI+theRoot)
	s.asks(1178, 0, "server-assignment", "aaa", "hss", theIMSI) // after the answer: nobody waits for it
	s.bound(1200, 1)
	h := wantTerms(t, s.analysis(), with(map[string]time.Duration{"binding update and acknowledgement": 26, "AAA request and answer": 20}))
	if want := (50 + 6 + 6 + 52 + 40 + 26 + 20) * eachMS; h.Bound.Total != want {
		t.Errorf("bound %v, want %v: %v", h.Bound.Total, want, h.Bound.Terms)
	}
	// Both DER, MAR, SAR and MIR and their answers, and the second SAR with its own; not the watchdog.
	if h.AAA != 12 {
		t.Errorf("%d messages between servers, want 12", h.AAA)
	}
	if h.Access.Messages != 6 || h.Access.RoundTrips != 3 {
		t.Errorf("%+v on the access, want 6 messages and 3 round trips", h.Access)
	}
}

func TestTheBoundOfGBAHasUbAndWhoeverIsAsked(t *testing.T) {
	const tid = "c2l4dGVlbg==@bsf.lab.test"
	bootstraps := func(s *servers, requests int) {
		s.handsOver()
		s.tell(1154, "ue", "bootstrap-started", map[string]any{"link": "wlan"})
		for i := range requests {
			at := 1180 + 26*i
			s.packet(at, at+3, "ub-request", "wlan", "ue", "wlan-gw", map[string]any{"request": "GET /", "rand": float64(i)})
			s.packet(at+3, at+13, "ub-request", "core", "wlan-gw", "bsf", map[string]any{"request": "GET /", "rand": float64(i), "src": "ue", "dst": "wlan-gw"})
		}
		s.asks(1193, 0, "multimedia-auth", "bsf", "hss", "0"+theIMSI+theRoot)
		s.tell(1260, "ue", "bootstrapped", map[string]any{"b-tid": tid})
		s.tell(1260, "ue", "binding-update-sent", map[string]any{"seq": 1.0, "care-of": "2001:db8:200::9", "auth": "mn-ha"})
	}
	ub := func(requests time.Duration) map[string]time.Duration {
		return with(map[string]time.Duration{"connection of TCP with the BSF": 26, times("request and response of Ub", int(requests)): requests * 26,
			"from the BSF to the HSS and back": 20, "binding update and acknowledgement": 26})
	}

	s := eps(t) // the home agent asks the BSF
	bootstraps(s, 2)
	s.asks(1273, 0, "bootstrapping-info", "pgw", "bsf", tid)
	s.bound(1310, 1)
	want := ub(2)
	want["BSF request and answer"] = 20
	h := wantTerms(t, s.analysis(), want)
	if p, ok := h.Phase(Bootstrapping); !ok || p.Length() != 106*eachMS {
		t.Errorf("bootstrapping takes %v, %v", p.Length(), ok)
	}
	if h.AAA != 12 { // both DER, MAR and SAR, MAR of the BSF, and BIR
		t.Errorf("%d messages between servers, want 12", h.AAA)
	}

	s = eps(t) // it asks the AAA server, which asks the BSF; the card had to tell its sequence number
	bootstraps(s, 3)
	s.asks(1273, 20, "mip6a", "pgw", "aaa", tid)
	s.asks(1283, 0, "bootstrapping-info", "aaa", "bsf", tid)
	s.bound(1330, 1)
	want = ub(3)
	want["AAA request and answer"], want["from there to the BSF and back"] = 20, 20
	wantTerms(t, s.analysis(), want)
}

func TestTheBoundOfAChallengeHasTwoRounds(t *testing.T) {
	s := eps(t)
	s.handsOver()
	s.tell(1154, "ue", "binding-update-sent", map[string]any{"seq": 1.0, "care-of": "2001:db8:200::9", "auth": "mn-aaa"})
	s.asks(1167, 20, "mip6a", "pgw", "aaa", "0"+theIMSI+theRoot)
	s.asks(1177, 0, "multimedia-auth", "aaa", "hss", theIMSI)
	s.packet(1207, 1217, "binding-acknowledgement", "core", "pgw", "wlan-gw", map[string]any{"seq": 1.0, "status": 128.0, "key-material": []any{"aka-challenge"}})
	s.packet(1217, 1220, "binding-acknowledgement", "wlan", "wlan-gw", "ue", map[string]any{"seq": 1.0, "status": 128.0, "key-material": []any{"aka-challenge"}, "src": "pgw", "dst": "wlan-gw"})
	s.tell(1220, "ue", "binding-update-sent", map[string]any{"seq": 2.0, "care-of": "2001:db8:200::9", "auth": "mn-aaa"})
	s.asks(1233, 0, "mip6a", "pgw", "aaa", "0"+theIMSI+theRoot)
	s.bound(1270, 2)
	a := s.analysis()
	wantTerms(t, a, with(map[string]time.Duration{"binding update and acknowledgement": 26, "AAA request and answer, times 2": 40, "from there to the HSS and back": 20}))
}

func TestQuestionsAboutOthersAreNotCounted(t *testing.T) {
	s := eps(t)
	s.handsOver()
	s.asks(1100, 0, "multimedia-auth", "aaa", "hss", "001019999999999")
	s.tell(1154, "ue", "binding-update-sent", map[string]any{"seq": 1.0, "care-of": "2001:db8:200::9", "auth": "mn-aaa"})
	s.asks(1167, 0, "mip6a", "pgw", "aaa", "other@lab.test")
	s.asks(1190, 0, "mip6a", "pgw", "aaa", "0"+theIMSI+theRoot)
	s.bound(1230, 1)
	h := wantTerms(t, s.analysis(), with(map[string]time.Duration{"AAA request and answer": 20}))
	if h.AAA != 10 {
		t.Errorf("%d messages between servers, want 10", h.AAA)
	}
}
