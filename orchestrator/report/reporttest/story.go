// Package reporttest makes journals of runs that never were, for tests: a small
// model of one mobile node that hands over between links, with its signalling
// and a voice flow both ways.
//
// Every length of time in the model is known, so a test can say what a reading
// of the journal must find. Nothing else may use it.
package reporttest

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/topologies"
)

// Zero is what the clock that stamps packets shows when a story starts.
const Zero = 86_400 * time.Second

// NAI is the mobile's. It holds markup, as a name from a packet may.
const NAI = `001010000000001<img src=x onerror="alert(1)">@nai.example`

// Addresses of the story.
const (
	Home       = "2001:db8:100::10"
	HomeAgent  = "2001:db8:100::1"
	CNAddress  = "2001:db8:400::2"
	AAAAddress = "2001:db8:300::3"
)

// A Stop is one stay of the mobile at a link.
type Stop struct {
	Link string
	At   time.Duration // when the link comes up
	Off  time.Duration // when it goes down; zero: never
}

// A Script is what happens in a story.
type Script struct {
	Stops    []Stop
	Start    time.Duration // of the voice, both ways
	Stop     time.Duration
	Spacing  time.Duration // of its packets
	End      time.Duration
	LoseAcks int // so many first Binding Acknowledgements of the last move are dropped
	Seed     uint64
}

// Default is the default scenario: LTE at home, WLAN with the first binding,
// WiMAX, and home again; 50 ms without any link at each move.
func Default() Script {
	return Script{
		Stops: []Stop{
			{Link: "lte", At: 300 * time.Millisecond, Off: 5 * time.Second},
			{Link: "wlan", At: 5050 * time.Millisecond, Off: 9 * time.Second},
			{Link: "wimax", At: 9050 * time.Millisecond, Off: 13 * time.Second},
			{Link: "lte", At: 13050 * time.Millisecond},
		},
		Start: time.Second, Stop: 18 * time.Second, Spacing: 20 * time.Millisecond, End: 18500 * time.Millisecond,
		Seed: 7,
	}
}

// MakeBeforeBreak is the default scenario, but each new link is there for 300 ms
// before the old one goes.
func MakeBeforeBreak() Script {
	s := Default()
	for i := 1; i < len(s.Stops); i++ {
		s.Stops[i].At -= 350 * time.Millisecond
	}
	return s
}

// PingPong goes to and fro between WLAN and WiMAX so many times, every half second.
func PingPong(moves int) Script {
	s := Default()
	s.Stops = s.Stops[:1]
	s.Stops[0].Off = 2 * time.Second
	for i := range moves {
		at := s.Stops[0].Off + time.Duration(i)*500*time.Millisecond
		s.Stops = append(s.Stops, Stop{Link: []string{"wlan", "wimax"}[i%2], At: at + 20*time.Millisecond, Off: at + 500*time.Millisecond})
	}
	s.Stops[moves].Off = 0
	s.Stop = s.Stops[moves].At + time.Second
	s.End = s.Stop + 500*time.Millisecond
	return s
}

// A Link of the story, and what lies behind it.
type access struct {
	delay, behind time.Duration // of the link; from its router to the home agent
	router        string
	careOf        string
	loss          float64
}

var accesses = map[string]access{
	"lte":   {15 * ms, 0, "pgw", Home, 0},
	"wlan":  {3 * ms, 10 * ms, "wlan-gw", "2001:db8:200::99", 0.005},
	"wimax": {10 * ms, 10 * ms, "wimax-gw", "2001:db8:210::99", 0},
}

const (
	ms  = time.Millisecond
	sgi = 2 * ms  // home agent to correspondent
	aaa = 10 * ms // home agent to AAA server
)

// What software takes, in the story.
const (
	Notice    = 400 * time.Microsecond // the mobile notices a carrier
	Answer    = 200 * time.Microsecond // a router answers
	Address   = 300 * time.Microsecond // an address comes into use
	Update    = 250 * time.Microsecond // a Binding Update is made, or verified
	Authorise = 600 * time.Microsecond
)

