package mh

import (
	"bytes"
	"fmt"
)

// A KeyMaterial option carries what a key is made of, in a Binding Update that asks
// for one and in its acknowledgement. No standard has an option for that: RFC 3957
// has extensions for Mobile IPv4 only. Here it is an Experimental Mobility option
// (RFC 5096, section 4), whose data are:
//
//	mark  2 octets  0x53 0x32; an option without it is somebody else's experiment
//	kind  1 octet
//	data  as the kind has it
type KeyMaterial struct {
	Kind KeyMaterialKind
	Data []byte // up to 252 octets
}

// A KeyMaterialKind says what is in a KeyMaterial option.
type KeyMaterialKind uint8

// Kinds, with their data.
const (
	NonceRequest        KeyMaterialKind = 1 // none: after the MN-HA Key Generation Nonce Request of RFC 3957, section 6
	Nonce               KeyMaterialKind = 2 // lifetime of the key, 4 octets, in seconds; nonce, 16 octets or more
	AKARequest          KeyMaterialKind = 3 // none: asks for a challenge
	AKAChallenge        KeyMaterialKind = 4 // RAND, AUTN: 16 octets each
	AKAResponse         KeyMaterialKind = 5 // RAND of the challenge that the authenticator's key is made of
	AKAResynchronised   KeyMaterialKind = 6 // RAND of the challenge, AUTS of 14 octets
	lastKeyMaterialKind                 = AKAResynchronised
)

var keyMaterialMark = []byte{'S', '2'}

var keyMaterialNames = [...]string{
	NonceRequest: "nonce-request", Nonce: "nonce", AKARequest: "aka-request", AKAChallenge: "aka-challenge",
	AKAResponse: "aka-response", AKAResynchronised: "aka-resynchronisation",
}

func (k KeyMaterialKind) String() string {
	if k >= NonceRequest && k <= lastKeyMaterialKind {
		return keyMaterialNames[k]
	}
	return fmt.Sprintf("key-material-%d", uint8(k))
}

// Type is OptionExperimental.
func (KeyMaterial) Type() OptionType { return OptionExperimental }

func (KeyMaterial) align() (n, k int) { return 1, 0 }

func (o KeyMaterial) appendData(b []byte) ([]byte, error) {
	return append(append(append(b, keyMaterialMark...), uint8(o.Kind)), o.Data...), nil
}

// ParseKeyMaterial reads the data of an Experimental Mobility option; false: they
// are of another experiment. The result shares memory with b.
func ParseKeyMaterial(b []byte) (KeyMaterial, bool) {
	rest, ours := bytes.CutPrefix(b, keyMaterialMark)
	if !ours || len(rest) == 0 {
		return KeyMaterial{}, false
	}
	return KeyMaterial{Kind: KeyMaterialKind(rest[0]), Data: rest[1:]}, true
}
