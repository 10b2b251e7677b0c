package diampeer

import (
	"errors"

	"s2clab/nodes/wire/diameter"
)

// An Outcome is what became of a request.
type Outcome struct {
	// Reason is empty where the request was served, or will be after more rounds
	// (MULTI_ROUND_AUTH). Else it says why not, in kebab-case: time-out (no
	// answer), no-peer (nobody to ask), no-route (nobody serves that realm),
	// connection-lost, overload (too many requests wait already), stopped,
	// malformed-request, malformed-answer, or the name of Result
	// (authentication-rejected, too-busy, ...).
	Reason   string
	Result   diameter.ResultCode // of the last answer; 0: none came
	Peer     string              // that gave the answer to us; empty: none did
	Host     string              // Origin-Host of the answer: who made it, which an agent in between is not
	EndToEnd uint32              // of the request, for asking the same again; 0: it was not sent
	Session  string              // Session-Id of the request, likewise
	Message  *diameter.Message   // the answer, checked against its command's definition; nil: none that can be read
}

// read reads the answer to a request with that Session-Id.
func (o *Outcome) read(m *diameter.Message, session string) error {
	outcome, from, err := diameter.ParseError(m)
	if err != nil {
		return err
	}
	if s := m.Find(diameter.SessionID); s != nil && string(s.Data) != session {
		return errors.New("the answer is of another session")
	}
	o.Result, o.Host, o.Message = outcome.Result, from.Host, m
	if !o.Result.Succeeded() && o.Result != diameter.MultiRoundAuth {
		o.Reason = o.Result.String()
	}
	return nil
}