// Topology is the story's, complete as topologies makes one.
func Topology() *topologies.Topology {
	impaired := func(delay time.Duration, loss float64, ends ...string) map[string]topologies.Impairment {
		m := map[string]topologies.Impairment{}
		for _, e := range ends {
			m[e] = topologies.Impairment{Delay: delay, Loss: topologies.Loss{Rate: loss}}
		}
		return m
	}
	on := func(link string, index int, addresses ...string) topologies.Interface {
		i := topologies.Interface{Name: link, Link: link, Index: index}
		for _, a := range addresses {
			i.Addresses = append(i.Addresses, netip.MustParsePrefix(a+"/64"))
		}
		return i
	}
	advertising := func(i topologies.Interface) topologies.Interface {
		p := i.Addresses[0]
		i.Advertise = &topologies.Advertise{Prefix: p.Masked(), Address: p.Addr()}
		return i
	}
	t := &topologies.Topology{
		Name:     "eps-s2c",
		Security: topologies.Security{Integrity: "auth-options", Replay: "timestamp", Bootstrap: "mip-options", Profile: "3gpp"},
		Nodes: []topologies.Node{
			{Name: "ue", Role: "mn", MobileNode: &topologies.MobileNode{HomeAgent: "pgw", HomeAddress: netip.MustParseAddr(Home), NAI: NAI, DAD: "optimistic"},
				Interfaces: []topologies.Interface{on("lte", 2), on("wlan", 3), on("wimax", 4)}},
			{Name: "wlan-gw", Role: "router", Router: &topologies.Router{},
				Interfaces: []topologies.Interface{advertising(on("wlan", 2, "2001:db8:200::1")), on("core", 3, "2001:db8:300::2")}},
			{Name: "wimax-gw", Role: "router", Router: &topologies.Router{},
				Interfaces: []topologies.Interface{advertising(on("wimax", 2, "2001:db8:210::1")), on("core", 3, "2001:db8:300::4")}},
			{Name: "pgw", Role: "ha", HomeAgent: &topologies.HomeAgent{Address: netip.MustParseAddr(HomeAgent), AAA: []string{"aaa"}},
				Interfaces: []topologies.Interface{advertising(on("lte", 2, HomeAgent)), on("core", 3, "2001:db8:300::1"), on("sgi", 4, "2001:db8:400::1")}},
			{Name: "aaa", Role: "aaa", AAA: &topologies.AAA{}, Interfaces: []topologies.Interface{on("core", 2, AAAAddress)}},
			{Name: "cn", Role: "cn", Interfaces: []topologies.Interface{on("sgi", 2, CNAddress)}},
		},
	}
	link := func(name string, home bool, delay time.Duration, loss float64, ends ...string) {
		prefix := netip.MustParsePrefix(map[string]string{"lte": "2001:db8:100::/64", "wlan": "2001:db8:200::/64", "wimax": "2001:db8:210::/64", "core": "2001:db8:300::/64", "sgi": "2001:db8:400::/64"}[name])
		t.Links = append(t.Links, topologies.Link{Name: name, Home: home, Prefix: prefix, Ends: ends, From: impaired(delay, loss, ends...)})
	}
	link("lte", true, 15*ms, 0, "ue", "pgw")
	link("wlan", false, 3*ms, 0.005, "ue", "wlan-gw")
	link("wimax", false, 10*ms, 0, "ue", "wimax-gw")
	link("core", false, aaa, 0, "wlan-gw", "wimax-gw", "pgw", "aaa")
	link("sgi", false, sgi, 0, "pgw", "cn")
	return t
}

// A teller writes a story down.
type teller struct {
	Script
	events []journal.Event
	frame  int
	seq    int
	rand   *rand.Rand
	away   []binding // at the home agent, in the order of time
	open   []binding // at the mobile: by which link it may send
}

// A binding says by which link a mobile is reached from a time on; by none where
// link is empty.
type binding struct {
	at   time.Duration
	link string
	lost string // only if it was this one until then
}

