package aaa

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/hss"
	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/eapaka"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
)

const (
	imsi    = "001010000000001"
	naiReal = "nai." + realm
	nai0    = "0" + imsi + "@" + naiReal // the permanent one
	anid    = "WLAN"
	pgw     = "pgw." + realm
	twan    = "twan." + realm
)

// subscription has the keys of TS 35.208, test set 1.
func subscription() store.Subscriber {
	return store.Subscriber{IMSI: imsi, K: unhex("465b5ce8b199b49faa5f0a2ee238a6bc"), OPc: unhex("cd63cb71954a9f4e48a5994e37a02baf"),
		Algorithm: store.Milenage, AMF: [2]byte{0x80, 0}, DefaultAPN: "internet", GBA: store.GBA{Allowed: true},
		APNs: []store.APN{{Name: "internet", PDN: store.PDNIPv4v6, Allocation: store.Dynamic}}}
}

// A network is an AAA server between those who ask it, who are the test, and an HSS
// and a BSF, which answer at once unless the test says otherwise.
type network struct {
	testing.TB
	cfg    *control.Config
	m      *Machine
	now    time.Time
	store  *store.Store
	hss    *hss.Machine
	front  *hss.Front
	silent map[string]bool // nodes that take requests and say nothing
	spoil  func(request, answer *diameter.Message) *diameter.Message
	bsf    func(r *diameter.BootstrappingInfoRequest) *diameter.BootstrappingInfoAnswer

	conns  map[uint64]string // by connection, who is at its other end
	asked  []*diameter.Message
	waits  []uint64            // connection of each of asked that was not answered
	to     []*diameter.Message // what came to those who ask
	told   []string
	events []telling.Event
	ids    uint32
}

// newNetwork makes one with a way of bootstrapping, as security in a topology says it.
func newNetwork(t testing.TB, how, source string) *network {
	t.Helper()
	cfg := config()
	cfg.AAA.Security = control.Security{Bootstrap: how, KeySource: source}
	cfg.AAA.Timeout = 2 * time.Second
	cfg.AAA.HSS = []control.Peer{{Host: "hss." + realm, Realm: realm, Address: netip.MustParseAddrPort("[2001:db8::5]:3868")}}
	cfg.AAA.BSF = &control.Peer{Host: "bsf." + realm, Realm: realm, Address: netip.MustParseAddrPort("[2001:db8::6]:3868")}
	n := &network{TB: t, cfg: cfg, now: start, silent: map[string]bool{}}
	n.store = store.Memory()
	n.hss = hss.New(n.store, rand.NewChaCha8([32]byte{9}))
	n.front = hss.NewFront(n.hss, diameter.Identity{Host: "hss." + realm, Realm: realm})
	if _, err := n.hss.Put(subscription()); err != nil {
		t.Fatal(err)
	}
	n.restart()
	return n
}

// restart gives the AAA server another life, in which it knows nothing.
func (n *network) restart() {
	n.Helper()
	m, err := New(n.cfg, n.now)
	if err != nil {
		n.Fatal(err)
	}
	n.m, n.conns, n.asked, n.waits = m, map[uint64]string{}, nil, nil
	n.hear(m.Start(n.now))
	for i, host := range []string{pgw, twan} {
		conn := uint64(1)<<63 + uint64(i)
		n.conns[conn] = host
		n.hear(m.Step(n.now, diampeer.Accepted{Conn: conn, Local: agent, Remote: netip.AddrPortFrom(agent, uint16(i+1))}))
		n.deliver(conn, &diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{Identity: diameter.Identity{Host: host, Realm: realm},
			Addresses: []netip.Addr{agent}, Product: "test", Auth: []diameter.Application{diameter.MIP6A, diameter.STa, diameter.SWm, diameter.S6b, diameter.Zn}}})
	}
	if got := m.Counts().Peers; len(got) != 4 {
		n.Fatalf("peers %q", got)
	}
	n.told, n.to, n.events = nil, nil, nil
}

