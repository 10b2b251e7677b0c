package eapaka

import (
	"fmt"

	"s2clab/nodes/keys"
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

// Derived tells of all keys that came of the authentication, in the order in which
// they are derived. K_encr, K_aut, MK and K_re of a fast re-authentication are those
// of the full one, and not told again.
func (k *Keys) Derived() []keys.Derived {
	prime := k.method == eap.TypeAKAPrime
	stream, name, root := "FIPS 186-2 generator(MK)", keys.NameMK, k.root[:20]
	switch {
	case prime && k.fast:
		stream = `PRF'(K_re, "EAP-AKA' re-auth" | identity | counter | NONCE_S)`
	case k.fast:
		stream = "FIPS 186-2 generator(SHA-1(identity | counter | NONCE_S | MK))"
	case prime:
		stream = `PRF'(IK' | CK', "EAP-AKA'" | identity)`
	}
	if prime {
		name, root = keys.NameKRe, k.root[:]
	}
	made := func(name string, value []byte, how string, of ...keys.Ancestor) keys.Derived {
		return keys.Derived{Name: name, Value: value, How: how, Of: of}
	}
	last := func(of ...keys.Ancestor) []keys.Derived {
		return []keys.Derived{made(keys.NameMSK, k.MSK[:], stream, of...), made(keys.NameEMSK, k.EMSK[:], stream, of...)}
	}
	switch {
	case k.fast:
		return last(keys.Of(name, root))
	case prime:
		ck, ik := keys.Of(keys.NameCKPrime, k.CK[:]), keys.Of(keys.NameIKPrime, k.IK[:])
		return append([]keys.Derived{made(keys.NameCKPrime, k.CK[:], keys.ToNetwork), made(keys.NameIKPrime, k.IK[:], keys.ToNetwork),
			made("K_encr", k.encr[:], stream, ik, ck), made("K_aut", k.aut[:], stream, ik, ck), made(name, root, stream, ik, ck)}, last(ik, ck)...)
	}
	ck, ik, mk := keys.Of(keys.NameCK, k.CK[:]), keys.Of(keys.NameIK, k.IK[:]), keys.Of(name, root)
	return append([]keys.Derived{made(keys.NameCK, k.CK[:], "f3 of K, RAND"), made(keys.NameIK, k.IK[:], "f4 of K, RAND"),
		made(name, root, "SHA-1(identity | IK | CK)", ik, ck), made("K_encr", k.encr[:], stream, mk), made("K_aut", k.aut[:16], stream, mk)}, last(mk)...)
}