// Events tells the whole story.
func (s Script) Events() []journal.Event {
	t := &teller{Script: s, rand: rand.New(rand.NewPCG(s.Seed, 1)), seq: 100}
	t.tell(0, "", "run-started", "clock", float64(Zero), "scenario", "default", "seed", float64(s.Seed), "kernel", "Linux 6.8.0", "user", "root", "real-time", true)
	for _, n := range []string{"ue", "wlan-gw", "wimax-gw", "pgw", "aaa", "cn"} {
		t.tell(5*ms, n, "node-started", "role", n)
	}
	at := t.send(20*ms, "capabilities-exchange-request", "2001:db8:300::1", AAAAddress, 240, nil, way{"pgw", "core", "aaa", aaa})
	t.send(at+Authorise, "capabilities-exchange-answer", AAAAddress, "2001:db8:300::1", 260, fields{"result": "2001"}, way{"aaa", "core", "pgw", aaa})
	t.tell(at+Authorise+aaa, "pgw", "peer-up", "peer", "aaa.example")
	for i := range s.Stops {
		t.stay(i)
	}
	t.voice()
	t.tell(s.End-ms, "", "link-measured", "link", "wlan", "from", "ue", "sent", 812.0, "arrived", 808.0, "dropped", fields{"loss": 4.0}, "device-dropped", fields{"sent": 3.0, "no-carrier": 1.0, "arrived": 0.0}, "frames", 812.0, "late-p50", 0.000012, "late-p95", 0.00007, "late-p99", 0.000111, "late-max", 0.0009)
	t.tell(s.End-ms, "", "capture-ended", "packets", float64(t.frame), "lost", 0.0)
	t.tell(s.End, "", "run-ended", "verdict", "held")
	slices.SortStableFunc(t.events, func(a, b journal.Event) int { return cmp.Compare(a.At, b.At) })
	return t.events
}

type fields = map[string]any

func (t *teller) tell(at time.Duration, node, name string, pairs ...any) {
	f := fields{}
	for i := 0; i < len(pairs); i += 2 {
		f[pairs[i].(string)] = pairs[i+1]
	}
	t.events = append(t.events, journal.Event{At: at, Node: node, Name: name, Fields: f})
}

// A way is one link that a message crosses.
type way struct {
	from, link, to string
	delay          time.Duration
}

// send tells of a message on its way and says when it arrives.
func (t *teller) send(at time.Duration, message, src, dst string, octets int, about fields, ways ...way) time.Duration {
	for _, w := range ways {
		t.frame++
		f := fields{
			"message": message, "link": w.link, "from": w.from, "to": []any{w.to}, "frame": float64(t.frame), "fate": "delivered",
			"src": src, "dst": dst, "length": float64(octets), "sent": at.Seconds(), "arrived": (at + w.delay).Seconds(),
		}
		for k, v := range about {
			f[k] = v
		}
		if f["lost-at"] == w.link {
			f["fate"], f["reason"], f["to"] = "dropped", "aimed", []any{}
		}
		delete(f, "lost-at")
		t.events = append(t.events, journal.Event{At: at, Name: "packet", Fields: f})
		if f["fate"] == "dropped" {
			return -1
		}
		at += w.delay + 30*time.Microsecond
	}
	return at - 30*time.Microsecond
}

// stay tells how the mobile attaches to its i-th link and, later, leaves it.
func (t *teller) stay(i int) {
	s, a := t.Stops[i], accesses[t.Stops[i].Link]
	what := "attach " + s.Link
	if i > 0 {
		what = "move to " + s.Link
	}
	t.tell(s.At-ms, "", "step-started", "step", float64(i+1), "what", what)
	t.tell(s.At, "ue", "link-attached", "link", s.Link)
	if s.Off > 0 {
		t.tell(s.Off, "ue", "link-detached", "link", s.Link)
		t.tell(s.Off+Notice, "ue", "carrier-lost", "link", s.Link)
		t.open = append(t.open, binding{at: s.Off, lost: s.Link})
	}
	at := s.At + Notice
	t.tell(at, "ue", "carrier-gained", "link", s.Link)

	at = t.send(at, "router-solicitation", "fe80::a", "ff02::2", 70, nil, way{"ue", s.Link, a.router, a.delay}) + Answer
	at = t.send(at, "router-advertisement", "fe80::1", "fe80::a", 118, fields{"lifetime": 30.0, "prefix": a.careOf[:len(a.careOf)-2] + "/64"}, way{a.router, s.Link, "ue", a.delay})
	home := s.Link == "lte"
	t.tell(at, "ue", "router-found", "link", s.Link, "router", "fe80::1", "home", home)
	careOf := a.careOf
	if !home {
		at += Address
		t.tell(at, "ue", "address-configured", "link", s.Link, "address", careOf, "how", "optimistic")
	}
	t.tell(at, "ue", "attached", "link", s.Link, "care-of", careOf, "home", home)
	if i == 0 && home {
		t.away = append(t.away, binding{link: "lte"})
		t.open = append(t.open, binding{at: at, link: "lte"})
		return
	}
	t.register(i, at+Update, len(t.away) < 2 && !home)
}

