package diampeer

import (
	"errors"
	"fmt"

	"s2clab/nodes/wire/diameter"
)

// An Outcome is what became of a request.
type Outcome struct {
	// Reason is empty where the request was served, or will be after more rounds
	// (MULTI_ROUND_AUTH). Else it says why not, in kebab-case: time-out (no
	// answer), no-peer (nobody to ask), no-route (nobody serves that realm),
	// connection-lost, overload (too many requests wait already), stopped,
	// malformed-request, malformed-answer, the name of Result
	// (authentication-rejected, too-busy, ...) or experimental- and the number of
	// Experimental.
	Reason       string
	Result       diameter.ResultCode // Result-Code of the last answer; 0: none came, or it had none
	Experimental diameter.ResultCode // Experimental-Result-Code; 0: none
	Vendor       uint32              // whose code Experimental is
	Peer         string              // that gave the answer to us; empty: none did
	Host         string              // Origin-Host of the answer: who made it, which an agent in between is not
	EndToEnd     uint32              // of the request, for asking the same again; 0: it was not sent
	Message      *diameter.Message   // the answer, checked against its command's definition; nil: none that can be read
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
	o.Host, o.Message = from.Host, m
	o.judge(outcome.Result, m)
	return nil
}

// judge says what an answer means.
func (o *Outcome) judge(result diameter.ResultCode, m *diameter.Message) {
	o.Result = result
	if group := m.Find(diameter.ExperimentalResult); group != nil && o.Result == 0 {
		inner, _ := diameter.ParseAVPs(group.Data) // the check has parsed it
		for i := range inner {
			switch inner[i].Code {
			case diameter.ExperimentalResultCode:
				o.Experimental = diameter.ResultCode(inner[i].Uint32())
			case diameter.VendorID:
				o.Vendor = inner[i].Uint32()
			}
		}
	}
	switch {
	case o.Result.Succeeded() || o.Result == diameter.MultiRoundAuth || o.Experimental.Succeeded():
	case o.Experimental != 0:
		o.Reason = fmt.Sprintf("experimental-%d", uint32(o.Experimental))
	default:
		o.Reason = o.Result.String()
	}
}
