package router

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/host"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/eapaka"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
)

// A home is an AAA server and an HSS with one subscriber, over STa.
type home struct {
	t         testing.TB
	at        netip.AddrPort
	algorithm keys.Algorithm
	sqn       keys.SQN
	policy    eapaka.Policy
	sessions  map[string]*eapaka.Server
	barred    bool // the subscriber is, from an abort on

	told chan string // what became of sessions
	do   chan func()
	srv  *diampeer.Server
	id   diameter.Identity
	act  func([]diampeer.Output)
}

// newHome serves until the test ends.
func newHome(t testing.TB, algorithm keys.Algorithm, method eap.Type) *home {
	h := &home{t: t, algorithm: algorithm, sessions: map[string]*eapaka.Server{}, told: make(chan string, 100), do: make(chan func()),
		policy: eapaka.Policy{Methods: []eap.Type{method}, Rand: rand.NewChaCha8([32]byte{1})},
		id:     diameter.Identity{Host: "aaa.example", Realm: "epc.example", State: 1}}
	h.srv = diampeer.NewServer(diampeer.ServerOptions{Now: time.Now(), Timeout: patience, Local: diampeer.Local{
		Identity: h.id, Product: "test", Applications: []diameter.Application{diameter.STa}, Rand: rand.New(rand.NewPCG(1, 2)),
		Serves: []diampeer.Service{{Application: diameter.STa, Command: diameter.DiameterEAP}, {Application: diameter.STa, Command: diameter.SessionTermination}},
	}})
	transport := host.NewDiameterTransport(t.Context())
	var err error
	if h.at, err = transport.Listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	h.act = func(out []diampeer.Output) {
		for _, o := range slices.Clone(out) {
			transport.Act(o)
			switch o := o.(type) {
			case diampeer.Deliver:
				h.act(h.srv.Answer(time.Now(), o.ID, h.answer(o.Message), true))
			case diampeer.Done:
				h.told <- "done " + o.Result.String()
			}
		}
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case in := <-transport.Inputs():
				h.act(h.srv.Step(time.Now(), in))
			case now := <-tick.C:
				h.act(h.srv.Tick(now))
			case f := <-h.do:
				f()
			case <-t.Context().Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		<-over
		transport.Close()
	})
	return h
}

// aborts has the server end a session, and begin no other.
func (h *home) aborts(session string) {
	h.do <- func() {
		h.barred = true
		h.act(h.srv.Step(time.Now(), diampeer.Ask{ID: 1, Request: &diameter.AbortSessionRequest{Application: diameter.STa, Session: session, Identity: h.id, DestinationHost: "gw.example"}}))
	}
}

func (h *home) answer(m *diameter.Message) (octets []byte) {
	var err error
	if m.Command == diameter.SessionTermination {
		var r *diameter.SessionTerminationRequest
		if r, err = diameter.ParseSessionTerminationRequest(m); err == nil {
			h.told <- "terminated " + r.Cause.String()
			octets, err = (&diameter.SessionTerminationAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: h.id}).AppendTo(nil, m.Header)
		}
	} else {
		var r *diameter.DiameterEAPRequest
		if r, err = diameter.ParseDiameterEAPRequest(m); err == nil {
			octets, err = h.authenticate(r).AppendTo(nil, m.Header)
		}
	}
	if err != nil {
		h.t.Errorf("%s: %v", m.Name(), err)
	}
	return octets
}

// authenticate says what an EAP server says.
func (h *home) authenticate(r *diameter.DiameterEAPRequest) *diameter.DiameterEAPAnswer {
	e := h.sessions[r.Session]
	if e == nil || e.Over() {
		e = eapaka.NewServer(&h.policy, r.AccessNetwork)
		h.sessions[r.Session] = e
	}
	a := &diameter.DiameterEAPAnswer{Session: r.Session, Identity: h.id, Type: r.Type, Outcome: diameter.Outcome{Result: diameter.MultiRoundAuth}}
	queue := slices.Clone(e.Step(eapaka.Received{Packet: r.EAP}))
	for len(queue) > 0 {
		o := queue[0]
		queue = queue[1:]
		switch o := o.(type) {
		case eapaka.WantVectors:
			queue = append(queue, e.Step(h.vector(o))...)
		case eapaka.Send:
			a.EAP = o.Packet
		case eapaka.Succeeded:
			a.Result, a.User, a.MSK = diameter.Success, "0"+o.IMSI+"@nai.epc.mnc001.mcc001.3gppnetwork.org", slices.Clone(o.Keys.MSK[:])
		case eapaka.Failed:
			a.Result = diameter.AuthenticationRejected
			h.told <- "failed " + o.Reason
		}
	}
	return a
}

func (h *home) vector(w eapaka.WantVectors) eapaka.Input {
	if w.Resync != nil {
		sqn, err := keys.OpenAUTS(h.algorithm, w.Resync.RAND, w.Resync.AUTS)
		if err != nil {
			return eapaka.Refused{Reason: "resynchronization-failed"}
		}
		h.sqn = usim.Profile2().Resync(h.sqn, sqn)
		h.told <- "resynchronized"
	}
	if h.barred {
		return eapaka.Refused{Reason: "barred"}
	}
	var err error
	if h.sqn, err = usim.Profile2().Next(h.sqn); err != nil {
		h.t.Error(err)
	}
	amf := [2]byte{}
	if w.Method == eap.TypeAKAPrime {
		amf[0] = keys.Separation
	}
	v, err := keys.NewVector(h.algorithm, [16]byte{byte(h.sqn >> 8), byte(h.sqn), 7}, h.sqn, amf)
	if err != nil {
		h.t.Error(err)
	}
	if w.Method == eap.TypeAKAPrime {
		v.CK, v.IK = keys.BindToNetwork(v.CK, v.IK, w.Network, [6]byte(v.AUTN[:]))
	}
	return eapaka.Vectors{Vector: v}
}