// register tells how the mobile registers its new address, or takes its
// registration back.
func (t *teller) register(i int, at time.Duration, first bool) {
	s, a := t.Stops[i], accesses[t.Stops[i].Link]
	home := s.Link == "lte"
	there := []way{{"ue", s.Link, a.router, a.delay}}
	back := []way{{a.router, s.Link, "ue", a.delay}}
	if !home {
		there = append(there, way{a.router, "core", "pgw", a.behind})
		back = []way{{"pgw", "core", a.router, a.behind}, back[0]}
	}
	lifetime, auth := 60.0, "mn-ha"
	if home {
		lifetime = 0
	}
	if first {
		auth = "mn-aaa"
	}
	wait := 1000 * ms
	if first {
		wait = 1500 * ms
	}
	lose := 0
	if i == len(t.Stops)-1 {
		lose = t.LoseAcks
	}
	for attempt := 1; ; attempt++ {
		t.seq++
		seq := float64(t.seq)
		sent := at
		t.tell(at, "ue", "binding-update-sent", "seq", seq, "care-of", a.careOf, "home-address", Home, "lifetime", lifetime, "auth", auth, "attempt", float64(attempt))
		at = t.send(at, "binding-update", a.careOf, HomeAgent, 222, fields{
			"seq": seq, "flags": []any{"A", "H"}, "lifetime": lifetime, "home-address": Home, "care-of": a.careOf,
			"options": []any{"alternate-care-of", "mn-identifier", "replay-protection", "authentication"}, "auth": auth, "nai": NAI,
		}, there...) + Update
		if first {
			t.tell(at, "pgw", "aaa-asked", "nai", NAI, "peer", "aaa.example")
			at = t.send(at, "mip6a-request", "2001:db8:300::1", AAAAddress, 520, fields{"end-to-end": 77.0, "user-name": NAI}, way{"pgw", "core", "aaa", aaa}) + Authorise
			t.keys(at, "aaa", true)
			at = t.send(at, "mip6a-answer", AAAAddress, "2001:db8:300::1", 310, fields{"end-to-end": 77.0, "result": "2001", "user-name": NAI}, way{"aaa", "core", "pgw", aaa})
			t.tell(at, "pgw", "aaa-answered", "nai", NAI, "result", 2001.0)
			t.tell(at, "pgw", "association-made", "nai", NAI, "spi", 4097.0, "lifetime", 3600.0)
			t.tell(at, "pgw", "key-made", "nai", NAI, "key", "MN-HA key", "octets", 16.0, "print", "9ae30c41", "how", "from aaa.example", "lifetime", 3600.0)
			at += Update
		}
		if home {
			t.tell(at, "pgw", "binding-deleted", "home-address", Home, "reason", "returned home")
		} else {
			t.tell(at, "pgw", "binding-accepted", "nai", NAI, "home-address", Home, "care-of", a.careOf, "seq", seq, "lifetime", lifetime, "spi", 4097.0, "new", first)
		}
		t.away = append(t.away, binding{at: at, link: s.Link})
		about := fields{"seq": seq, "status": 0.0, "lifetime": lifetime, "home-address": Home, "options": []any{"mn-identifier", "replay-protection", "authentication"}, "auth": "mn-ha", "nai": NAI}
		if attempt <= lose {
			about["lost-at"] = s.Link
		}
		if got := t.send(at, "binding-acknowledgement", HomeAgent, a.careOf, 190, about, back...); got >= 0 {
			t.tell(got, "ue", "binding-acknowledged", "seq", seq, "status", 0.0, "lifetime", lifetime, "latency", (got - sent).Seconds())
			if first {
				t.keys(got, "ue", false)
			}
			if home {
				t.tell(got, "ue", "returned-home", "link", s.Link)
			} else {
				t.tell(got, "ue", "bound", "link", s.Link, "care-of", a.careOf, "lifetime", lifetime)
			}
			t.open = append(t.open, binding{at: got, link: s.Link})
			return
		}
		at, first = sent+wait, false
		wait *= 2
	}
}

