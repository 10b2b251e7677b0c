package bootstrap

import (
	"net/netip"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

// mipOptions is TR 33.822, clause 7.3.6: the first Binding Update has an MN-AAA
// option, which the AAA server verifies (RFC 5778), and both make the MN-HA key of
// the MN-AAA key, by keys.SessionKey.
type mipOptions struct{ root mnAAA }

// An mnAAA is where both sides have the MN-AAA key from.
type mnAAA interface {
	lacks(h *Held, now time.Time) Need
	key(h *Held) (spi uint32, key []byte)
	root() Root
}

func (m mipOptions) Lacks(h *Held, now time.Time) Need { return m.root.lacks(h, now) }

func (m mipOptions) Prove(h *Held, _ netip.Addr) Proof {
	spi, key := m.root.key(h)
	return Proof{Identifier: h.NAI, Subtype: mh.MNAAA, SPI: spi, Key: key}
}

func (m mipOptions) Conclude(h *Held, p *Proof, a Acknowledgement) (keys.Derived, error) {
	return sessionKey(p.Key, p.Identifier, a.HomeAgent, a.Freshness), nil
}

func (m mipOptions) Root() Root { return m.root.root() }

func (m mipOptions) Associate(root []byte, r Request) Association {
	return Association{Derived: sessionKey(root, r.Identifier, r.HomeAgent, r.Freshness)}
}

func sessionKey(root []byte, nai string, homeAgent netip.Addr, freshness [8]byte) keys.Derived {
	key := keys.SessionKey(root, nai, homeAgent, freshness)
	return keys.Derived{Name: keys.NameMNHA, Of: []keys.Ancestor{keys.Of(keys.NameMNAAA, root)}, How: `First128(HMAC-SHA1(MN-AAA key, "MN-HA" | NAI | home agent | timestamp))`, Value: key[:]}
}

// provisioned is the MN-AAA key that was put in both: what RFC 4285 assumes.
type provisioned struct{}

func (provisioned) lacks(*Held, time.Time) Need  { return Nothing }
func (provisioned) key(h *Held) (uint32, []byte) { return h.MNAAASPI, h.MNAAAKey }
func (provisioned) root() Root                   { return Provisioned }