// deliver has a request arrive by a connection.
func (n *network) deliver(conn uint64, r diampeer.Request) {
	n.Helper()
	n.ids++
	b, err := r.AppendTo(nil, diameter.Header{HopByHop: n.ids, EndToEnd: n.ids})
	if err != nil {
		n.Fatal(err)
	}
	n.hear(n.m.Step(n.now, diampeer.Received{Conn: conn, Octets: b, At: n.now}))
}

// from is the connection with a node.
func (n *network) from(host string) uint64 {
	for conn, at := range n.conns {
		if at == host {
			return conn
		}
	}
	n.Fatalf("no connection with %s", host)
	return 0
}

// send has a node ask, and gives the answer; nil: none has come yet.
func (n *network) send(host string, r diampeer.Request) *diameter.Message {
	n.Helper()
	before := len(n.to)
	n.deliver(n.from(host), r)
	for _, m := range n.to[before:] {
		if !m.IsRequest() {
			return m
		}
	}
	return nil
}

func (n *network) hear(out []diampeer.Output, events []telling.Event) {
	n.Helper()
	n.events = append(n.events, events...)
	for _, e := range events {
		line := e.Name
		for _, f := range []string{"nai", "about", "name", "reason"} {
			if v, ok := e.Fields[f].(string); ok {
				line += " " + v
				if len(v) > longestName {
					n.Errorf("%s: %s of %d octets", e.Name, f, len(v))
				}
			}
		}
		n.told = append(n.told, line)
	}
	for _, o := range slices.Clone(out) {
		switch o := o.(type) {
		case diampeer.Connect:
			n.conns[o.Conn] = map[netip.Addr]string{netip.MustParseAddr("2001:db8::5"): "hss." + realm, netip.MustParseAddr("2001:db8::6"): "bsf." + realm}[o.To.Addr()]
			n.hear(n.m.Step(n.now, diampeer.Connected{Conn: o.Conn, Local: agent}))
		case diampeer.Write:
			m, err := diameter.Parse(o.Octets)
			if err == nil {
				err = diameter.Check(m)
			}
			if err != nil {
				n.Fatalf("wrote to %s what is malformed: %v", n.conns[o.Conn], err)
			}
			n.written(o.Conn, m)
		}
	}
}

// written has the other end of a connection take a message.
func (n *network) written(conn uint64, m *diameter.Message) {
	n.Helper()
	host := n.conns[conn]
	switch {
	case m.Command == diameter.CapabilitiesExchange && m.IsRequest():
		serves := diameter.SWx
		if strings.HasPrefix(host, "bsf") {
			serves = diameter.Zn
		}
		n.back(conn, m, &diameter.CapabilitiesExchangeAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, Capabilities: diameter.Capabilities{
			Identity: diameter.Identity{Host: host, Realm: realm}, Addresses: []netip.Addr{agent}, Product: "test", VendorAuth: []diameter.Application{serves}}})
	case m.Command == diameter.CapabilitiesExchange:
	case m.Command == diameter.DeviceWatchdog && m.IsRequest():
		n.back(conn, m, &diameter.DeviceWatchdogAnswer{Outcome: diameter.Outcome{Result: diameter.Success}, Identity: diameter.Identity{Host: host, Realm: realm}})
	case !m.IsRequest() || host == pgw || host == twan:
		n.to = append(n.to, m)
	default:
		n.asked, n.waits = append(n.asked, m), append(n.waits, conn)
		if !n.silent[host] {
			n.serve(len(n.asked) - 1)
		}
	}
}

// serve has whoever was asked answer.
func (n *network) serve(i int) {
	n.Helper()
	m, conn := n.asked[i], n.waits[i]
	var octets []byte
	if strings.HasPrefix(n.conns[conn], "bsf") {
		r, err := diameter.ParseBootstrappingInfoRequest(m)
		if err != nil {
			n.Fatal(err)
		}
		a := n.bsf(r)
		a.Session, a.Identity = r.Session, diameter.Identity{Host: "bsf." + realm, Realm: realm}
		if octets, err = a.AppendTo(nil, m.Header); err != nil {
			n.Fatal(err)
		}
	} else {
		octets = n.front.Answer(m).Octets
	}
	if n.spoil != nil {
		answer, err := diameter.Parse(octets)
		if err != nil {
			n.Fatal(err)
		}
		if answer = n.spoil(m, answer); answer == nil {
			return
		}
		if octets, err = answer.AppendTo(nil); err != nil {
			n.Fatal(err)
		}
	}
	n.hear(n.m.Step(n.now, diampeer.Received{Conn: conn, Octets: octets, At: n.now}))
}

