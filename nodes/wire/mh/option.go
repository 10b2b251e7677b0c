package mh

import (
	"fmt"
	"net/netip"
)

// An OptionType tells mobility options apart: RFC 6275, section 6.2.1.
type OptionType uint8

// Options with a type of their own here: RFC 6275, sections 6.2.2 to 6.2.7; RFC
// 4283, section 3; RFC 4285, sections 5 and 6; RFC 5096, section 4; RFC 5149, section 3;
// RFC 5555, sections 3.1 and 3.2; RFC 5648, section 4.3; RFC 6089, section 4.2. Section 8
// of RFC 5555 gives the IPv4 Address Acknowledgement the number of the IPv4 Home
// Address by mistake.
const (
	OptionPad1                 OptionType = 0
	OptionPadN                 OptionType = 1
	OptionRefreshAdvice        OptionType = 2
	OptionAlternateCareOf      OptionType = 3
	OptionNonceIndices         OptionType = 4
	OptionBindingAuthorization OptionType = 5
	OptionMNIdentifier         OptionType = 8
	OptionAuthentication       OptionType = 9
	OptionReplayProtection     OptionType = 10
	OptionExperimental         OptionType = 18
	OptionServiceSelection     OptionType = 20
	OptionIPv4HomeAddress      OptionType = 29
	OptionIPv4AddressAck       OptionType = 30
	OptionNATDetection         OptionType = 31
	OptionIPv4CareOf           OptionType = 32
	OptionBindingIdentifier    OptionType = 35
	OptionFlowSummary          OptionType = 44
	OptionFlowIdentification   OptionType = 45
)

// String is the option's name in journals and ladders.
func (t OptionType) String() string {
	switch t {
	case OptionPad1:
		return "pad1"
	case OptionPadN:
		return "padn"
	case OptionRefreshAdvice:
		return "binding-refresh-advice"
	case OptionAlternateCareOf:
		return "alternate-care-of"
	case OptionNonceIndices:
		return "nonce-indices"
	case OptionBindingAuthorization:
		return "binding-authorization"
	case OptionMNIdentifier:
		return "mn-identifier"
	case OptionAuthentication:
		return "authentication"
	case OptionReplayProtection:
		return "replay-protection"
	case OptionExperimental:
		return "experimental"
	case OptionServiceSelection:
		return "service-selection"
	case OptionIPv4HomeAddress:
		return "ipv4-home-address"
	case OptionIPv4AddressAck:
		return "ipv4-address-ack"
	case OptionNATDetection:
		return "nat-detection"
	case OptionIPv4CareOf:
		return "ipv4-care-of"
	case OptionBindingIdentifier:
		return "binding-identifier"
	case OptionFlowSummary:
		return "flow-summary"
	case OptionFlowIdentification:
		return "flow-identification"
	}
	return fmt.Sprintf("option-%d", uint8(t))
}

// An Option is one of the option types of this package. Parse gives them as
// values, such as MNIdentifier. A pointer to one is an Option too: who appends
// the same options again and again saves an allocation each by it.
type Option interface {
	Type() OptionType

	// align says where the option must begin: at n octets times anything plus
	// k from the start of the header.
	align() (n, k int)

	// appendData appends what follows the length octet.
	appendData(b []byte) ([]byte, error)
}

// Find gives the first option of type T, as Parse gives them: T is not a
// pointer type.
func Find[T Option](opts []Option) (T, bool) {
	for _, o := range opts {
		if t, ok := o.(T); ok {
			return t, true
		}
	}
	var none T
	return none, false
}

// Options gives the options of m, in wire order.
func Options(m Message) []Option { return m.options() }

// A RawOption is an option without a type of its own here.
type RawOption struct {
	Kind OptionType // not Pad1 or PadN
	Data []byte     // up to 255 octets
}

// Type is the type the option came with.
func (o RawOption) Type() OptionType { return o.Kind }

func (o RawOption) align() (n, k int) { return 1, 0 }

func (o RawOption) appendData(b []byte) ([]byte, error) {
	if o.Kind <= OptionPadN {
		return nil, fmt.Errorf("padding is made by Append and is no option of its own")
	}
	return append(b, o.Data...), nil
}

// appendOptions appends opts, each aligned from start, where the header begins.
func appendOptions(b []byte, start int, opts []Option) ([]byte, error) {
	for i, o := range opts {
		n, k := o.align()
		pad := -(len(b) - start - k) & (n - 1)
		if i == len(opts)-1 {
			pad = lastPadding(o, len(b)-start, pad)
		}
		b = appendPadding(b, pad)
		at := len(b)
		b = append(b, uint8(o.Type()), 0)
		var err error
		if b, err = o.appendData(b); err != nil {
			return nil, fmt.Errorf("option %d, %v: %w", i, o.Type(), err)
		}
		length := len(b) - at - 2
		if length > 255 {
			return nil, fmt.Errorf("option %d, %v: %d octets, want at most 255", i, o.Type(), length)
		}
		b[at+1] = uint8(length)
	}
	return b, nil
}

// lastPadding gives how much padding stands before the last option of a header
// when alignment alone asks for pad octets and the header is at octets long. An
// option that must end the header takes the padding before it, where it can.
func lastPadding(o Option, at, pad int) int {
	var length int
	switch o := o.(type) {
	case Authentication:
		length = 7 + len(o.Data)
	case *Authentication:
		length = 7 + len(o.Data)
	case BindingAuthorization:
		length = 2 + len(o.Authenticator)
	case *BindingAuthorization:
		length = 2 + len(o.Authenticator)
	default:
		return pad
	}
	n, _ := o.align()
	for p := pad; p < pad+unit; p += n {
		if (at+p+length)%unit == 0 {
			return p
		}
	}
	return pad
}

