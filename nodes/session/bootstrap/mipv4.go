package bootstrap

import (
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

// mipv4 is the profile Mobile IPv4: the first Registration Request has an MN-AAA
// authentication extension (RFC 4721), which the AAA server verifies (RFC 4004), and
// asks for a key generation nonce, of which and of the MN-AAA key both make the MN-HA
// key (RFC 3957), all 20 octets of it.
//
// The options here stand for the extensions that they were modelled on: who speaks
// Mobile IPv4 writes the MN-AAA extension for mh.MNAAA, and the MN-HA key generation
// nonce request and reply for mh.NonceRequest and mh.Nonce. The SPI is one that is
// configured, 256 or more, and means HMAC-MD5: RFC 4721, section 6. Differs from its
// section 3.1, which would have CHAP_SPI, and from its section 12, which would not.
type mipv4 struct{ provisioned }

func (m mipv4) Prove(h *Held, _ Agent) Proof {
	identifier, spi, key := m.key(h)
	return Proof{Identifier: identifier, Subtype: mh.MNAAA, SPI: spi, Key: key, Options: []mh.Option{mh.KeyMaterial{Kind: mh.NonceRequest}}}
}

func (m mipv4) Lacks(h *Held, now time.Time) Need { return m.lacks(h, now) }

func (m mipv4) Conclude(_ *Held, p *Proof, a Acknowledgement) (keys.Derived, error) {
	lifetime, nonce, err := nonceOf(a.Options)
	if err != nil {
		return keys.Derived{}, err
	}
	d, err := registrationKey(p.Key, nonce, p.Identifier)
	d.Lifetime = lifetime
	return d, err
}

func (m mipv4) Associate(root keys.Derived, r Request) (keys.Derived, []mh.KeyMaterial) {
	d, err := registrationKey(root, r.Nonce, r.Identifier)
	if err != nil {
		panic("bootstrap: " + err.Error()) // who asks gives a nonce
	}
	return d, []mh.KeyMaterial{NonceMaterial(r.Lifetime, r.Nonce)}
}

func registrationKey(root keys.Derived, nonce []byte, identifier string) (keys.Derived, error) {
	key, err := keys.GeneratedKey(root.Value, nonce, []byte(identifier))
	if err != nil {
		return keys.Derived{}, err
	}
	return keys.Derived{Name: keys.NameMNHA, Of: []keys.Ancestor{keys.Of(root.Name, root.Value)}, How: "HMAC-SHA1(MN-AAA key, nonce | NAI)", Value: key[:]}, nil
}
