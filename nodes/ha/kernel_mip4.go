package ha

import (
	"context"
	"slices"

	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/mip4"
	"s2clab/nodes/wire/diameter"
)

// receiveRegistrations hands what comes to port 434 to the loop.
func (k *kernel) receiveRegistrations(ctx context.Context, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		came, err := k.registrations.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		for _, r := range came {
			give(ctx, inputs, RegistrationReceived{From: r.From, To: r.To, Octets: slices.Clone(r.Octets)})
		}
	}
}

// askRegistration asks by an AA-Mobile-Node-Request.
func (k *kernel) askRegistration(o AskRegistration) {
	k.client.Ask(o.Request(k.identity), func(r diampeer.Outcome) { k.answers(registrationOutcome(o.ID, r)) })
}

// registrationOutcome says in the machine's terms what became of it.
func registrationOutcome(id uint64, o diampeer.Outcome) *RegistrationAnswered {
	in := &RegistrationAnswered{ID: id, Peer: o.Host, Result: uint32(o.Result)}
	if o.Result == 0 || o.Message == nil {
		in.Reason, in.Answer = o.Reason, mip4.Unanswered(o.Result, o.Reason)
		return in
	}
	in.Name = o.Result.String()
	a, err := diameter.ParseAAMobileNodeAnswer(o.Message)
	switch {
	case err != nil && o.Result == diameter.Success:
		in.Reason, in.Answer = "malformed-answer", mip4.Unanswered(0, "malformed-answer")
		return in
	case err != nil: // with the E bit, it says no more than its result
		in.Answer = mip4.Unanswered(o.Result, o.Result.String())
		return in
	}
	if in.Answer = mip4.Read(o.Message); o.Result == diameter.Success && in.Answer.Code.Denied() {
		in.Reason = in.Answer.Reason
	}
	if a.State == diameter.StateMaintained && o.Result.Succeeded() {
		in.SessionID, in.Server = a.Session, a.Host
	}
	if in.Server == "" {
		in.Server = o.Host
	}
	return in
}
