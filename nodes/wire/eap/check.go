package eap

import (
	"errors"
	"fmt"
)

// What Check finds wrong. Whatever it is, a peer answers with AKA-Client-Error and
// a server with AKA-Notification: RFC 4187, section 6.3.
var (
	ErrUnknown    = errors.New("unknown and not skippable")
	ErrMissing    = errors.New("missing")
	ErrUnexpected = errors.New("out of place")
)

// A rule says how often an attribute is in a message.
type rule struct {
	attribute   AttributeType
	least, most int
	only        Type // where the rule is of one method alone; 0: of both
}

const anyNumber = 1 << 10

type kind struct {
	code    Code
	subtype Subtype
}

// rules are the tables of RFC 4187, section 10.1, and RFC 9048, sections 3.5 and
// 4.1, but for what asks for an answer of its own where it is missing (AT_KDF,
// AT_KDF_INPUT) and for what a peer answers with AT_KDF alone.
var rules = map[kind][]rule{
	{Request, Identity}:  {{ATPERMANENTIDREQ, 0, 1, 0}, {ATANYIDREQ, 0, 1, 0}, {ATFULLAUTHIDREQ, 0, 1, 0}},
	{Response, Identity}: {{ATIDENTITY, 1, 1, 0}}, // section 9.2: MUST
	{Request, Challenge}: {
		{ATRAND, 1, 1, 0}, {ATAUTN, 1, 1, 0}, {ATMAC, 1, 1, 0}, {ATIV, 0, 1, 0}, {ATENCRDATA, 0, 1, 0}, {ATCHECKCODE, 0, 1, 0}, {ATRESULTIND, 0, 1, 0},
		{ATKDF, 0, anyNumber, TypeAKAPrime}, {ATKDFINPUT, 0, 1, TypeAKAPrime}, {ATBIDDING, 0, 1, TypeAKA},
	},
	{Response, Challenge}: {
		{ATRES, 1, 1, 0}, {ATMAC, 1, 1, 0}, {ATIV, 0, 1, 0}, {ATENCRDATA, 0, 1, 0}, {ATCHECKCODE, 0, 1, 0}, {ATRESULTIND, 0, 1, 0},
	},
	{Request, Notification}:  {{ATNOTIFICATION, 1, 1, 0}, {ATMAC, 0, 1, 0}, {ATIV, 0, 1, 0}, {ATENCRDATA, 0, 1, 0}},
	{Response, Notification}: {{ATMAC, 0, 1, 0}, {ATIV, 0, 1, 0}, {ATENCRDATA, 0, 1, 0}},
	{Request, Reauthentication}: {
		{ATMAC, 1, 1, 0}, {ATIV, 1, 1, 0}, {ATENCRDATA, 1, 1, 0}, {ATCHECKCODE, 0, 1, 0}, {ATRESULTIND, 0, 1, 0},
	},
	{Response, Reauthentication}: {
		{ATMAC, 1, 1, 0}, {ATIV, 1, 1, 0}, {ATENCRDATA, 1, 1, 0}, {ATCHECKCODE, 0, 1, 0}, {ATRESULTIND, 0, 1, 0},
	},
	{Response, ClientError}:            {{ATCLIENTERRORCODE, 1, 1, 0}},
	{Response, AuthenticationReject}:   {},
	{Response, SynchronizationFailure}: {{ATAUTS, 1, 1, 0}, {ATKDF, 0, anyNumber, TypeAKAPrime}},
}

// choice is a Response/AKA'-Challenge that asks for another key derivation
// function: RFC 9048, section 3.2.
var choice = []rule{{ATKDF, 1, 1, TypeAKAPrime}}

