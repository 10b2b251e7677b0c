package ha

import (
	"slices"
	"time"

	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/mh"
)

// An asker puts questions of the machine into Diameter, as the method of
// bootstrapping has it, and answers back.
type asker struct {
	method   bootstrap.Method
	identity diameter.Identity
	agent    bootstrap.Agent
	now      func() time.Time
}

// request is what is asked, and how to read what is answered.
func (k *asker) request(a *AskAAA) (diampeer.Request, func(o diampeer.Outcome) Input) {
	if a.Fetch {
		return k.bootstrappingInfo(a)
	}
	return k.mip6(a)
}

// mip6 asks by a MIP6-Request.
func (k *asker) mip6(a *AskAAA) (diampeer.Request, func(o diampeer.Outcome) Input) {
	r := &diameter.MIP6Request{
		Identity: k.identity, User: a.NAI, Mode: diameter.AuthMNAAA, SPI: a.SPI, Home: a.HomeAddress, HomeAgent: k.agent.Address, CareOf: a.CareOf,
		Authenticator: a.Authenticator, MobilityData: a.MobilityData[:], Timestamp: a.Timestamp, Service: a.Service,
	}
	switch a.Material.Kind {
	case mh.AKARequest:
		r.Mode = diameter.AuthAKA
	case mh.AKAResponse, mh.AKAResynchronised:
		r.Mode, r.Answer = diameter.AuthAKA, a.Material.Data
	}
	return r, func(o diampeer.Outcome) Input { return outcome(a.ID, o) }
}

// outcome says in the machine's terms what became of a MIP6-Request.
func outcome(id uint64, o diampeer.Outcome) Input {
	if o.Result == 0 {
		return AAAFailed{ID: id, Reason: o.Reason}
	}
	in := &AAAAnswered{ID: id, Peer: o.Host, Result: uint32(o.Result), Name: o.Result.String()}
	answer, err := diameter.ParseMIP6Answer(o.Message)
	if err != nil { // with the E bit, it says no more than its result
		if o.Result == diameter.Success {
			return AAAFailed{ID: id, Reason: "malformed-answer"}
		}
		return in
	}
	if answer.State == diameter.StateMaintained && o.Result.Succeeded() {
		in.SessionID, in.Server = answer.Session, answer.Host
	}
	for _, home := range answer.Homes {
		if home.Is6() {
			in.HomeAddress = home
			break
		}
	}
	in.NAI, in.Agent = answer.User, answer.Agent
	if s := answer.MSA; s != nil && s.Algorithm == diameter.HMACSHA1 {
		in.Session = &Session{Key: s.Key, SPI: s.SPI, Lifetime: s.Lifetime, Timestamp: s.Replay == diameter.ReplayTimestamp}
		if s.Nonce != nil {
			in.Material = append(in.Material, bootstrap.NonceMaterial(s.Lifetime, s.Nonce))
		}
	}
	if c := answer.Challenge; c != nil {
		in.Material = append(in.Material, mh.KeyMaterial{Kind: mh.AKAChallenge, Data: slices.Concat(c.RAND[:], c.AUTN[:])})
	}
	return in
}

// bootstrappingInfo asks for the key of an MN-HA option by a
// Bootstrapping-Info-Request: TS 29.109, section 6.2.
func (k *asker) bootstrappingInfo(a *AskAAA) (diampeer.Request, func(o diampeer.Outcome) Input) {
	r := &diameter.BootstrappingInfoRequest{Identity: k.identity, Transaction: a.NAI, NAFID: bootstrap.NAFID(k.agent.Host)}
	return r, func(o diampeer.Outcome) Input {
		if o.Result == 0 {
			return AAAFailed{ID: a.ID, Reason: o.Reason}
		}
		in := &AAAAnswered{ID: a.ID, Peer: o.Host, Result: uint32(o.Result), Name: o.Result.String()}
		answer, err := diameter.ParseBootstrappingInfoAnswer(o.Message)
		switch {
		case err != nil && o.Result == diameter.Success:
			return AAAFailed{ID: a.ID, Reason: "malformed-answer"}
		case err != nil || o.Result != diameter.Success:
			return in
		}
		key, _, ok := k.method.Keeper.Key(&bootstrap.Found{NAF: answer.Key}, a.NAI, k.agent)
		if !ok {
			return AAAFailed{ID: a.ID, Reason: "malformed-answer"}
		}
		lifetime := longestKey
		if !answer.Expires.IsZero() {
			lifetime = answer.Expires.Sub(k.now())
		}
		in.NAI = answer.User
		in.Session = &Session{Key: key.Value, SPI: a.SPI, Lifetime: lifetime, Timestamp: a.Timestamp != nil}
		return in
	}
}

// longestKey is how long a key is good whose end nobody has told.
const longestKey = time.Hour

// ask asks whom the method says.
func (k *kernel) ask(a *AskAAA) {
	request, read := k.asker.request(a)
	k.client.Ask(request, func(o diampeer.Outcome) { k.answers(read(o)) })
}
