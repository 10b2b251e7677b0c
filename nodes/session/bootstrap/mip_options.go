package bootstrap

import (
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

// mipOptions is TR 33.822, clause 7.3.6: the first Binding Update has an MN-AAA
// option, which the AAA server verifies (RFC 5778), and both make the MN-HA key of
// the MN-AAA key, by keys.SessionKey.
type mipOptions struct{ source }

// A source is where both sides have the MN-AAA key from.
type source interface {
	lacks(h *Held, now time.Time) Need
	key(h *Held) (identifier string, spi uint32, key keys.Derived)
	Root() Root
	MNAAA(f *Found) (keys.Derived, bool)
}

func (m mipOptions) Lacks(h *Held, now time.Time) Need { return m.lacks(h, now) }

func (m mipOptions) Prove(h *Held, _ Agent) Proof {
	identifier, spi, key := m.key(h)
	return Proof{Identifier: identifier, Subtype: mh.MNAAA, SPI: spi, Key: key}
}

func (m mipOptions) Conclude(_ *Held, p *Proof, a Acknowledgement) (keys.Derived, error) {
	return sessionKey(p.Key, p.Identifier, a.HomeAgent, a.Freshness), nil
}

func (m mipOptions) Associate(root keys.Derived, r Request) (keys.Derived, []mh.KeyMaterial) {
	return sessionKey(root, r.Identifier, r.HomeAgent, r.Freshness), nil
}

func sessionKey(root keys.Derived, nai string, to Agent, freshness [8]byte) keys.Derived {
	key := keys.SessionKey(root.Value, nai, to.Address, freshness)
	return keys.Derived{Name: keys.NameMNHA, Of: []keys.Ancestor{keys.Of(root.Name, root.Value)},
		How: `First128(HMAC-SHA1(MN-AAA key, "MN-HA" | NAI | home agent | timestamp))`, Value: key[:]}
}

// provisioned is the MN-AAA key that was put in both: what RFC 4285 assumes.
type provisioned struct{}

func (provisioned) lacks(*Held, time.Time) Need { return Nothing }

func (provisioned) key(h *Held) (string, uint32, keys.Derived) {
	return h.NAI, h.MNAAASPI, provisionedKey(h.MNAAAKey)
}

func (provisioned) Root() Root { return Provisioned }

func (provisioned) MNAAA(f *Found) (keys.Derived, bool) {
	return provisionedKey(f.Provisioned), len(f.Provisioned) > 0
}

func provisionedKey(key []byte) keys.Derived {
	return keys.Provisioned(keys.NameMNAAA, key)
}
