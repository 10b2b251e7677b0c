package mh

import (
	"errors"
	"fmt"
)

// ErrRule is what every error of Check and CheckOctets that is about a rule
// wraps.
var ErrRule = errors.New("breaks a rule for mobility options")

// A RuleError says which rule a message breaks. It unwraps to ErrRule.
type RuleError struct {
	Message Type
	Option  OptionType
	What    string // what is wrong with the option
	Source  string // where the rule is
}

func (e *RuleError) Error() string {
	return fmt.Sprintf("%v: option %v %s (%s)", e.Message, e.Option, e.What, e.Source)
}

func (e *RuleError) Unwrap() error { return ErrRule }

const (
	inUpdate          = 1 << TypeBindingUpdate
	inAcknowledgement = 1 << TypeBindingAcknowledgement
	inSwitch          = 1 << TypeHomeAgentSwitch
	inRevocation      = 1 << TypeBindingRevocation
	inRefreshRequest  = 1 << TypeBindingRefreshRequest
	inCareOfTest      = 1<<TypeCareOfTestInit | 1<<TypeCareOfTest
	anywhere          = ^uint32(0)

	// inNotices are messages that RFC 4285 does not speak of, and that it protects
	// here all the same: see nodes/session/association.
	inNotices = inSwitch | inRevocation
)

// A rule says which messages an option is valid in, by type, and how often.
type rule struct {
	option OptionType
	in     uint32 // one bit a type
	most   uint8
	source string
}

// The rules for options one by one. Order and company of options are in
// checker. An option that is not here may stand anywhere, any number of times.
//
// No RFC says how often ReplayProtection, IPv4CareOf, IPv4AddressAck and
// NATDetection may stand in a message; more than one of them would say two
// things at once, so only RFC 5555's two home address options are let through
// (section 3.1.1).
var rules = [...]rule{
	{OptionRefreshAdvice, inAcknowledgement | inSwitch, 1, "RFC 6275, section 6.2.4; RFC 5142, section 4"},
	{OptionAlternateCareOf, inUpdate | inRevocation, 1, "RFC 6275, section 6.2.5; RFC 5846, section 5.1"},
	{OptionNonceIndices, inUpdate, 1, "RFC 6275, section 6.2.6"},
	{OptionBindingAuthorization, inUpdate | inAcknowledgement, 1, "RFC 6275, section 6.2.7"},
	{OptionMNIdentifier, anywhere, 255, "RFC 4283, section 3"},
	{OptionAuthentication, inUpdate | inAcknowledgement | inNotices, 2, "RFC 4285, section 5"},
	{OptionReplayProtection, inUpdate | inAcknowledgement | inNotices, 1, "RFC 4285, section 6"},
	{OptionServiceSelection, inUpdate, 1, "RFC 5149, section 3"},
	{OptionIPv4HomeAddress, inUpdate | inRevocation, 2, "RFC 5555, section 3.1.1; RFC 5846, section 5.1"},
	{OptionIPv4AddressAck, inAcknowledgement, 2, "RFC 5555, section 3.2.1"},
	{OptionNATDetection, inAcknowledgement, 1, "RFC 5555, section 3.2.2"},
	{OptionIPv4CareOf, inUpdate, 1, "RFC 5555, section 3.1.2"},
	{OptionBindingIdentifier, inUpdate | inAcknowledgement | inRefreshRequest | inCareOfTest | inRevocation, 255, "RFC 5648, section 4.3; RFC 5846, section 5.1"},
	{OptionFlowSummary, inUpdate, 255, "RFC 6089, section 4.2.2"},
	{OptionFlowIdentification, inUpdate | inAcknowledgement, 255, "RFC 6089, section 4.2"},
}

// Check says whether the options of m are valid in it, as often as they are
// there, in their order. It returns a *RuleError for the first that is not.
// What must be there depends on who asks, and is left to the roles, but for
// what an option itself asks for.
func Check(m Message) error {
	c := checker{message: m.Type()}
	for _, o := range m.options() {
		if err := c.option(o.Type(), detail(o)); err != nil {
			return err
		}
	}
	return c.end()
}

