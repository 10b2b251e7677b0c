package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Names of keys, the same wherever one is told of.
const (
	NameK       = "K"
	NameCK      = "CK"
	NameIK      = "IK"
	NameCKPrime = "CK'"
	NameIKPrime = "IK'"
	NameMK      = "MK"
	NameKRe     = "K_re"
	NameMSK     = "MSK"
	NameEMSK    = "EMSK"
	NameKs      = "Ks"
	NameKsNAF   = "Ks_NAF"
	NameMIPRK   = "MIP-RK"
	NameMNAAA   = "MN-AAA key"
	NameMNHA    = "MN-HA key"
)

// ToNetwork is how CK' and IK' are made: TS 33.402, annex A.2.
const ToNetwork = "HMAC-SHA-256(CK | IK, 20 | network name | its length | SQN xor AK | 0006)"

// A Derived key is one that a node has made or was given, with what there is to tell
// of it.
type Derived struct {
	Name     string
	Of       []Ancestor // the keys that it is made of; nil: it was put in, or came by itself
	How      string     // the derivation as a formula, or where it came from
	Value    []byte
	Lifetime time.Duration // from now; 0: not limited by itself
}

// An Ancestor is a key that another is made of.
type Ancestor struct{ Name, Print string }

// Of names a key that another is made of.
func Of(name string, key []byte) Ancestor { return Ancestor{name, Print(key)} }

// Format keeps the key out of whatever is printed.
func (d Derived) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s (%d octets)", d.Name, len(d.Value)) }

// Fields are those of the event key-made, about a subscriber. The key itself is
// among them only where show says so.
func (d Derived) Fields(nai string, show bool) map[string]any {
	f := map[string]any{"nai": nai, "key": d.Name, "octets": len(d.Value), "print": Print(d.Value)}
	if d.How != "" {
		f["how"] = d.How
	}
	if len(d.Of) > 0 {
		var names, prints []any
		for _, a := range d.Of {
			names, prints = append(names, a.Name), append(prints, a.Print)
		}
		f["of"], f["of-prints"] = names, prints
	}
	if d.Lifetime > 0 {
		f["lifetime"] = d.Lifetime.Seconds()
	}
	if show {
		f["value"] = hex.EncodeToString(d.Value)
	}
	return f
}

// Print tells keys apart without telling them: 32 bits of a hash of one, in
// hexadecimal digits.
func Print(key []byte) string {
	sum := sha256.Sum256(append([]byte("s2clab fingerprint of a key\x00"), key...))
	return hex.EncodeToString(sum[:4])
}