func (n *network) back(conn uint64, request *diameter.Message, a diampeer.Request) {
	n.Helper()
	b, err := a.AppendTo(nil, request.Header)
	if err != nil {
		n.Fatal(err)
	}
	n.hear(n.m.Step(n.now, diampeer.Received{Conn: conn, Octets: b, At: n.now}))
}

// pass lets time go by.
func (n *network) pass(d time.Duration) {
	n.Helper()
	end := n.now.Add(d)
	for {
		at := n.m.Deadline()
		if at.IsZero() || at.After(end) {
			break
		}
		n.now = at
		n.hear(n.m.Tick(at))
	}
	n.now = end
}

func (n *network) saw(line string) bool { return slices.Contains(n.told, line) }

func (n *network) mustSee(lines ...string) {
	n.Helper()
	for _, line := range lines {
		if !n.saw(line) {
			n.Errorf("told %q, want %q", n.told, line)
		}
	}
}

// left says how many there are of what a request leaves while it is open: each has to
// be gone when all were answered.
func (n *network) left() int { return len(n.m.asks.then) + len(n.m.eap.open) }

// A mobile is the other end of authentications.
type mobile struct {
	card       *usim.Card
	identities map[eap.Type]*eapaka.Identities
	access     *keys.Access
	random     *rand.ChaCha8
}

func newMobile(t testing.TB) *mobile {
	t.Helper()
	s := subscription()
	card, err := usim.New(keys.NewMilenage([16]byte(s.K), [16]byte(s.OPc)), usim.Profile2())
	if err != nil {
		t.Fatal(err)
	}
	return &mobile{card: card, random: rand.NewChaCha8([32]byte{3}), identities: map[eap.Type]*eapaka.Identities{eap.TypeAKA: {}, eap.TypeAKAPrime: {}}}
}

// An access is one authentication of a mobile, as the access sees it.
type access struct {
	*network
	host        string
	application diameter.Application
	session     string
	apn         string
	user        string
	peer        *eapaka.Peer
	mobile      *mobile
	method      eap.Type
	next        []byte // the EAP packet that the access has for the server
	rounds      int
	ended       *diameter.DiameterEAPAnswer // the last answer
	success     *eapaka.Succeeded
	failed      string
}

// attach begins one.
func (n *network) attach(u *mobile, session string, method eap.Type, change ...func(*access)) *access {
	n.Helper()
	a := &access{network: n, host: twan, application: diameter.STa, session: twan + ";1;" + session, mobile: u, method: method}
	a.peer = eapaka.NewPeer(eapaka.PeerOptions{Methods: []eap.Type{method}, Card: u.card, IMSI: imsi, Realm: naiReal, Identities: u.identities[method], Rand: u.random})
	for _, f := range change {
		f(a)
	}
	request, err := (&eap.Packet{Code: eap.Request, Identifier: 7, Type: eap.TypeIdentity}).AppendTo(nil)
	if err != nil {
		n.Fatal(err)
	}
	a.hears(request)
	p, err := eap.Parse(a.next)
	if err != nil {
		n.Fatal(err)
	}
	a.user = string(p.Data)
	return a
}

// hears gives the mobile a packet of the server.
func (a *access) hears(packet []byte) {
	a.Helper()
	a.next = nil
	for _, o := range a.peer.Step(eapaka.Received{Packet: packet}) {
		switch o := o.(type) {
		case eapaka.Send:
			a.next = slices.Clone(o.Packet)
		case eapaka.Succeeded:
			a.success = &o
		case eapaka.Failed:
			a.failed = o.Reason
		}
	}
}

