package hss

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
	"s2clab/nodes/wire/diameter"
)

// A Front is the Diameter side of a Machine: it reads the requests that are
// delivered to an HSS and writes their answers, and writes the Machine's own
// requests.
type Front struct {
	machine  *Machine
	identity diameter.Identity
}

// NewFront makes the front of a Machine.
func NewFront(m *Machine, identity diameter.Identity) *Front {
	return &Front{machine: m, identity: identity}
}

// An Answered is what became of a request: an answer to send, and what to tell of
// it.
type Answered struct {
	Octets  []byte
	Command string // the request's name
	Result  diameter.ResultCode
	Text    string         // why it is not Success; no secret
	Peer    string         // Origin-Host of the request
	User    string         // whom it is about, as the request has it; empty where it could not be read
	Count   int            // vectors that were given
	Made    []keys.Derived // the keys in the last of them, and what they are made of
	Final   bool           // as diampeer.Server.Answer wants it: the same request is to have the same answer
	Err     error          // what failed here: goes to whoever runs the HSS
}

// Answer answers a request of SWx or Zh: Multimedia-Auth or Server-Assignment.
// Within store.Batch, its octets wait for the end of the batch.
func (f *Front) Answer(m *diameter.Message) Answered {
	a := f.answer(m)
	a.Command = m.Name()
	return a
}

func (f *Front) answer(m *diameter.Message) Answered {
	switch {
	case m.Command == diameter.MultimediaAuth && m.Application == diameter.SWx:
		return f.authenticate(m)
	case m.Command == diameter.MultimediaAuth && m.Application == diameter.Zh:
		return f.bootstrap(m)
	case m.Command == diameter.ServerAssignment && m.Application == diameter.SWx:
		return f.assign(m)
	}
	return f.fail(m, Answered{}, &diameter.Failure{Result: diameter.CommandUnsupported, What: "an HSS does not serve this"})
}

func (f *Front) authenticate(m *diameter.Message) Answered {
	r, err := diameter.ParseMultimediaAuthRequest(m)
	if err != nil {
		return f.fail(m, Answered{}, err)
	}
	told := Answered{Peer: r.Host, User: r.User}
	if err := f.forUs(r.DestinationHost, r.DestinationRealm); err != nil {
		return f.fail(m, told, err)
	}
	a := f.machine.Authenticate(AuthenticationRequest{Server: r.Host, IMSI: r.User, Scheme: r.Scheme, Network: r.AccessNetwork,
		Vectors: r.Vectors, Resync: r.Resync, RAT: (*store.RATType)(r.RAT), ServerFailed: r.AAAFailure})
	answer := &diameter.MultimediaAuthAnswer{Session: r.Session, Outcome: outcome(a.Result, a.Text), Identity: f.identity,
		User: r.User, Server: a.Server, ProxyInfo: r.ProxyInfo}
	if a.Result == diameter.MissingAVP { // RFC 6733, section 7.1.5: of the AVP, an example
		answer.Failed = []diameter.AVP{{Code: diameter.ANID, Flags: diameter.Vendor | diameter.Mandatory}}
	}
	for i, v := range a.Vectors {
		answer.Items = append(answer.Items, diameter.AuthItem{Number: uint32(i + 1), Scheme: r.Scheme, RAND: v.RAND, AUTN: v.AUTN, XRES: v.XRES, CK: v.CK, IK: v.IK})
	}
	told.Result, told.Text, told.Count, told.Err = a.Result, a.Text, len(a.Vectors), a.Err
	if told.Count > 0 {
		told.Made = f.machine.made(r.User, &a.Vectors[told.Count-1], r.Scheme == diameter.SchemeEAPAKAPrime)
	}
	return f.finish(m, told, answer)
}

func (f *Front) bootstrap(m *diameter.Message) Answered {
	r, err := diameter.ParseMultimediaAuthRequest(m)
	if err != nil {
		return f.fail(m, Answered{}, err)
	}
	told := Answered{Peer: r.Host, User: r.User}
	if err := f.forUs(r.DestinationHost, r.DestinationRealm); err != nil {
		return f.fail(m, told, err)
	}
	a := f.machine.Bootstrap(BootstrapRequest{User: r.User, Resync: r.Resync})
	answer := &diameter.MultimediaAuthAnswer{Session: r.Session, Outcome: outcome(a.Result, a.Text), Identity: f.identity, User: r.User, ProxyInfo: r.ProxyInfo}
	if a.Result == diameter.Success {
		v := a.Vector
		answer.Items = []diameter.AuthItem{{Scheme: diameter.SchemeDigestAKA, RAND: v.RAND, AUTN: v.AUTN, XRES: v.XRES, CK: v.CK, IK: v.IK}}
		if a.Lifetime != 0 {
			answer.Settings = settings(r.User, int64(a.Lifetime.Seconds()))
		}
		told.Count = 1
		told.Made = f.machine.made(f.machine.imsi(r.User), &v, false)
	}
	told.Result, told.Text, told.Err = a.Result, a.Text, a.Err
	return f.finish(m, told, answer)
}

// made are the keys of a vector, for who looks at keys; bound: CK and IK in it are
// those of an access network.
func (m *Machine) made(imsi string, v *keys.Vector, bound bool) []keys.Derived {
	s, err := m.store.Subscriber(imsi)
	if err != nil {
		return nil
	}
	a, err := m.algorithm(s)
	if err != nil {
		return nil
	}
	free := a.F2345(v.RAND)
	all := keys.FromCard(s.K, free.CK[:], free.IK[:])
	if !bound {
		return all
	}
	of := []keys.Ancestor{keys.Of(keys.NameCK, free.CK[:]), keys.Of(keys.NameIK, free.IK[:])}
	return append(all, keys.Derived{Name: keys.NameCKPrime, Of: of, How: keys.ToNetwork, Value: v.CK[:]},
		keys.Derived{Name: keys.NameIKPrime, Of: of, How: keys.ToNetwork, Value: v.IK[:]})
}