// nested are the rules of what AT_ENCR_DATA hides.
var nested = map[kind][]rule{
	{Request, Challenge}:         {{ATNEXTPSEUDONYM, 0, 1, 0}, {ATNEXTREAUTHID, 0, 1, 0}, {ATPADDING, 0, 1, 0}},
	{Response, Challenge}:        {{ATPADDING, 0, 1, 0}},
	{Request, Notification}:      {{ATCOUNTER, 0, 1, 0}, {ATPADDING, 0, 1, 0}},
	{Response, Notification}:     {{ATCOUNTER, 0, 1, 0}, {ATPADDING, 0, 1, 0}},
	{Request, Reauthentication}:  {{ATCOUNTER, 1, 1, 0}, {ATNONCES, 1, 1, 0}, {ATNEXTREAUTHID, 0, 1, 0}, {ATPADDING, 0, 1, 0}},
	{Response, Reauthentication}: {{ATCOUNTER, 1, 1, 0}, {ATCOUNTERTOOSMALL, 0, 1, 0}, {ATPADDING, 0, 1, 0}},
}

// Check says whether a message has the attributes that it must have, and no others
// but skippable ones that are unknown. Errors wrap ErrUnknown, ErrMissing or
// ErrUnexpected.
func Check(m *Message) error {
	table, ok := rules[kind{m.Code, m.Subtype}]
	if !ok {
		return fmt.Errorf("%v of %v: %w", m.Code, m.Subtype, ErrUnexpected)
	}
	if m.AsksForKDF() {
		table = choice
	}
	if err := check(m, table, m.Attributes); err != nil {
		return err
	}
	if (Find(m.Attributes, ATIV) == nil) != (Find(m.Attributes, ATENCRDATA) == nil) { // RFC 4187, section 10.1
		return fmt.Errorf("%v: one of %v and %v: %w", m.Subtype, ATIV, ATENCRDATA, ErrMissing)
	}
	if m.Code == Request && m.Subtype == Identity { // section 9.1: one, and not more
		asked := 0
		for _, t := range [...]AttributeType{ATPERMANENTIDREQ, ATANYIDREQ, ATFULLAUTHIDREQ} {
			if Find(m.Attributes, t) != nil {
				asked++
			}
		}
		switch {
		case asked == 0:
			return fmt.Errorf("%v: a request for an identity: %w", m.Subtype, ErrMissing)
		case asked > 1:
			return fmt.Errorf("%v: a second request for an identity: %w", m.Subtype, ErrUnexpected)
		}
	}
	return nil
}

// AsksForKDF says whether m is a peer's wish for another key derivation function.
func (m *Message) AsksForKDF() bool {
	return m.Code == Response && m.Type == TypeAKAPrime && m.Subtype == Challenge && Find(m.Attributes, ATKDF) != nil
}

// CheckNested is Check for the attributes that m's AT_ENCR_DATA hides.
func CheckNested(m *Message, hidden []Attribute) error {
	table, ok := nested[kind{m.Code, m.Subtype}]
	if !ok {
		return fmt.Errorf("%v in %v of %v: %w", ATENCRDATA, m.Code, m.Subtype, ErrUnexpected)
	}
	for i, a := range hidden {
		if a.Type == ATPADDING && i != len(hidden)-1 { // RFC 4187, section 10.12
			return fmt.Errorf("%v: %v is not the last: %w", m.Subtype, a.Type, ErrUnexpected)
		}
	}
	return check(m, table, hidden)
}

func check(m *Message, table []rule, all []Attribute) error {
	for _, a := range all {
		if _, known := shapes[a.Type]; !known {
			if !a.Type.Skippable() {
				return fmt.Errorf("%v: %v: %w", m.Subtype, a.Type, ErrUnknown)
			}
			continue
		}
		if !allowed(table, m.Type, a.Type) {
			return fmt.Errorf("%v: %v: %w", m.Subtype, a.Type, ErrUnexpected)
		}
	}
	for _, r := range table {
		if r.only != 0 && r.only != m.Type {
			continue
		}
		n := 0
		for _, a := range all {
			if a.Type == r.attribute {
				n++
			}
		}
		switch {
		case n < r.least:
			return fmt.Errorf("%v: %v: %w", m.Subtype, r.attribute, ErrMissing)
		case n > r.most:
			return fmt.Errorf("%v: a second %v: %w", m.Subtype, r.attribute, ErrUnexpected)
		}
	}
	return nil
}

func allowed(table []rule, method Type, t AttributeType) bool {
	for _, r := range table {
		if r.attribute == t && (r.only == 0 || r.only == method) {
			return true
		}
	}
	return false
}
