package bootstrap

import (
	"encoding/binary"
	"errors"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

// gbaRFC3957 is TR 33.822, clause 7.3.2: the MN-AAA key comes of GBA, and the MN-HA
// key of it and of a nonce of the AAA server, which the acknowledgement carries: RFC
// 3957, section 5. That RFC is of Mobile IPv4; the options are this lab's, and of the
// key the first 16 octets are used.
type gbaRFC3957 struct{ ofGBA }

func (m gbaRFC3957) Lacks(h *Held, now time.Time) Need { return m.lacks(h, now) }

func (m gbaRFC3957) Prove(h *Held, _ Agent) Proof {
	identifier, spi, key := m.key(h)
	return Proof{Identifier: identifier, Subtype: mh.MNAAA, SPI: spi, Key: key, Options: []mh.Option{mh.KeyMaterial{Kind: mh.NonceRequest}}}
}

var errNoNonce = errors.New("there is no nonce in the acknowledgement")

func (m gbaRFC3957) Conclude(_ *Held, p *Proof, a Acknowledgement) (keys.Derived, error) {
	lifetime, nonce, err := nonceOf(a.Options)
	if err != nil {
		return keys.Derived{}, err
	}
	d, err := generated(p.Key, nonce, p.Identifier)
	d.Lifetime = lifetime
	return d, err
}

func (m gbaRFC3957) Associate(root keys.Derived, r Request) (keys.Derived, []mh.KeyMaterial) {
	d, err := generated(root, r.Nonce, r.Identifier)
	if err != nil {
		panic("bootstrap: " + err.Error()) // who asks gives a nonce
	}
	return d, []mh.KeyMaterial{NonceMaterial(r.Lifetime, r.Nonce)}
}

// NonceMaterial is what a mobile node is told of a nonce.
func NonceMaterial(lifetime time.Duration, nonce []byte) mh.KeyMaterial {
	data := binary.BigEndian.AppendUint32(nil, uint32(lifetime/time.Second))
	return mh.KeyMaterial{Kind: mh.Nonce, Data: append(data, nonce...)}
}

// nonceOf is what a mobile node was told by NonceMaterial.
func nonceOf(options []mh.Option) (lifetime time.Duration, nonce []byte, err error) {
	for _, o := range options {
		if k, ok := o.(mh.KeyMaterial); ok && k.Kind == mh.Nonce && len(k.Data) >= 4+keys.KeyGenerationNonceSize {
			return time.Duration(binary.BigEndian.Uint32(k.Data)) * time.Second, k.Data[4:], nil
		}
	}
	return 0, nil, errNoNonce
}

func generated(root keys.Derived, nonce []byte, identifier string) (keys.Derived, error) {
	key, err := keys.GeneratedKey(root.Value, nonce, []byte(identifier))
	if err != nil {
		return keys.Derived{}, err
	}
	return keys.Derived{Name: keys.NameMNHA, Of: []keys.Ancestor{keys.Of(root.Name, root.Value)}, How: "First128(HMAC-SHA1(MN-AAA key, nonce | B-TID))", Value: key[:mnHAKey]}, nil
}
