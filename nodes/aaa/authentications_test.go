package aaa_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/aaa"
	"s2clab/nodes/control"
	"s2clab/nodes/hss"
	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/eapaka"
	"s2clab/nodes/session/telling"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
)

const (
	homeRealm = "epc.mnc001.mcc001.3gppnetwork.org"
	router    = "wlan-gw." + homeRealm
	network   = "WLAN"

	authentications = 1024 // of a round
	authRounds      = 5
)

var loopback = netip.IPv6Loopback()

// BenchmarkAuthentications is how many full authentications by EAP-AKA' a second go
// through an AAA server and an HSS, which are joined by the octets of Diameter and
// keep what they must in a file before they say it; the other ends, access and UE,
// take their share. In turns with it, the functions that such a one cannot do without:
// a vector, the card, CK' and IK' at both ends, the keys and four MACs. One after the
// other, each waits for the disk by itself where it has to; of those that come
// together, an HSS writes at once what came at once:
//
//	go test -run none -bench Authentications ./nodes/aaa
func BenchmarkAuthentications(b *testing.B) {
	for _, c := range []struct {
		name     string
		together int
	}{{"one-by-one", 1}, {"64-together", 64}} {
		b.Run(c.name, func(b *testing.B) {
			w := newHome(b, authentications)
			w.round(c.together) // which registers everybody
			for b.Loop() {
				var ours, bare, ratios []float64
				for range authRounds {
					start := time.Now()
					w.round(c.together)
					middle := time.Now()
					w.bare()
					o, r := authentications/middle.Sub(start).Seconds(), authentications/time.Since(middle).Seconds()
					ours, bare, ratios = append(ours, o), append(bare, r), append(ratios, o/r)
				}
				for _, x := range [][]float64{ours, bare, ratios} {
					slices.Sort(x)
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(ours[authRounds/2], "authenticated/s")
				b.ReportMetric(bare[authRounds/2], "bare/s")
				b.ReportMetric(ratios[authRounds/2], "ratio")
			}
		})
	}
}

// TestManyAreAuthenticatedTogether holds what the benchmark measures: everybody has the
// keys that the access was given, and the HSS has spent one number on each.
func TestManyAreAuthenticatedTogether(t *testing.T) {
	w := newHome(t, 40)
	for round := range 2 {
		w.round(16)
		for i, u := range w.users {
			sqn, err := w.store.SQN(u.imsi)
			if err != nil || sqn>>5 != keys.SQN(round+1) {
				t.Errorf("round %d: user %d: SQN %x, %v", round, i, uint64(sqn), err)
			}
			if held, err := w.store.Registration(u.imsi); err != nil || held.Server != "aaa."+homeRealm {
				t.Errorf("user %d is served by %q, %v", i, held.Server, err)
			}
		}
	}
}

// A home is an AAA server and an HSS, with users on an access.
type home struct {
	testing.TB
	now    time.Time
	aaa    *aaa.Machine
	hss    *diampeer.Server
	front  *hss.Front
	store  *store.Store
	users  []*user
	behind uint64   // the AAA server's connection with the HSS
	toHSS  [][]byte // written and not read yet
	access [][]byte
	ids    uint32
}

// A user is a card with its owner, and the authentication that it is in.
type user struct {
	imsi    string
	card    *usim.Card
	peer    *eapaka.Peer
	says    []byte // an EAP packet
	done    *eapaka.Succeeded
	session string
}

// accepted are connections that a server has accepted; those that a client has
// opened are counted from 1.
const accepted = uint64(1) << 63

var (
	key      = bytes.Repeat([]byte{0x46}, 16)
	constant = bytes.Repeat([]byte{0xcd}, 16)
)

func newHome(t testing.TB, users int) *home {
	t.Helper()
	w := &home{TB: t, now: time.Unix(1e9, 0)}
	var err error
	if w.store, err = store.Open(filepath.Join(t.TempDir(), "hss.sqlite"), store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	identity := diameter.Identity{Host: "hss." + homeRealm, Realm: homeRealm}
	machine := hss.New(w.store, rand.Reader)
	w.front = hss.NewFront(machine, identity)
	w.hss = diampeer.NewServer(diampeer.ServerOptions{Now: w.now, Local: diampeer.Local{Identity: identity, Product: "s2clab", Rand: mathrand.New(mathrand.NewPCG(1, 2)),
		Applications: []diameter.Application{diameter.SWx},
		Serves:       []diampeer.Service{{Application: diameter.SWx, Command: diameter.MultimediaAuth}, {Application: diameter.SWx, Command: diameter.ServerAssignment}}}})
	if err := w.store.Batch(func() {
		for i := range users {
			u := &user{imsi: fmt.Sprintf("00101%010d", i), session: fmt.Sprintf("%s;1;%d", router, i)}
			if u.card, err = usim.New(keys.NewMilenage([16]byte(key), [16]byte(constant)), usim.Profile2()); err != nil {
				return
			}
			w.users = append(w.users, u)
			if _, err = machine.Put(store.Subscriber{IMSI: u.imsi, K: key, OPc: constant, Algorithm: store.Milenage, AMF: [2]byte{0x80, 0},
				DefaultAPN: "internet", APNs: []store.APN{{Name: "internet", PDN: store.PDNIPv4v6, Allocation: store.Dynamic}}}); err != nil {
				return
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.aaa, err = aaa.New(&control.Config{Node: "aaa", Role: "aaa", Seed: 1, AAA: &control.AAA{Host: "aaa." + homeRealm, Realm: homeRealm, KeyLifetime: time.Hour,
		Security: control.Security{Bootstrap: "mip-options", KeySource: "emsk"}, Timeout: time.Minute,
		HSS: []control.Peer{{Host: identity.Host, Realm: homeRealm, Address: netip.AddrPortFrom(loopback, 3868)}}}}, w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.hss.Step(w.now, diampeer.Accepted{Conn: accepted, Local: loopback, Remote: netip.AddrPortFrom(loopback, 1)})
	w.did(w.aaa.Start(w.now))
	w.answers()
	w.did(w.aaa.Step(w.now, diampeer.Accepted{Conn: accepted, Local: loopback, Remote: netip.AddrPortFrom(loopback, 2)}))
	w.ask(&diameter.CapabilitiesExchangeRequest{Capabilities: diameter.Capabilities{Identity: diameter.Identity{Host: router, Realm: homeRealm},
		Addresses: []netip.Addr{loopback}, Product: "test", Auth: []diameter.Application{diameter.STa}}})
	if peers := w.aaa.Counts().Peers; len(peers) != 2 {
		t.Fatalf("peers %q", peers)
	}
	w.access = nil
	return w
}

// did takes what the AAA server writes.
func (w *home) did(out []diampeer.Output, _ []telling.Event) {
	for _, o := range slices.Clone(out) {
		switch o := o.(type) {
		case diampeer.Connect:
			w.behind = o.Conn
			w.did(w.aaa.Step(w.now, diampeer.Connected{Conn: o.Conn, Local: loopback}))
		case diampeer.Write:
			if o.Conn == w.behind {
				w.toHSS = append(w.toHSS, slices.Clone(o.Octets))
			} else {
				w.access = append(w.access, slices.Clone(o.Octets))
			}
		}
	}
}

// ask sends a request of the access.
func (w *home) ask(r diampeer.Request) {
	w.ids++
	octets, err := r.AppendTo(nil, diameter.Header{HopByHop: w.ids, EndToEnd: w.ids})
	if err != nil {
		w.Fatal(err)
	}
	w.did(w.aaa.Step(w.now, diampeer.Received{Conn: accepted, Octets: octets, At: w.now}))
}

// answers has the HSS answer all that has come to it, as one batch.
func (w *home) answers() {
	for len(w.toHSS) > 0 {
		came := w.toHSS
		w.toHSS = nil
		var back [][]byte
		if err := w.store.Batch(func() {
			for _, octets := range came {
				for _, o := range slices.Clone(w.hss.Step(w.now, diampeer.Received{Conn: accepted, Octets: octets, At: w.now})) {
					switch o := o.(type) {
					case diampeer.Write:
						back = append(back, slices.Clone(o.Octets))
					case diampeer.Deliver:
						a := w.front.Answer(o.Message)
						for _, o := range w.hss.Answer(w.now, o.ID, a.Octets, a.Final) {
							if o, ok := o.(diampeer.Write); ok {
								back = append(back, slices.Clone(o.Octets))
							}
						}
					}
				}
			}
		}); err != nil {
			w.Fatal(err)
		}
		for _, octets := range back {
			w.did(w.aaa.Step(w.now, diampeer.Received{Conn: w.behind, Octets: octets, At: w.now}))
		}
	}
}

// round authenticates every user once, so many at a time.
func (w *home) round(together int) {
	w.now = w.now.Add(time.Second)
	for some := range slices.Chunk(w.users, together) {
		for _, u := range some {
			u.begin(w)
			w.ask(u.request())
		}
		w.answers() // has given vectors
		w.heard(some, diameter.MultiRoundAuth)
		for _, u := range some {
			w.ask(u.request())
		}
		w.answers() // has given profiles
		for i, a := range w.heard(some, diameter.Success) {
			if u := some[i]; u.done == nil || u.done.Fast || !bytes.Equal(a.MSK, u.done.Keys.MSK[:]) {
				w.Fatalf("%s has %v, the access %d octets of key", u.imsi, u.done, len(a.MSK))
			}
		}
	}
}

// begin has a user asked who it is.
func (u *user) begin(t testing.TB) {
	u.done = nil
	u.peer = eapaka.NewPeer(eapaka.PeerOptions{Methods: []eap.Type{eap.TypeAKAPrime}, Card: u.card, IMSI: u.imsi, Realm: "nai." + homeRealm, Network: network, Rand: rand.Reader})
	who, err := (&eap.Packet{Code: eap.Request, Identifier: 7, Type: eap.TypeIdentity}).AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	u.hears(who)
}

func (u *user) hears(packet []byte) {
	u.says = nil
	for _, o := range u.peer.Step(eapaka.Received{Packet: packet}) {
		switch o := o.(type) {
		case eapaka.Send:
			u.says = slices.Clone(o.Packet)
		case eapaka.Succeeded:
			u.done = &o
		}
	}
}

func (u *user) request() *diameter.DiameterEAPRequest {
	return &diameter.DiameterEAPRequest{Application: diameter.STa, Session: u.session, Identity: diameter.Identity{Host: router, Realm: homeRealm}, DestinationRealm: homeRealm,
		User: "6" + u.imsi + "@nai." + homeRealm, Type: diameter.AuthorizeAuthenticate, EAP: u.says, AccessNetwork: network}
}

// heard gives users what the AAA server has answered to the requests of each.
func (w *home) heard(some []*user, result diameter.ResultCode) (answers []*diameter.DiameterEAPAnswer) {
	if len(w.access) != len(some) {
		w.Fatalf("%d answers of %d", len(w.access), len(some))
	}
	answers = make([]*diameter.DiameterEAPAnswer, len(some))
	for _, octets := range w.access {
		m, err := diameter.Parse(octets)
		if err != nil {
			w.Fatal(err)
		}
		a, err := diameter.ParseDiameterEAPAnswer(m)
		if err != nil || a.Result != result {
			w.Fatalf("%v, %+v", err, a)
		}
		i := slices.IndexFunc(some, func(u *user) bool { return u.session == a.Session })
		some[i].hears(a.EAP)
		answers[i] = a
	}
	w.access = w.access[:0]
	return answers
}

// bare does what every authentication has to, and nothing else, for every user once.
func (w *home) bare() {
	algorithm, packet := keys.NewMilenage([16]byte(key), [16]byte(constant)), make([]byte, 240)
	card, err := usim.New(algorithm, usim.Profile2())
	if err != nil {
		w.Fatal(err)
	}
	sqn := keys.SQN(0)
	for range w.users {
		var challenge [16]byte
		rand.Read(challenge[:])
		if sqn, err = usim.Profile2().Next(sqn); err != nil {
			w.Fatal(err)
		}
		v, err := keys.NewVector(algorithm, challenge, sqn, [2]byte{0x80, 0})
		if err != nil {
			w.Fatal(err)
		}
		r, err := card.AuthenticateSeparated(v.RAND, v.AUTN)
		if err != nil || !bytes.Equal(r.RES, v.XRES) {
			w.Fatal(err)
		}
		var macs [2][]byte
		for end, of := range [][2][16]byte{{v.CK, v.IK}, {r.CK, r.IK}} {
			ck, ik := keys.BindToNetwork(of[0], of[1], network, [6]byte(v.AUTN[:]))
			k := keys.NewEAPAKAPrime("6001010000000001@nai."+homeRealm, ck, ik)
			for range 2 { // of the Challenge and of its Response
				mac := keys.EAPMACPrime(k.KAut, packet, nil)
				macs[end] = mac[:]
			}
		}
		if !bytes.Equal(macs[0], macs[1]) {
			w.Fatal("the ends have other keys")
		}
	}
}