func (a *access) request() *diameter.DiameterEAPRequest {
	return &diameter.DiameterEAPRequest{Application: a.application, Session: a.session, Identity: diameter.Identity{Host: a.host, Realm: realm}, DestinationRealm: realm,
		User: a.user, Type: diameter.AuthorizeAuthenticate, EAP: a.next, AccessNetwork: anid, Service: a.apn}
}

// turn sends what the mobile has said and gives it what comes back; false: nothing has
// come.
func (a *access) turn() bool {
	a.Helper()
	m := a.send(a.host, a.request())
	if m == nil {
		return false
	}
	return a.takes(m)
}

func (a *access) takes(m *diameter.Message) bool {
	a.Helper()
	answer, err := diameter.ParseDiameterEAPAnswer(m)
	if err != nil { // one with the E bit
		o, _, err := diameter.ParseError(m)
		if err != nil {
			a.Fatal(err)
		}
		answer = &diameter.DiameterEAPAnswer{Outcome: *o}
	}
	a.ended = answer
	a.rounds++
	if answer.EAP != nil {
		a.hears(answer.EAP)
	}
	return true
}

// run goes on until the server has decided, and gives its result.
func (a *access) run() diameter.ResultCode {
	a.Helper()
	for range 12 {
		if !a.turn() {
			a.Fatal("no answer")
		}
		if a.ended.Result != diameter.MultiRoundAuth {
			break
		}
	}
	if a.success != nil {
		s := a.success
		shared := &keys.Access{Method: s.Method.String(), Identity: nai0, EMSK: s.Keys.EMSK, RAND: s.RAND, CK: s.Keys.CK, IK: s.Keys.IK}
		if s.Fast {
			shared.RAND, shared.CK, shared.IK = a.mobile.access.RAND, a.mobile.access.CK, a.mobile.access.IK
		}
		a.mobile.access = shared
	}
	return a.ended.Result
}

// admitted has a mobile authenticated on trusted access.
func (n *network) admitted(u *mobile, session string) *access {
	n.Helper()
	a := n.attach(u, session, eap.TypeAKAPrime)
	if r := a.run(); r != diameter.Success || a.success == nil {
		n.Fatalf("%v, %q; told %q", r, a.failed, n.told)
	}
	return a
}

// proven is a MIP6-Request as a home agent makes it of a Binding Update that is proven
// by a method, and the result of asking.
func (n *network) proven(session string, identifier string, key []byte, change ...func(*diameter.MIP6Request)) (*diameter.MIP6Answer, diameter.ResultCode) {
	n.Helper()
	r := request()
	r.Session, r.User, r.SPI = pgw+";1;"+session, identifier, 3
	authenticator := keys.MNAAA(key, [keys.MNAAASize]byte(r.MobilityData))
	r.Authenticator = authenticator[:]
	for _, f := range change {
		f(r)
	}
	m := n.send(pgw, r)
	if m == nil {
		return nil, 0
	}
	o, _, err := diameter.ParseError(m)
	if err != nil {
		n.Fatal(err)
	}
	a, _ := diameter.ParseMIP6Answer(m)
	if a != nil && o.Result != diameter.Success && (a.MSA != nil || a.State == diameter.StateMaintained) {
		n.Errorf("%v comes with an association", o.Result)
	}
	return a, o.Result
}

// proof is the key that a mobile's side of a method proves a Binding Update by.
func (n *network) proof(held *bootstrap.Held) bootstrap.Proof {
	n.Helper()
	s := n.cfg.AAA.Security
	method, err := bootstrap.Of(s.Profile, s.Bootstrap, s.KeySource)
	if err != nil {
		n.Fatal(err)
	}
	return method.Mobile.Prove(held, bootstrap.Agent{Address: agent, Host: pgw})
}

// heldBy is what a mobile proves Binding Updates with.
func heldBy(u *mobile) *bootstrap.Held {
	return &bootstrap.Held{NAI: nai0, Realm: realm, Access: u.access, Card: u.card}
}

// answers takes the card to a challenge.
func (u *mobile) answers(c *diameter.Challenge) (usim.Response, *usim.SyncError) {
	var stale *usim.SyncError
	r, err := u.card.Authenticate(c.RAND, c.AUTN)
	errors.As(err, &stale)
	return r, stale
}
