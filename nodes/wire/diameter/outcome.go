package diameter

import (
	"fmt"
	"strings"
)

// An Outcome is what every answer says of its request: RFC 6733, section 7.
type Outcome struct {
	Result ResultCode // of Result-Code, or of Experimental-Result if that has a vendor
	Text   string     // Error-Message, for people; empty: none
	Failed []AVP      // in Failed-AVP: what was wrong with the request
}

// Refused makes the Outcome that tells of a Failure.
func (f *Failure) Refused() Outcome {
	return Outcome{Result: f.Result, Text: f.What, Failed: f.failed()}
}

func (o *Outcome) append(b []byte) []byte {
	if o.Result.Vendor() != 0 {
		return appendExperimental(b, o.Result)
	}
	return appendUint32(b, ResultCodeAVP, o.Result.Number())
}

func appendExperimental(b []byte, r ResultCode) []byte {
	return appendGroup(b, ExperimentalResult, func(b []byte) []byte {
		return appendUint32(appendUint32(b, VendorID, r.Vendor()), ExperimentalResultCode, r.Number())
	})
}

// plain refuses a vendor's result in an answer that has no place for it.
func (o *Outcome) plain(c Command) error {
	if o.Result.Vendor() != 0 {
		return fmt.Errorf("%v-answer: result %v of vendor %d, want one of the IETF", c, o.Result, o.Result.Vendor())
	}
	return nil
}

// appendRest appends what else there is. The text is for people, may quote what a
// peer has sent, and is put right where that was none.
func (o *Outcome) appendRest(b []byte) []byte {
	b = appendText(b, ErrorMessage, strings.ToValidUTF8(o.Text, "?"))
	if len(o.Failed) > 0 {
		b = appendGroup(b, FailedAVP, func(b []byte) []byte { return appendAll(b, o.Failed) })
	}
	return b
}

func parseOutcome(avps []AVP) Outcome {
	o := Outcome{Text: text(avps, ErrorMessage)}
	if result := find(avps, ResultCodeAVP); result != nil {
		o.Result = ResultCode(result.Uint32())
	} else {
		held := inner(avps, ExperimentalResult)
		o.Result = ResultCode(number(held, VendorID))<<32 | ResultCode(number(held, ExperimentalResultCode))
	}
	for _, group := range all(avps, FailedAVP) {
		inner, _ := ParseAVPs(group.Data) // as much as can be read
		o.Failed = append(o.Failed, inner...)
	}
	return o
}

// request is the header of that command's request, with the identifiers and the T
// bit of h.
func (h Header) request(c Command, a Application) Header {
	h.Flags, h.Command, h.Application = h.Flags&Retransmitted|Request|Proxiable, c, a
	return h
}

// answer is the header of that command's answer to a request with this header.
// It has the E bit where the result is a protocol error's: RFC 6733, section 7.2.
func (h Header) answer(c Command, a Application, r ResultCode) Header {
	h = h.answerTo()
	h.Command, h.Application = c, a
	if r.ProtocolError() {
		h.Flags |= Error
	}
	return h
}

// checkAs is Check, for a message that must be of that command and, by the R
// bit, a request or an answer. Answers with the E bit have the form of errors
// and are read by ParseError.
func checkAs(m *Message, c Command, f Flags) error {
	if m.Command != c || m.Flags&Request != f&Request {
		return &Failure{Result: CommandUnsupported, What: fmt.Sprintf("%s where another message was wanted", m.Name())}
	}
	if m.Flags&Error != 0 && f&Request == 0 {
		return &Failure{Result: InvalidHeaderBits, What: m.Name() + " with the E bit"}
	}
	return Check(m)
}

// ParseError checks and reads an answer that has the E bit, or any other answer
// of which only the outcome is wanted. Errors are *Failure.
func ParseError(m *Message) (*Outcome, Identity, error) {
	if m.IsRequest() {
		return nil, Identity{}, &Failure{Result: InvalidHeaderBits, What: m.Name() + " where an answer was wanted"}
	}
	if err := Check(m); err != nil {
		return nil, Identity{}, err
	}
	o := parseOutcome(m.AVPs)
	return &o, parseIdentity(m.AVPs), nil
}
