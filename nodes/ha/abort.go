package ha

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/mh"
)

// aborts are the Abort-Session-Requests that the machine has not answered yet.
type aborts struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]diampeer.Deliver
}

// mostAborts is how many of them may wait: the machine answers each at once.
const mostAborts = 1024

// deliver takes a request of an AAA server.
func (k *kernel) deliver(d diampeer.Deliver) {
	r, err := diameter.ParseAbortSessionRequest(d.Message)
	if err != nil {
		k.refuseAbort(d, err.(*diameter.Failure))
		return
	}
	k.aborts.mu.Lock()
	if len(k.aborts.waiting) == mostAborts {
		k.aborts.mu.Unlock()
		k.refuseAbort(d, &diameter.Failure{Result: diameter.TooBusy, What: "too busy"})
		return
	}
	if k.aborts.waiting == nil {
		k.aborts.waiting = map[uint64]diampeer.Deliver{}
	}
	k.aborts.last++
	id := k.aborts.last
	k.aborts.waiting[id] = d
	k.aborts.mu.Unlock()
	k.answers(SessionAborted{ID: id, Session: r.Session, NAI: r.User, Peer: r.Host, DestinationHost: r.DestinationHost})
}

func (k *kernel) refuseAbort(d diampeer.Deliver, f *diameter.Failure) {
	if octets, err := diameter.AppendFailure(nil, d.Message, k.identity, f); err == nil {
		k.client.Answer(d.ID, octets, f.Result != diameter.TooBusy)
	}
}

// answerAbort sends an Abort-Session-Answer.
func (k *kernel) answerAbort(o AnswerAbort) error {
	k.aborts.mu.Lock()
	d, ok := k.aborts.waiting[o.ID]
	delete(k.aborts.waiting, o.ID)
	k.aborts.mu.Unlock()
	if !ok {
		return fmt.Errorf("no abort-session-request %d waits for an answer", o.ID)
	}
	if result := diameter.ResultCode(o.Result); result != diameter.Success {
		k.refuseAbort(d, &diameter.Failure{Result: result, What: whyNot[result]})
		return nil
	}
	r, err := diameter.ParseAbortSessionRequest(d.Message)
	if err != nil {
		return err
	}
	a := &diameter.AbortSessionAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: k.identity, ProxyInfo: r.ProxyInfo}
	octets, err := a.AppendTo(nil, d.Message.Header)
	if err != nil {
		return err
	}
	k.client.Answer(d.ID, octets, true)
	return nil
}

// whyNot is what an Error-Message says beside a result.
var whyNot = map[diameter.ResultCode]string{
	diameter.UnableToDeliver:  "there is no way from here to that host",
	diameter.UnknownSessionID: "there is no such session",
	diameter.UnableToComply:   "the session is another server's",
}

// terminate sends a Session-Termination-Request.
func (k *kernel) terminate(o TerminateSession) {
	k.client.Ask(&diameter.SessionTerminationRequest{
		Application: k.sessions, Session: o.Session, Identity: k.identity, User: o.NAI, DestinationHost: o.Server, Cause: diameter.TerminationCause(o.Cause),
	}, func(r diampeer.Outcome) {
		k.answers(SessionTerminated{NAI: o.NAI, Session: o.Session, Result: uint32(r.Result), Reason: r.Reason})
	})
}

// triggers are the words of a revocation's trigger.
var triggers = map[string]mh.RevocationTrigger{
	mh.RevokeUnspecified.String():    mh.RevokeUnspecified,
	mh.RevokeAdministrative.String(): mh.RevokeAdministrative,
	mh.RevokeUser.String():           mh.RevokeUser,
	mh.RevokeAccessNetwork.String():  mh.RevokeAccessNetwork,
	mh.RevokeOutOfSync.String():      mh.RevokeOutOfSync,
}

// revoke does what the lab asks: revoke {nai, home-address, trigger}.
func (l *loop) revoke(c control.Command) error {
	var args struct {
		NAI         string     `json:"nai"`
		HomeAddress netip.Addr `json:"home-address"`
		Trigger     string     `json:"trigger"`
	}
	if err := json.Unmarshal(c.Args, &args); err != nil || args.NAI == "" && !args.HomeAddress.IsValid() {
		return errors.New("revoke: want {nai: ..., home-address: ..., trigger: administrative}")
	}
	trigger, known := triggers[args.Trigger]
	if !known {
		return fmt.Errorf("revoke: trigger %q: want unspecified, administrative, user-initiated, access-network or out-of-sync", args.Trigger)
	}
	out, err := l.machine.Revoke(time.Now(), order{NAI: args.NAI, HomeAddress: args.HomeAddress, Trigger: trigger})
	l.act(out)
	return err
}

// switchTo does what the lab asks: switch {nai, home-address, to}.
func (l *loop) switchTo(c control.Command) error {
	var args struct {
		NAI         string       `json:"nai"`
		HomeAddress netip.Addr   `json:"home-address"`
		To          []netip.Addr `json:"to"`
	}
	if err := json.Unmarshal(c.Args, &args); err != nil || args.NAI == "" && !args.HomeAddress.IsValid() {
		return errors.New("switch: want {nai: ..., home-address: ..., to: [...]}")
	}
	out, err := l.machine.Switch(time.Now(), args.NAI, args.HomeAddress, args.To)
	l.act(out)
	return err
}
