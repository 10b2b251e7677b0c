package eapaka

import (
	"strings"

	"s2clab/nodes/wire/eap"
)

// A Kind is what an identity is for: RFC 4187, section 4.1.1.3.
type Kind uint8

const (
	Unrecognized Kind = iota
	Permanent
	Pseudonym
	Reauthentication
)

func (k Kind) String() string {
	return [...]string{"unrecognized", "permanent", "pseudonym", "re-authentication"}[k]
}

// An Identity is a network access identifier that was understood: TS 23.003,
// sections 19.3.2 to 19.3.5.
type Identity struct {
	Kind     Kind
	Method   eap.Type // of whose names it is; 0: unrecognized
	Username string   // what stands before the realm, leading digit and all
	IMSI     string   // of a permanent identity
	Realm    string   // empty: none
}

// Leading digits: TS 23.003, sections 19.3.2, 19.3.4 and 19.3.5.
var leading = map[byte]struct {
	kind   Kind
	method eap.Type
}{
	'0': {Permanent, eap.TypeAKA}, '6': {Permanent, eap.TypeAKAPrime},
	'2': {Pseudonym, eap.TypeAKA}, '7': {Pseudonym, eap.TypeAKAPrime},
	'4': {Reauthentication, eap.TypeAKA}, '8': {Reauthentication, eap.TypeAKAPrime},
}

// mostIdentity is the longest NAI: RFC 7542, section 2.2 (the User-Name of RADIUS).
const mostIdentity = 253

// ParseIdentity understands an identity as a peer sends it. One that is decorated
// (TS 23.003, section 19.3.3) is unrecognized, so that it is asked for again: RFC
// 4187, section 4.1.2.2.
func ParseIdentity(nai string) Identity {
	username, realm, _ := strings.Cut(nai, "@")
	if username == "" || len(nai) > mostIdentity || strings.Contains(realm, "@") || strings.Contains(username, "!") {
		return Identity{}
	}
	first, ok := leading[username[0]]
	if !ok {
		return Identity{}
	}
	id := Identity{Kind: first.kind, Method: first.method, Username: username, Realm: realm}
	if first.kind == Permanent {
		if id.IMSI = username[1:]; !IsIMSI(id.IMSI) {
			return Identity{}
		}
	}
	return id
}

// IsIMSI says whether s is an IMSI: 6 to 15 decimal digits, of which the first
// five or six are country and network. TS 23.003, section 2.2.
func IsIMSI(s string) bool {
	return len(s) >= 6 && len(s) <= 15 && strings.Trim(s, "0123456789") == ""
}

// PermanentIdentity is the permanent identity of a subscriber: TS 23.003, section
// 19.3.2. An empty realm is left out.
func PermanentIdentity(method eap.Type, imsi, realm string) string {
	digit := "0"
	if method == eap.TypeAKAPrime {
		digit = "6"
	}
	return inRealm(digit+imsi, realm)
}

func inRealm(username, realm string) string {
	if realm == "" {
		return username
	}
	return username + "@" + realm
}

// NetworkMatches compares the network name that a peer observes with the one that
// it is told, by fields between colons as far as both have them: RFC 9048, section
// 3.1. An empty own name matches all.
func NetworkMatches(own, told string) bool {
	if own == "" {
		return true
	}
	a, b := strings.Split(own, ":"), strings.Split(told, ":")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