// appendPadding appends n octets of padding: RFC 6275, sections 6.2.2 and
// 6.2.3.
func appendPadding(b []byte, n int) []byte {
	switch n {
	case 0:
		return b
	case 1:
		return append(b, uint8(OptionPad1))
	}
	b = append(b, uint8(OptionPadN), uint8(n-2))
	for range n - 2 {
		b = append(b, 0)
	}
	return b
}

// A Walk goes over the options of a message as they lie in its octets, without
// allocating:
//
//	w := WalkOptions(b)
//	for w.Next() {
//		... w.Type, w.Data, w.At
//	}
//	if err := w.Err(); err != nil ...
type Walk struct {
	Type OptionType // of the option met last; padding is passed over
	At   int        // where in the header its type octet stands
	Data []byte     // what follows its length octet; part of the header

	b    []byte
	next int
	err  error
}

// WalkOptions begins at the first option of the header b, which is as long as
// Octets gives it. A message of unknown type has none.
func WalkOptions(b []byte) Walk {
	if len(b) < unit {
		return Walk{}
	}
	w := Walk{b: b, next: headerLen + fixedLen(Type(b[2]))}
	switch Type(b[2]) {
	case TypeHomeAgentSwitch:
		w.next += 16 * int(b[headerLen])
	default:
		if fixedLen(Type(b[2])) == 0 {
			w.next = len(b)
		}
	}
	return w
}

// Next goes on to the next option and says whether there is one.
func (w *Walk) Next() bool {
	for w.next < len(w.b) {
		at := w.next
		t := OptionType(w.b[at])
		if t == OptionPad1 {
			w.next++
			continue
		}
		if len(w.b)-at < 2 || len(w.b)-at-2 < int(w.b[at+1]) {
			w.err = fmt.Errorf("%v at octet %d reaches past the header: %w", t, at, ErrMalformed)
			w.next = len(w.b)
			return false
		}
		w.next = at + 2 + int(w.b[at+1])
		if t == OptionPadN {
			continue
		}
		w.Type, w.At, w.Data = t, at, w.b[at+2:w.next:w.next]
		return true
	}
	return false
}

// Err says what ended the walk early; nil where it came to the end.
func (w *Walk) Err() error { return w.err }

// parseOptions parses the options that fill b.
func parseOptions(b []byte) ([]Option, error) {
	var opts []Option
	w := Walk{b: b}
	for w.Next() {
		o, err := parseOption(w.Type, w.Data)
		if err != nil {
			return nil, fmt.Errorf("option %d, %v: %w", len(opts), w.Type, err)
		}
		opts = append(opts, o)
	}
	return opts, w.Err()
}

func parseOption(t OptionType, data []byte) (Option, error) {
	switch t {
	case OptionRefreshAdvice:
		return parseRefreshAdvice(data)
	case OptionAlternateCareOf:
		return parseAlternateCareOf(data)
	case OptionNonceIndices:
		return parseNonceIndices(data)
	case OptionBindingAuthorization:
		return parseBindingAuthorization(data)
	case OptionMNIdentifier:
		return parseMNIdentifier(data)
	case OptionAuthentication:
		return parseAuthentication(data)
	case OptionReplayProtection:
		return parseReplayProtection(data)
	case OptionServiceSelection:
		return parseServiceSelection(data)
	case OptionIPv4HomeAddress:
		return parseIPv4HomeAddress(data)
	case OptionIPv4AddressAck:
		return parseIPv4AddressAck(data)
	case OptionNATDetection:
		return parseNATDetection(data)
	case OptionIPv4CareOf:
		return parseIPv4CareOf(data)
	case OptionExperimental:
		if o, ours := ParseKeyMaterial(append([]byte(nil), data...)); ours {
			return o, nil
		}
	}
	if o, err := parseFlowOption(t, data); err == nil {
		return o, nil
	}
	return RawOption{Kind: t, Data: append([]byte(nil), data...)}, nil
}

// parseFlowOption parses an option of those that bind several care-of addresses,
// and flows to them. One that breaks its format does not break the message: it
// comes back as a RawOption, since its receiver has statuses for that, MCoAMalformed
// and FlowMalformed.
func parseFlowOption(t OptionType, data []byte) (Option, error) {
	switch t {
	case OptionBindingIdentifier:
		return parseBindingIdentifier(data)
	case OptionFlowSummary:
		return parseFlowSummary(data)
	case OptionFlowIdentification:
		return parseFlowIdentification(data)
	}
	return nil, ErrMalformed
}

// want checks the length of an option's data.
func want(data []byte, n int) error {
	if len(data) != n {
		return fmt.Errorf("%d octets, want %d: %w", len(data), n, ErrMalformed)
	}
	return nil
}

// appendIPv6 appends an IPv6 address.
func appendIPv6(b []byte, a netip.Addr) ([]byte, error) {
	if !a.Is6() || a.Zone() != "" {
		return nil, fmt.Errorf("address %v: want an IPv6 address without a zone", a)
	}
	o := a.As16()
	return append(b, o[:]...), nil
}

// appendIPv4 appends an IPv4 address.
func appendIPv4(b []byte, a netip.Addr) ([]byte, error) {
	if !a.Is4() {
		return nil, fmt.Errorf("address %v: want an IPv4 address", a)
	}
	o := a.As4()
	return append(b, o[:]...), nil
}