// keys tells the keys that a node and the mobile's have made of the one that was
// put into both.
func (t *teller) keys(at time.Duration, node string, lifetime bool) {
	t.tell(at, node, "key-made", "nai", NAI, "key", "MN-AAA key", "octets", 16.0, "print", "c07f5a12", "how", "provisioned")
	made := []any{"nai", NAI, "key", "MN-HA key", "octets", 16.0, "print", "9ae30c41", "how", "First128(HMAC-SHA1(MN-AAA key, ...))", "of", []any{"MN-AAA key"}, "of-prints", []any{"c07f5a12"}}
	if lifetime {
		made = append(made, "lifetime", 3600.0)
	}
	t.tell(at, node, "key-made", made...)
}

// voice tells of a flow both ways.
func (t *teller) voice() {
	by := func(a, b binding) int { return cmp.Compare(a.at, b.at) }
	slices.SortStableFunc(t.away, by)
	slices.SortStableFunc(t.open, by)
	for _, n := range []string{"ue", "cn"} {
		t.tell(t.Start, n, "flow-started", "flow", "voice", "kind", "voice", "proto", "udp", "from", "ue", "to", "cn", "size", 160.0, "rate", 1/t.Spacing.Seconds(), "both-ways", true)
	}
	for _, up := range []bool{true, false} {
		receiver := "ue"
		if up {
			receiver = "cn"
		}
		seq, received := 0, 0
		var batch []any
		var told time.Duration
		for s := t.Start; s < t.Stop; s += t.Spacing {
			seq++
			sent := s + time.Duration(t.rand.IntN(60))*time.Microsecond
			arrives, ok := t.carry(sent, up)
			if ok {
				received++
				batch = append(batch, []any{float64(seq), float64(Zero + sent), float64(Zero + arrives)})
				told = max(told, arrives)
			}
			if len(batch) == 5 || s+t.Spacing >= t.Stop && len(batch) > 0 {
				t.tell(told+2*ms, receiver, "flow-samples", "flow", "voice", "samples", batch)
				batch = nil
			}
		}
		sender := "cn"
		if up {
			sender = "ue"
		}
		t.events = append(t.events, journal.Event{At: t.Stop, Node: sender, Name: "flow-stopped", Fields: fields{"flow": "voice", "sent": float64(seq)}})
		_ = received
	}
}

// carry says when a packet of the flow arrives, and whether it does.
func (t *teller) carry(sent time.Duration, up bool) (time.Duration, bool) {
	noise := time.Duration(t.rand.IntN(80)) * time.Microsecond
	if up {
		link := at(t.open, sent)
		a := accesses[link]
		if link == "" || !t.isUp(link, sent+a.delay) || t.rand.Float64() < a.loss {
			return 0, false
		}
		return sent + a.delay + a.behind + sgi + noise, true
	}
	link := at(t.away, sent+sgi)
	a := accesses[link]
	arrives := sent + sgi + a.behind + a.delay
	if !t.isUp(link, arrives) || t.rand.Float64() < a.loss {
		return 0, false
	}
	return arrives + noise, true
}

func at(all []binding, when time.Duration) string {
	link := ""
	for _, b := range all {
		if b.at <= when && (b.lost == "" || b.lost == link) {
			link = b.link
		}
	}
	return link
}

func (t *teller) isUp(link string, when time.Duration) bool {
	for _, s := range t.Stops {
		if s.Link == link && s.At <= when && (s.Off == 0 || when < s.Off) {
			return true
		}
	}
	return false
}

// Judged adds expectations and what they came to, before the end of the run.
func Judged(events []journal.Event) []journal.Event {
	end := len(events) - 1
	at := events[end].At
	judged := []journal.Event{
		{At: at, Name: "expectation-judged", Fields: fields{"expectation": "saw: binding-update, node: pgw, flags: [A, H], within: 2s", "held": true, "found": "binding-update at 5.083 s, frame 9", "line": 21.0}},
		{At: at, Name: "expectation-judged", Fields: fields{"expectation": "never: icmp6-unreachable, node: cn", "held": true, "found": "none in " + strconv.Itoa(end) + " events", "line": 22.0}},
		{At: at, Name: "expectation-judged", Fields: fields{"expectation": "measure: interruption, node: ue, at-most: 100ms", "held": false, "wanted": "at most 100 ms", "found": "121.9 ms", "line": 23.0,
			"evidence": []any{"ue moves from lte to wlan: <b>121.9 ms</b> towards ue, from 4.997 s"}}},
	}
	events = slices.Insert(slices.Clone(events), end, judged...)
	events[len(events)-1].Fields = fields{"verdict": "not-held"}
	return events
}
