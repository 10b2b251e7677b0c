package ha

import (
	"errors"
	"net/netip"

	"s2clab/nodes/wire/mh"
)

// read reads the Binding Update that fills b and checks what can be checked by
// looking at it alone. It returns why the update must be discarded without an
// answer, in the journal's words and in more; or "".
func read(u *mh.BindingUpdateView, b []byte) (why, detail string) {
	if err := u.Decode(b); err != nil {
		return "malformed-option", err.Error()
	}
	if err := mh.CheckOctets(b); err != nil {
		var rule *mh.RuleError
		if errors.As(err, &rule) {
			return "option-rule", err.Error()
		}
		return "malformed-option", err.Error()
	}
	if u.Flags&mh.HomeRegistration != 0 {
		for w := mh.WalkOptions(b); w.Next(); {
			if w.Type == mh.OptionNonceIndices { // RFC 6275, section 9.5.1: MUST NOT be present
				return "option-rule", "nonce indices in a home registration"
			}
		}
	}
	return "", ""
}

// unicastRoutable says whether a can be a home or care-of address: RFC 6275,
// sections 6.1.7 and 9.3.1.
func unicastRoutable(a netip.Addr) bool {
	return a.Is6() && !a.Is4In6() && !a.IsUnspecified() && !a.IsLoopback() &&
		!a.IsMulticast() && !a.IsLinkLocalUnicast()
}
