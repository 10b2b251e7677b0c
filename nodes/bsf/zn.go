package bsf

import (
	"fmt"
	"strings"
	"time"

	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/diameter"
)

// answer makes the answer to a request of a network application function, and says
// whether it will always be so: Zn of TS 29.109.
func (m *Machine) answer(now time.Time, request *diameter.Message) (octets []byte, final bool) {
	r, err := diameter.ParseBootstrappingInfoRequest(request)
	if err != nil {
		return m.fail(request, err.(*diameter.Failure), nil), false
	}
	fields := map[string]any{"host": printable(r.Host), "b-tid": printable(r.Transaction)}
	given, denied := m.ub.NAFKey(now, r.Transaction, ub.NAF{Host: r.Host, Realm: r.Realm, ID: r.NAFID})
	switch denied {
	case ub.NotAuthorized:
		return m.fail(request, &diameter.Failure{Result: diameter.NotAuthorized, What: "the NAF-Id is another's"}, fields), false
	case ub.UnknownBTID:
		return m.fail(request, &diameter.Failure{Result: diameter.TransactionIdentifierInvalid, What: "the B-TID is not known, or no longer"}, fields), false
	}
	answer := &diameter.BootstrappingInfoAnswer{
		Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: m.identity, User: given.IMPI,
		Key: given.Key.Value, Expires: given.Ends, Created: given.Created.Truncate(time.Second), ProxyInfo: r.ProxyInfo,
	}
	octets, err = answer.AppendTo(nil, request.Header)
	if err != nil {
		return m.fail(request, &diameter.Failure{Result: diameter.UnableToComply, What: fmt.Sprintf("no answer can be made: %v", err)}, fields), false
	}
	fields["nai"] = given.IMPI
	m.keyMade(given.IMPI, given.Key)
	m.answered(request, diameter.Success, fields)
	return octets, true
}

// fail makes the answer to a request that is refused.
func (m *Machine) fail(request *diameter.Message, f *diameter.Failure, fields map[string]any) []byte {
	m.answered(request, f.Result, fields)
	octets, err := diameter.AppendFailure(nil, request, m.identity, f)
	if err != nil {
		panic("bsf: the answer to a request that was read: " + err.Error()) // it is not larger
	}
	return octets
}

// answered counts an answer and tells of it.
func (m *Machine) answered(request *diameter.Message, result diameter.ResultCode, fields map[string]any) {
	m.counts.Requests++
	m.counts.Results[result.String()]++
	if fields == nil {
		fields = map[string]any{}
	}
	fields["command"], fields["result"], fields["name"] = request.Name(), result.Number(), result.String()
	m.events.Tell("request-answered", fields)
}

// printable is what a peer has told, fit for an event: no identity is longer than 253
// octets (RFC 4282, section 2.2).
func printable(s string) string { return strings.ToValidUTF8(s[:min(len(s), 253)], "?") }