// settings are GBA user security settings with a lifetime of the key and nothing
// for single applications: TS 29.109, annex A.
func settings(user string, seconds int64) []byte {
	id := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(user)
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<guss id="` + id + `"><bsfInfo><lifeTime>` + strconv.FormatInt(seconds, 10) + `</lifeTime></bsfInfo><ussList/></guss>`)
}

func (f *Front) assign(m *diameter.Message) Answered {
	r, err := diameter.ParseServerAssignmentRequest(m)
	if err != nil {
		return f.fail(m, Answered{}, err)
	}
	told := Answered{Peer: r.Host, User: r.User}
	if err := f.forUs(r.DestinationHost, r.DestinationRealm); err != nil {
		return f.fail(m, told, err)
	}
	ask := AssignmentRequest{Server: r.Host, IMSI: r.User, Type: r.Type, APN: r.Service}
	if r.Agent != nil {
		ask.Gateway = store.Gateway{Host: r.Agent.Host, Realm: r.Agent.Realm, Addresses: r.Agent.Addresses}
	}
	a := f.machine.Assign(ask)
	told.Result, told.Text, told.Err = a.Result, a.Text, a.Err
	return f.finish(m, told, &diameter.ServerAssignmentAnswer{Session: r.Session, Outcome: outcome(a.Result, a.Text), Identity: f.identity,
		User: r.User, Data: a.Profile.data(), Server: a.Server, ProxyInfo: r.ProxyInfo})
}

// Request is what an Output asks of an AAA server, for diampeer.Ask, which fills in
// what is left out: the session and the server's realm.
func (f *Front) Request(o Output) Request {
	switch o := o.(type) {
	case Deregister:
		return &diameter.RegistrationTerminationRequest{Identity: f.identity, DestinationHost: o.Server, User: o.IMSI,
			Reason: diameter.PermanentTermination, Info: o.Info}
	case Push:
		return &diameter.PushProfileRequest{Identity: f.identity, DestinationHost: o.Server, User: o.Profile.IMSI, Data: o.Profile.data()}
	}
	panic(fmt.Sprintf("hss: no request for %T", o))
}

// A Request is one that diampeer sends.
type Request interface {
	AppendTo(b []byte, h diameter.Header) ([]byte, error)
}

// forUs refuses what only another could serve: RFC 6733, section 6.1.4.
func (f *Front) forUs(host, realm string) error {
	switch {
	case host != "" && !strings.EqualFold(host, f.identity.Host):
		return &diameter.Failure{Result: diameter.UnableToDeliver, What: "there is no way from here to " + host}
	case !strings.EqualFold(realm, f.identity.Realm):
		return &diameter.Failure{Result: diameter.RealmNotServed, What: "realm " + realm + " is not served here"}
	}
	return nil
}

func outcome(result diameter.ResultCode, text string) diameter.Outcome {
	return diameter.Outcome{Result: result, Text: text}
}

// finish writes an answer.
func (f *Front) finish(m *diameter.Message, told Answered, answer Request) Answered {
	b, err := answer.AppendTo(nil, m.Header)
	if err != nil {
		told.Err = errors.Join(told.Err, err)
		return f.fail(m, told, &diameter.Failure{Result: diameter.UnableToComply, What: "the answer does not fit its message"})
	}
	told.Octets, told.Final = b, told.Result == diameter.Success
	return told
}

// fail writes an answer that has not the form of the command's own.
func (f *Front) fail(m *diameter.Message, told Answered, err error) Answered {
	var failure *diameter.Failure
	if !errors.As(err, &failure) {
		failure = &diameter.Failure{Result: diameter.UnableToComply, What: "it cannot be served"}
		told.Err = errors.Join(told.Err, err)
	}
	told.Result, told.Text = failure.Result, failure.What
	b, err := diameter.AppendFailure(nil, m, f.identity, failure)
	told.Octets, told.Err = b, errors.Join(told.Err, err)
	return told
}

// data is the profile as SWx has it; nil of nil. Of RAT-Type nothing is told, for
// that is judged here.
func (p *Profile) data() *diameter.Non3GPPUserData {
	if p == nil {
		return nil
	}
	access, apns := diameter.Non3GPPAllowed, diameter.APNsEnabled
	if p.Barred {
		access = diameter.Non3GPPBarred
	}
	d := &diameter.Non3GPPUserData{Access: &access, APNAccess: &apns}
	d.Subscriptions = append(d.Subscriptions, diameter.SubscriptionID{Kind: diameter.EndUserIMSI, Name: p.IMSI})
	if p.MSISDN != "" {
		d.Subscriptions = append(d.Subscriptions, diameter.SubscriptionID{Kind: diameter.EndUserE164, Name: p.MSISDN})
	}
	for i, a := range p.APNs {
		context := uint32(i + 1)
		if a.Barred { // lab decision: what may not be used is not told
			continue
		}
		if context == p.DefaultAPN {
			d.DefaultContext = &context
		}
		allocation := diameter.Allocation(a.Allocation)
		c := diameter.APNConfiguration{Context: context, Type: diameter.PDNType(a.PDN), Service: a.Name, Allocation: &allocation}
		if !a.Gateway.IsZero() {
			c.Agent = &diameter.AgentInfo{Addresses: a.Gateway.Addresses, Host: a.Gateway.Host, Realm: a.Gateway.Realm}
		}
		d.APNs = append(d.APNs, c)
	}
	return d
}
