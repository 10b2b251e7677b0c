package diampeer

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/wire/diameter"
)

// patient is a desk whose requests wait, with home agents on connections 1 and 2.
func patient(t *testing.T) *desk {
	d := newDesk(t)
	d.later = true
	d.connect(1, "ha", 1)
	d.connect(2, "relay", 1)
	d.told = nil
	return d
}

// proxied is a request as an agent sends it on.
func proxied(t testing.TB, host, agent string, h diameter.Header) []byte {
	t.Helper()
	b, err := mir(host).AppendTo(nil, h)
	if err != nil {
		t.Fatal(err)
	}
	m, err := diameter.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	m.AVPs = append(m.AVPs, proxyInfo(agent), diameter.AVP{Code: diameter.RouteRecord, Flags: diameter.Mandatory, Data: []byte(host)})
	if b, err = m.AppendTo(nil); err != nil {
		t.Fatal(err)
	}
	return b
}

func proxyInfo(agent string) diameter.AVP {
	var b []byte
	for code, value := range map[diameter.Code]string{diameter.ProxyHost: agent, diameter.ProxyState: "of it"} {
		b = binary.BigEndian.AppendUint32(b, uint32(code))
		b = binary.BigEndian.AppendUint32(b, uint32(diameter.Mandatory)<<24|uint32(8+len(value)))
		b = append(b, value...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	return diameter.AVP{Code: diameter.ProxyInfo, Flags: diameter.Mandatory, Data: b}
}

func text(m *diameter.Message) string { return valueOf(m, diameter.ErrorMessage) }

func TestAnswersMayComeLaterAndInAnyOrder(t *testing.T) {
	d := patient(t)
	d.send(1, mir("ha"), diameter.Header{HopByHop: 7, EndToEnd: 1})
	d.send(1, mir("ha"), diameter.Header{HopByHop: 8, EndToEnd: 2})
	d.send(2, mir("other"), diameter.Header{HopByHop: 7, EndToEnd: 3})
	d.until(d.now.Add(10 * time.Second))
	d.want("deliver mip6a-request", "deliver mip6a-request", "deliver mip6a-request")
	d.answer(1, true)
	if h := d.written[1].Header; h.HopByHop != 8 || h.EndToEnd != 2 {
		t.Errorf("%+v", h)
	}
	d.answer(1, true)
	if h := d.written[2].Header; h.HopByHop != 7 || h.EndToEnd != 3 {
		t.Errorf("%+v", h)
	}
	d.answer(0, true)
	if h := d.written[1].Header; h.HopByHop != 7 || h.EndToEnd != 1 {
		t.Errorf("%+v", h)
	}
	d.want("mip6a-answer success -> 1", "mip6a-answer success -> 2", "mip6a-answer success -> 1")
}

func TestARequestThatComesAgainBeforeItsAnswerGetsItByEachPath(t *testing.T) { // RFC 6733, sections 3 and 6.2
	d := patient(t)
	d.connect(3, "agent", 1)
	d.told = nil
	d.send(1, mir("ha"), diameter.Header{HopByHop: 7, EndToEnd: 1})
	d.send(1, mir("ha"), diameter.Header{HopByHop: 7, EndToEnd: 1}) // the very same
	d.step(Received{Conn: 2, Octets: proxied(t, "ha", "relay", diameter.Header{HopByHop: 9, EndToEnd: 1, Flags: diameter.Retransmitted})})
	d.step(Received{Conn: 3, Octets: proxied(t, "ha", "agent", diameter.Header{HopByHop: 4, EndToEnd: 1, Flags: diameter.Retransmitted})})
	d.want("deliver mip6a-request", "ignored duplicate-request", "ignored duplicate-request", "ignored duplicate-request")
	d.answer(0, true)
	d.want("mip6a-answer success -> 3", "mip6a-answer success -> 2", "mip6a-answer success -> 1")
	for conn, hop := range map[uint64]uint32{1: 7, 2: 9, 3: 4} {
		if h := d.written[conn].Header; h.HopByHop != hop || h.EndToEnd != 1 {
			t.Errorf("connection %d: %+v", conn, h)
		}
	}
	agents := func(conn uint64) []diameter.AVP { return proxiesOf(d.written[conn]) }
	if len(agents(1)) != 0 || len(agents(2)) != 1 || !strings.Contains(string(agents(2)[0].Data), "relay") || len(agents(3)) != 1 || !strings.Contains(string(agents(3)[0].Data), "agent") {
		t.Errorf("Proxy-Info %v, %v, %v", agents(1), agents(2), agents(3))
	}
	// What is kept goes back in the same manner.
	d.told = nil
	d.step(Received{Conn: 3, Octets: proxied(t, "ha", "agent", diameter.Header{HopByHop: 5, EndToEnd: 1})})
	d.want("ignored duplicate-request", "mip6a-answer success -> 3")
	if d.served != 1 || d.written[3].HopByHop != 5 || len(agents(3)) != 1 {
		t.Errorf("served %d times, %+v, %v", d.served, d.written[3].Header, agents(3))
	}
}

func TestAnAnswerWhoseConnectionHasEndedWaitsForTheRequestToComeAgain(t *testing.T) {
	d := patient(t)
	d.send(1, mir("ha"), diameter.Header{HopByHop: 7, EndToEnd: 1})
	d.step(Closed{Conn: 1, Reason: "reset"})
	d.told = nil
	d.answer(0, true)
	d.want("ignored answer-without-connection")
	d.connect(4, "ha", 1)
	d.told = nil
	d.send(4, mir("ha"), diameter.Header{HopByHop: 3, EndToEnd: 1, Flags: diameter.Retransmitted})
	d.want("ignored duplicate-request", "mip6a-answer success -> 4")

	d.send(4, mir("ha"), diameter.Header{HopByHop: 4, EndToEnd: 2})
	d.send(2, mir("ha"), diameter.Header{HopByHop: 5, EndToEnd: 2, Flags: diameter.Retransmitted})
	d.step(Closed{Conn: 4, Reason: "reset"})
	d.told = nil
	d.answer(0, true)
	d.want("mip6a-answer success -> 2")
}

func TestARequestIsAnsweredOnce(t *testing.T) {
	d := patient(t)
	d.send(1, mir("ha"), diameter.Header{EndToEnd: 1})
	id := d.waiting[0].ID
	d.answer(0, true)
	d.told = nil
	d.hear(d.server.Answer(d.now, id, d.octets[1], true))
	d.hear(d.server.Answer(d.now, 999, d.octets[1], true))
	d.want("ignored answer-to-nothing", "ignored answer-to-nothing")
}

func TestAnAnswerThatIsNotFinalIsForThisTimeOnly(t *testing.T) {
	d := patient(t)
	d.send(1, mir("ha"), diameter.Header{EndToEnd: 1})
	d.answer(0, false)
	d.told = nil
	d.send(1, mir("ha"), diameter.Header{EndToEnd: 1, Flags: diameter.Retransmitted})
	d.want("deliver mip6a-request")
}

func TestOpenRequestsAreBounded(t *testing.T) {
	d := patient(t)
	for i := range uint32(mostOpen) {
		d.send(1, mir("ha"), diameter.Header{EndToEnd: i + 1})
	}
	d.whole()
	d.told = nil
	d.send(1, mir("ha"), diameter.Header{EndToEnd: mostOpen + 1})
	d.want("refused too-busy", "mip6a-answer too-busy -> 1")
	d.send(2, mir("ha"), diameter.Header{EndToEnd: 5}) // a duplicate needs no room
	d.want("ignored duplicate-request")
	old := d.waiting[0]
	d.answer(1, true)
	d.told = nil
	d.send(1, mir("ha"), diameter.Header{EndToEnd: mostOpen + 2})
	d.want("deliver mip6a-request")
	d.now = d.now.Add(keepAnswers + time.Second)
	d.send(1, mir("ha"), diameter.Header{EndToEnd: mostOpen + 3})
	d.whole()
	if n := len(d.server.inbox.open); n != 1 {
		t.Errorf("%d requests are open after %v", n, keepAnswers)
	}
	d.told = nil
	d.hear(d.server.Answer(d.now, old.ID, nil, true))
	d.want("ignored answer-to-nothing")
}

func TestOneOldRequestDoesNotKeepAllThatWereAnsweredSince(t *testing.T) {
	d := patient(t)
	for i := range uint32(1000) {
		d.send(1, mir("ha"), diameter.Header{EndToEnd: i + 1})
		if i > 0 {
			d.answer(1, false)
		}
	}
	if n := len(d.server.inbox.opened); n > 70 {
		t.Errorf("a line of %d for 1 request", n)
	}
}

func TestOctetsOfOpenRequestsAreBounded(t *testing.T) {
	d := patient(t)
	r := mir("ha")
	r.User = strings.Repeat("u", 60<<10) + "@home.example"
	for i := range uint32(300) {
		d.send(1, r, diameter.Header{EndToEnd: i + 1})
	}
	d.whole()
	if n := len(d.server.inbox.open); n < 250 || n > 280 { // 16 MiB of 60 KiB each
		t.Errorf("%d requests of 60 KiB", n)
	}
}

func TestPathsOfOneRequestAreBounded(t *testing.T) {
	d := patient(t)
	for i := range uint32(10) {
		d.send(1, mir("ha"), diameter.Header{HopByHop: i, EndToEnd: 1})
	}
	d.told = nil
	d.answer(0, true)
	if len(d.told) != mostPaths {
		t.Errorf("%d answers, want the latest %d", len(d.told), mostPaths)
	}
}

func TestWhatIsServedInOneApplicationIsNotInAnother(t *testing.T) {
	d := newDesk(t)
	d.server.local.Applications = []diameter.Application{diameter.MIP6I}
	d.server.local.Serves = []Service{{diameter.MIP6I, diameter.MIP6}, {diameter.MIP6A, diameter.MIP6}}
	d.accept(1)
	c := client("ha", 1)
	c.Auth = append(c.Auth, diameter.MIP6I)
	d.send(1, &diameter.CapabilitiesExchangeRequest{Capabilities: c}, diameter.Header{})
	d.told = nil
	d.send(1, mir("ha"), diameter.Header{})
	d.want("mip6a-answer application-unsupported -> 1", "refused application-unsupported") // it is not ours
	d.server.local.Applications = append(d.server.local.Applications, diameter.MIP6A)
	d.send(1, mir("ha"), diameter.Header{})
	d.want("deliver mip6a-request", "mip6a-answer success -> 1")
	d.server.local.Serves = d.server.local.Serves[:1]
	d.send(1, mir("ha"), diameter.Header{EndToEnd: 2})
	d.want("mip6a-answer command-unsupported -> 1", "refused command-unsupported")
}

func TestWhereAHostWasHeardIsBounded(t *testing.T) {
	var h hosts
	for i := range 3 * mostHosts {
		h.hear(fmt.Sprint("host", i), realm, "relay")
		h.hear("Kept", realm, "relay") // as long as it is heard
	}
	if n := len(h.recent) + len(h.former); n > mostHosts {
		t.Errorf("%d hosts", n)
	}
	if found, ok := h.of("kept"); !ok || found != (heard{"relay", realm}) {
		t.Errorf("%+v, %v", found, ok)
	}
	if _, ok := h.of("host0"); ok {
		t.Error("the oldest is there still")
	}
	h.hear("neighbour", realm, "Neighbour")
	if _, ok := h.of("neighbour"); ok {
		t.Error("a neighbour is remembered as behind itself")
	}
}

func TestWhatAnAnswerSaysIsItsOutcome(t *testing.T) {
	for result, reason := range map[diameter.ResultCode]string{
		diameter.Success:                "",
		diameter.MultiRoundAuth:         "", // goes on
		diameter.AuthorizationRejected:  "authorization-rejected",
		diameter.ApplicationUnsupported: "application-unsupported",
	} {
		s := newStory(t, "a")
		s.connect("a")
		s.ask(1)
		s.mia("a", result)
		if o := s.done[1]; o.Result != result || o.Reason != reason || o.Message == nil {
			t.Errorf("%v: %+v", result, o)
		}
	}
}

func TestARouteRecordInAnAnswerIsPassedOver(t *testing.T) { // RFC 6733, section 6.7.1: freeDiameter adds one
	s := newStory(t, "relay")
	s.offers["relay"] = anyApplication
	s.connect("relay")
	s.ask(1)
	r := s.last["relay"]
	b, err := (&diameter.MIP6Answer{Session: valueOf(r, diameter.SessionID), Outcome: diameter.Outcome{Result: diameter.Success},
		Identity: s.identity("aaa.far"), Homes: request().Homes, ProxyInfo: []diameter.AVP{{Code: diameter.RouteRecord, Flags: diameter.Mandatory, Data: []byte("aaa.far")}}}).AppendTo(nil, r.Header)
	if err != nil {
		t.Fatal(err)
	}
	s.step(Received{Conn: s.conns["relay"], Octets: b})
	if o := s.done[1]; o.Reason != "" || o.Host != "aaa.far" || o.Message.Find(diameter.RouteRecord) != nil {
		t.Errorf("%+v", o)
	}
}

func TestKeptAnswersGoWhenTheirTimeIsOver(t *testing.T) {
	d := patient(t)
	d.send(1, mir("ha"), diameter.Header{EndToEnd: 1})
	d.answer(0, true)
	d.now = d.now.Add(keepAnswers + time.Second)
	d.send(1, mir("ha"), diameter.Header{EndToEnd: 2})
	d.answer(0, true)
	if n := len(d.server.inbox.kept); n != 1 {
		t.Errorf("%d answers are kept", n)
	}
	if !slices.Contains([]string{"2"}, text(d.written[1])) {
		t.Errorf("answered %q", text(d.written[1]))
	}
}
