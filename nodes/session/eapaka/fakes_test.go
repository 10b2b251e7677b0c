package eapaka

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/eap"
)

const (
	imsi    = "001010000000001"
	realm   = "nai.epc.mnc001.mcc001.3gppnetwork.org"
	network = "WLAN"
)

// octets is a source of random octets that is the same in each run.
func octets(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// f stands for the functions f1 to f5* of a subscriber: HMAC under names.
func f(k byte, name string, parts ...[]byte) [32]byte {
	h := hmac.New(sha256.New, []byte{k})
	h.Write([]byte(name))
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}

func xor(sqn uint64, ak [32]byte) (b [6]byte) {
	var s [8]byte
	binary.BigEndian.PutUint64(s[:], sqn)
	for i := range b {
		b[i] = s[i+2] ^ ak[i]
	}
	return b
}

// A home is an HSS with one key.
type home struct {
	k        byte
	sqn      uint64
	autn     func(*[16]byte) // spoils one
	resynced int
	stale    bool   // it forgets what a resynchronization said
	refuse   string // as the reason for giving no vectors
	rand     *rand.ChaCha8
}

func (h *home) vector(w WantVectors) Input {
	if h.refuse != "" {
		return Refused{h.refuse}
	}
	if r := w.Resync; r != nil {
		ak := f(h.k, "f5*", r.RAND[:])
		var s [8]byte
		for i := range 6 {
			s[i+2] = r.AUTS[i] ^ ak[i]
		}
		if mac := f(h.k, "f1*", r.RAND[:], s[:]); [8]byte(mac[:]) != [8]byte(r.AUTS[6:]) {
			return Refused{"auts-invalid"}
		}
		h.sqn = binary.BigEndian.Uint64(s[:])
		h.resynced++
		if h.stale {
			h.sqn = 1
		}
	}
	h.sqn++
	var v keys.Vector
	h.rand.Read(v.RAND[:])
	amf := []byte{0, 0}
	if w.Method == eap.TypeAKAPrime {
		amf[0] = 0x80
	}
	sqn := xor(h.sqn, f(h.k, "f5", v.RAND[:]))
	copy(v.AUTN[:], sqn[:])
	copy(v.AUTN[6:], amf)
	mac := f(h.k, "f1", v.RAND[:], sqn[:], amf)
	copy(v.AUTN[8:], mac[:8])
	if h.autn != nil {
		h.autn(&v.AUTN)
	}
	res, ck, ik := f(h.k, "f2", v.RAND[:]), f(h.k, "f3", v.RAND[:]), f(h.k, "f4", v.RAND[:])
	v.XRES, v.CK, v.IK = res[:8], [16]byte(ck[:]), [16]byte(ik[:])
	if w.Method == eap.TypeAKAPrime {
		v.CK, v.IK = keys.BindToNetwork(v.CK, v.IK, w.Network, sqn)
	}
	return Vectors{v}
}

// A card has the other side's key.
type card struct {
	k     byte
	sqn   uint64 // the last that was fresh
	err   error  // where it is broken
	spoil bool   // its RES
}

func (c *card) Authenticate(r, autn [16]byte) (usim.Response, error) {
	if c.err != nil {
		return usim.Response{}, c.err
	}
	if mac := f(c.k, "f1", r[:], autn[:6], autn[6:8]); [8]byte(mac[:]) != [8]byte(autn[8:]) {
		return usim.Response{}, usim.ErrMAC
	}
	ak := f(c.k, "f5", r[:])
	var s [8]byte
	for i := range 6 {
		s[i+2] = autn[i] ^ ak[i]
	}
	if sqn := binary.BigEndian.Uint64(s[:]); sqn <= c.sqn {
		sync := &usim.SyncError{}
		binary.BigEndian.PutUint64(s[:], c.sqn)
		hidden := xor(c.sqn, f(c.k, "f5*", r[:]))
		copy(sync.AUTS[:], hidden[:])
		mac := f(c.k, "f1*", r[:], s[:])
		copy(sync.AUTS[6:], mac[:8])
		return usim.Response{}, sync
	} else {
		c.sqn = sqn
	}
	res, ck, ik := f(c.k, "f2", r[:]), f(c.k, "f3", r[:]), f(c.k, "f4", r[:])
	if c.spoil {
		res[0] ^= 1
	}
	return usim.Response{RES: res[:8], CK: [16]byte(ck[:]), IK: [16]byte(ik[:])}, nil
}

// A story is a server and a peer, and all that passes between them.
type story struct {
	*home
	card    *card
	policy  *Policy
	network string // as the server knows it
	peer    PeerOptions
	decide  func(Authenticated) Input

	// pass is what becomes of a packet on its way; nil: it arrives.
	pass func(toPeer bool, packet []byte) [][]byte

	said              []string // the packets, as they were sent
	serverIs, peerIs  []Output // Succeeded, Failed, Notice and Ignored of each
	wants             []WantVectors
	server            *Server
	ue                *Peer
	toPeer, toServer  [][]byte
	serverEnd, ueEnds *Succeeded
	serverFail        string
	ueFail            string
}

// newStory has a subscriber whom all know, and all that the server can do.
func newStory() *story {
	c := &card{k: 7}
	return &story{
		home: &home{k: 7, rand: octets(3)}, card: c, network: network,
		policy: &Policy{Aliases: NewAliasTable(10), Pseudonyms: true, Reauths: 3, Rand: octets(1)},
		peer:   PeerOptions{Card: c, IMSI: imsi, Realm: realm, Identities: &Identities{}, Rand: octets(2)},
	}
}

// name says in a few words what a packet is.
func name(toPeer bool, packet []byte) string {
	arrow := "-> "
	if toPeer {
		arrow = "<- "
	}
	p, err := eap.Parse(packet)
	if err != nil {
		return arrow + "malformed"
	}
	if p.Code == eap.Success || p.Code == eap.Failure || p.Type != eap.TypeAKA && p.Type != eap.TypeAKAPrime {
		if p.Type == 0 {
			return arrow + p.Code.String()
		}
		return arrow + p.Type.String()
	}
	m, err := eap.ParseMessage(packet)
	if err != nil {
		return arrow + "malformed"
	}
	what := strings.TrimPrefix(m.Subtype.String(), "AKA-")
	if p.Type == eap.TypeAKAPrime {
		what += "'"
	}
	for _, a := range m.Attributes {
		switch {
		case m.Subtype == eap.Identity && m.Code == eap.Request:
			what += " " + a.Type.String()
		case a.Type == eap.ATNOTIFICATION:
			what += fmt.Sprintf(" %d", a.Number())
		case m.AsksForKDF():
			what += fmt.Sprintf(" KDF %d", a.Number())
		}
	}
	return arrow + what
}

// tell runs the story until nobody says anything.
func (s *story) tell(t testing.TB) {
	t.Helper()
	s.begin()
	for range 200 {
		if !s.step() {
			return
		}
	}
	t.Fatal("the story has no end")
}

// begin has a pass-through ask for the identity.
func (s *story) begin() {
	s.said, s.serverIs, s.peerIs, s.wants, s.serverEnd, s.ueEnds, s.serverFail, s.ueFail = nil, nil, nil, nil, nil, nil, "", ""
	s.toPeer, s.toServer = nil, nil
	s.server, s.ue = NewServer(s.policy, s.network), NewPeer(s.peer)
	s.fromPeer(s.ue.Step(Received{[]byte{1, 40, 0, 5, 1}}))
}

func (s *story) step() bool {
	switch {
	case len(s.toPeer) > 0:
		packet := s.toPeer[0]
		s.toPeer = s.toPeer[1:]
		s.fromPeer(s.ue.Step(Received{packet}))
	case len(s.toServer) > 0:
		packet := s.toServer[0]
		s.toServer = s.toServer[1:]
		s.fromServer(s.server.Step(Received{packet}))
	default:
		return false
	}
	return true
}

func (s *story) put(toPeer bool, packet []byte) {
	s.said = append(s.said, name(toPeer, packet))
	arrive := [][]byte{packet}
	if s.pass != nil {
		arrive = s.pass(toPeer, packet)
	}
	if toPeer {
		s.toPeer = append(s.toPeer, arrive...)
	} else {
		s.toServer = append(s.toServer, arrive...)
	}
}

func (s *story) fromPeer(outs []Output) {
	for _, o := range outs {
		switch o := o.(type) {
		case Send:
			s.put(false, o.Packet)
		case Succeeded:
			s.ueEnds = &o
		case Failed:
			s.ueFail = o.Reason
		default:
			s.peerIs = append(s.peerIs, o)
		}
	}
}

func (s *story) fromServer(outs []Output) {
	for _, o := range append([]Output(nil), outs...) {
		switch o := o.(type) {
		case Send:
			s.put(true, o.Packet)
		case WantVectors:
			s.wants = append(s.wants, o)
			s.fromServer(s.server.Step(s.vector(o)))
		case Authenticated:
			s.fromServer(s.server.Step(s.decide(o)))
		case Succeeded:
			s.serverEnd = &o
		case Failed:
			s.serverFail = o.Reason
		default:
			s.serverIs = append(s.serverIs, o)
		}
	}
}

// succeeds tells the story, and wants both to have the same at its end.
func (s *story) succeeds(t testing.TB, want ...string) *Succeeded {
	t.Helper()
	s.tell(t)
	s.wantSaid(t, want)
	if s.serverEnd == nil || s.ueEnds == nil {
		t.Fatalf("server %v %q, peer %v %q, after\n%s", s.serverEnd, s.serverFail, s.ueEnds, s.ueFail, strings.Join(s.said, "\n"))
	}
	if *s.serverEnd != *s.ueEnds {
		t.Fatalf("server has %+v, peer %+v, or other keys", s.serverEnd, s.ueEnds)
	}
	if s.serverEnd.IMSI != imsi || s.serverEnd.Keys.MSK == [64]byte{} || s.serverEnd.Keys.MSK == s.serverEnd.Keys.EMSK {
		t.Fatalf("%+v with odd keys", s.serverEnd)
	}
	return s.serverEnd
}

// fails tells the story, and wants both to fail for these reasons.
func (s *story) fails(t testing.TB, server, peer string, want ...string) {
	t.Helper()
	s.tell(t)
	s.wantSaid(t, want)
	if s.serverFail != server || s.ueFail != peer || s.serverEnd != nil || s.ueEnds != nil {
		t.Fatalf("server fails of %q, peer of %q, want %q and %q, after\n%s", s.serverFail, s.ueFail, server, peer, strings.Join(s.said, "\n"))
	}
}

func (s *story) wantSaid(t testing.TB, want []string) {
	t.Helper()
	if len(want) == 0 {
		return
	}
	if got := strings.Join(s.said, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("they say\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