// CheckOctets is Check on the octets of a header, which it does not copy; it
// does not allocate unless it fails. It sees padding too, of which one rule
// speaks: none follows a BindingAuthorization. After an Authentication it is let
// through, though RFC 4285 has that option last as well.
func CheckOctets(b []byte) error {
	b, err := Octets(b)
	if err != nil {
		return err
	}
	c := checker{message: Type(b[2])}
	w := WalkOptions(b)
	last := 0
	for w.Next() {
		last = w.At + 2 + len(w.Data)
		first := uint8(0)
		if len(w.Data) > 0 {
			first = w.Data[0]
		}
		if err := c.option(w.Type, first); err != nil {
			return err
		}
	}
	if w.Err() != nil {
		return w.Err()
	}
	if c.authorized && last != len(b) {
		return c.broken(OptionBindingAuthorization, "has padding after it", "RFC 6275, section 6.2")
	}
	return c.end()
}

// detail gives the first octet of an option's data where a rule asks for it.
func detail(o Option) uint8 {
	switch o := o.(type) {
	case Authentication:
		return uint8(o.Subtype)
	case *Authentication:
		return uint8(o.Subtype)
	case MNIdentifier:
		return uint8(o.Subtype)
	case *MNIdentifier:
		return uint8(o.Subtype)
	case IPv4HomeAddress:
		return o.PrefixLen << 2
	case *IPv4HomeAddress:
		return o.PrefixLen << 2
	}
	return 0
}

// A checker is shown the options of a message one after the other.
type checker struct {
	message    Type
	met        [len(rules)]uint8 // how often, by place in rules
	nai        bool              // an MNIdentifier with an NAI was met
	mnHA       bool
	mnAAA      bool
	authorized bool // a BindingAuthorization was met
	nonces     bool
}

func (c *checker) broken(t OptionType, what, source string) error {
	return &RuleError{Message: c.message, Option: t, What: what, Source: source}
}

// option takes the next option. Detail is the first octet of its data.
func (c *checker) option(t OptionType, detail uint8) error {
	for i := range rules {
		r := &rules[i]
		if r.option != t {
			continue
		}
		if c.message > 31 || r.in&(1<<c.message) == 0 {
			return c.broken(t, "is not for this message", r.source)
		}
		if c.met[i]++; c.met[i] > r.most {
			return c.broken(t, "is there too often", r.source)
		}
		break
	}
	switch {
	case c.authorized:
		return c.broken(OptionBindingAuthorization, "is not the last", "RFC 6275, section 6.2")
	case c.mnAAA && t == OptionAuthentication && AuthSubtype(detail) == MNHA:
		return c.broken(t, "of subtype mn-ha stands after mn-aaa", "RFC 4285, section 5")
	case c.mnAAA:
		return c.broken(OptionAuthentication, "of subtype mn-aaa is not the last", "RFC 4285, section 5.2")
	case c.mnHA && t != OptionAuthentication:
		switch t {
		case OptionMNIdentifier:
			return c.broken(t, "stands after an authentication option", "RFC 4283, section 3.2")
		case OptionServiceSelection:
			return c.broken(t, "stands after an authentication option", "RFC 5149, section 3")
		}
		return c.broken(OptionAuthentication, "of subtype mn-ha is not the last", "RFC 4285, section 5.1")
	}
	switch t {
	case OptionMNIdentifier:
		c.nai = c.nai || IdentifierSubtype(detail) == NAI
	case OptionNonceIndices:
		c.nonces = true
	case OptionBindingAuthorization:
		c.authorized = true
	case OptionAuthentication:
		if c.message == TypeBindingUpdate && !c.nai {
			return c.broken(t, "has no NAI before it", "RFC 4285, section 4; RFC 4283, section 3.2")
		}
		switch AuthSubtype(detail) {
		case MNHA:
			if c.mnHA {
				return c.broken(t, "of subtype mn-ha is there twice", "RFC 4285, section 5")
			}
			c.mnHA = true
		case MNAAA:
			if c.message != TypeBindingUpdate {
				return c.broken(t, "of subtype mn-aaa is for Binding Updates", "RFC 4285, section 5.2")
			}
			c.mnAAA = true
		}
	case OptionIPv4HomeAddress:
		if detail>>2 == 0 {
			return c.broken(t, "has a prefix length of 0", "RFC 5555, section 3.1.1")
		}
	}
	return nil
}

// end takes the end of the options.
func (c *checker) end() error {
	if c.nonces && !c.authorized {
		return c.broken(OptionNonceIndices, "has no binding authorization beside it", "RFC 6275, section 6.2.6")
	}
	return nil
}
