package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Names of keys, the same wherever one is told of.
const (
	NameMNAAA = "MN-AAA key"
	NameMNHA  = "MN-HA key"
)

// A Derived key is one that a node has made or was given, with what there is to tell
// of it.
type Derived struct {
	Name  string
	Of    []string // the names of the keys that it is made of; nil: it was provisioned
	How   string   // the derivation, as a formula
	Value []byte
}

// Format keeps the key out of whatever is printed.
func (d Derived) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s (%d octets)", d.Name, len(d.Value)) }

// Print tells keys apart without telling them: 32 bits of a hash of one, in
// hexadecimal digits.
func Print(key []byte) string {
	sum := sha256.Sum256(append([]byte("s2clab fingerprint of a key\x00"), key...))
	return hex.EncodeToString(sum[:4])
}
