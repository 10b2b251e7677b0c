// Package hss is the home subscriber server, of which it has what S2c needs: it
// gives authentication vectors to the AAA server (SWx) and to the bootstrapping
// server (Zh), and registers over SWx who serves a subscriber. TS 29.273, section
// 8; TS 29.109, section 4.
//
// What it knows it keeps in nodes/hss/store. The Diameter messages are in
// nodes/wire/diameter, connections in nodes/session/diampeer, and what is made of
// a subscriber's key in nodes/keys.
package hss

import (
	"errors"
	"io"
	"slices"
	"strings"

	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
)

// A Machine decides on what is asked of an HSS. Each request has its answer at
// once, and what an answer says is in the store before it is given; so what the
// store must not lose or do twice is the store's concern. Within store.Batch,
// answers wait for its end.
type Machine struct {
	store      *store.Store
	random     io.Reader                 // for RAND
	algorithms map[string]keys.Algorithm // by IMSI, prepared when first used
}

// New makes a Machine for a store, of which it is the only user from now on, and
// a source of random octets, which never fails.
func New(s *store.Store, random io.Reader) *Machine {
	return &Machine{store: s, random: random, algorithms: map[string]keys.Algorithm{}}
}

// A Profile is what an AAA server is told of a subscriber: Non-3GPP-User-Data of
// TS 29.273, section 8.2.3.1. Over which kinds of access a subscriber may come is
// judged here, when vectors are asked for.
type Profile struct {
	IMSI       string
	MSISDN     string
	Barred     bool        // Non-3GPP-IP-Access: the AAA server refuses it then
	APNs       []store.APN // each with the gateway that serves it now, if one does
	DefaultAPN uint32      // its Context-Identifier, which is a place in APNs, from 1; 0: there is none
}

// profile is what is told of a subscriber whom r says who serves.
func profile(s *store.Subscriber, r store.Registration) *Profile {
	p := &Profile{IMSI: s.IMSI, MSISDN: s.MSISDN, Barred: s.BarredNon3GPP, APNs: slices.Clone(s.APNs)}
	for i := range p.APNs {
		a := &p.APNs[i]
		if strings.EqualFold(a.Name, s.DefaultAPN) {
			p.DefaultAPN = uint32(i + 1)
		}
		if g, ok := r.Gateways[strings.ToLower(a.Name)]; ok {
			a.Gateway = g
		}
	}
	return p
}

// algorithm returns the functions of a subscriber.
func (m *Machine) algorithm(s *store.Subscriber) (keys.Algorithm, error) {
	if a := m.algorithms[s.IMSI]; a != nil {
		return a, nil
	}
	a, err := newAlgorithm(s)
	if err != nil {
		return nil, err
	}
	m.algorithms[s.IMSI] = a
	return a, nil
}

func newAlgorithm(s *store.Subscriber) (keys.Algorithm, error) {
	switch s.Algorithm {
	case store.Milenage:
		k := [16]byte(s.K)
		if s.OPc == nil {
			return keys.NewMilenage(k, keys.OPc(k, [16]byte(s.OP))), nil
		}
		return keys.NewMilenage(k, [16]byte(s.OPc)), nil
	case store.TUAK:
		if s.OPc != nil {
			return keys.NewTuak(s.K, [32]byte(s.OPc), keys.TuakChoices{})
		}
		topc, err := keys.TOPc(s.K, [32]byte(s.OP), 1)
		if err != nil {
			return nil, err
		}
		return keys.NewTuak(s.K, topc, keys.TuakChoices{})
	}
	return nil, errors.New("an algorithm that nobody has: " + string(s.Algorithm)) // the store has checked it
}
