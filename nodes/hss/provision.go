package hss

import (
	"reflect"
	"strings"

	"s2clab/nodes/hss/store"
	"s2clab/nodes/wire/diameter"
)

// An Output is a request to the AAA server that serves a subscriber.
type Output interface{ output() }

// Deregister ends the registration there: the Registration-Termination-Request of
// TS 29.273, section 8.1.2.3, with reason PERMANENT_TERMINATION. Here it has ended
// already, whatever the answer is.
type Deregister struct {
	Server, IMSI string
	Info         string // why, for people
}

// Push tells what a subscription is now: the Push-Profile-Request of TS 29.273,
// section 8.1.2.4. Pushed takes its result.
type Push struct {
	Server  string
	Profile *Profile
}

func (Deregister) output() {}
func (Push) output()       {}

// Put adds or replaces a subscriber. Whoever serves one that is replaced is told:
// that it may not any more, where non-3GPP access is now barred or not subscribed;
// or the new profile, where that has changed. PDN connections stay noted until the
// AAA server takes them down, except with APNs that are gone or barred.
func (m *Machine) Put(s store.Subscriber) ([]Output, error) {
	var before *Profile
	held, err := m.store.Registration(s.IMSI)
	if err == nil {
		old, err := m.store.Subscriber(s.IMSI)
		if err != nil {
			return nil, err
		}
		before = profile(old, held)
	}
	if err := m.store.Put(s); err != nil {
		return nil, err
	}
	delete(m.algorithms, s.IMSI)
	if held.Server == "" {
		return nil, nil
	}
	if s.BarredNon3GPP || len(s.APNs) == 0 {
		if err := m.store.Register(s.IMSI, store.Registration{}); err != nil {
			return nil, err
		}
		return []Output{Deregister{Server: held.Server, IMSI: s.IMSI, Info: "non-3GPP access is barred"}}, nil
	}
	kept := store.Registration{Server: held.Server, Gateways: map[string]store.Gateway{}}
	for name, g := range held.Gateways {
		if a, ok := s.APN(name); ok && !a.Barred {
			kept.Gateways[name] = g
		}
	}
	if len(kept.Gateways) < len(held.Gateways) {
		if err := m.store.Register(s.IMSI, kept); err != nil {
			return nil, err
		}
	}
	now, err := m.store.Subscriber(s.IMSI)
	if err != nil {
		return nil, err
	}
	if after := profile(now, kept); !reflect.DeepEqual(before, after) {
		return []Output{Push{Server: held.Server, Profile: after}}, nil
	}
	return nil, nil
}

// Import puts records that store.Parse has read: each as Put does, and its sequence
// number where the file has one. Who serves a subscriber is what this server knows
// better than a file: that stays, except as Put has it. It is for within a Batch of
// the store, which keeps all of it or nothing.
func (m *Machine) Import(records []store.Record) (out []Output, err error) {
	for i := range records {
		r := &records[i]
		told, err := m.Put(r.Subscriber)
		if err != nil {
			return nil, err
		}
		out = append(out, told...)
		if r.SQN == nil {
			continue
		}
		if err := m.store.SetSQN(r.Subscriber.IMSI, *r.SQN); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Remove takes a subscriber away, and tells whoever serves it.
func (m *Machine) Remove(imsi string) ([]Output, error) {
	held, err := m.store.Registration(imsi)
	if err != nil {
		return nil, err
	}
	if err := m.store.Remove(imsi); err != nil {
		return nil, err
	}
	delete(m.algorithms, imsi)
	if held.Server == "" {
		return nil, nil
	}
	return []Output{Deregister{Server: held.Server, IMSI: imsi, Info: "the subscription has ended"}}, nil
}

// Pushed takes the result of a Push. A server that does not know the subscriber
// does not serve it: its registration ends.
func (m *Machine) Pushed(server, imsi string, result diameter.ResultCode) error {
	held, err := m.store.Registration(imsi)
	if err != nil || result != diameter.UserUnknown || !strings.EqualFold(held.Server, server) {
		return nil // it has gone since, or nothing is to be done
	}
	return m.store.Register(imsi, store.Registration{})
}
