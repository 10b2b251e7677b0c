package eapaka

import (
	"fmt"

	"s2clab/nodes/wire/eap"
)

// Keys are what an authentication makes, the same on both sides.
type Keys struct {
	MSK, EMSK [64]byte
	CK, IK    [16]byte // of a full authentication; of EAP-AKA' CK' and IK'

	method eap.Type
	fast   bool
	encr   [16]byte
	aut    [32]byte
	root   [32]byte
}

// Format writes no key.
func (k Keys) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{keys of %v}", k.method)
}

// A Derived is a key that exists, and how it came to be.
type Derived struct {
	Name string // as the RFCs have it
	Key  []byte
	From string // the function, and what went into it by name
}

// Format writes no key.
func (d Derived) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{%s, %d octets, %s}", d.Name, len(d.Key), d.From)
}

// Derived tells of all keys that came of the authentication, in the order in which
// they are derived. K_encr, K_aut, MK and K_re of a fast re-authentication are those
// of the full one, and not told again.
func (k *Keys) Derived() []Derived {
	prime := k.method == eap.TypeAKAPrime
	stream, root := "FIPS 186-2 generator(MK)", k.root[:20]
	switch {
	case prime && k.fast:
		stream = `PRF'(K_re, "EAP-AKA' re-auth" | Identity | counter | NONCE_S)`
	case k.fast:
		stream = "FIPS 186-2 generator(SHA-1(Identity | counter | NONCE_S | MK))"
	case prime:
		stream, root = `PRF'(IK' | CK', "EAP-AKA'" | Identity)`, k.root[:]
	}
	last := []Derived{{"MSK", k.MSK[:], stream}, {"EMSK", k.EMSK[:], stream}}
	switch {
	case k.fast:
		return last
	case prime:
		const bound = "HMAC-SHA-256(CK | IK, 0x20 | network name | its length | SQN xor AK | 0x0006)"
		return append([]Derived{{"CK'", k.CK[:], bound}, {"IK'", k.IK[:], bound},
			{"K_encr", k.encr[:], stream}, {"K_aut", k.aut[:], stream}, {"K_re", root, stream}}, last...)
	}
	return append([]Derived{{"CK", k.CK[:], "f3(K, RAND)"}, {"IK", k.IK[:], "f4(K, RAND)"},
		{"MK", root, "SHA-1(Identity | IK | CK)"}, {"K_encr", k.encr[:], stream}, {"K_aut", k.aut[:16], stream}}, last...)
}
