package bootstrap

import (
	"errors"
	"fmt"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/mh"
)

// ofChallenge is an MN-AAA key that comes of AKA inside the Binding Update, in two
// rounds: the first asks for a challenge, and its refusal has RAND and AUTN; the
// second is proven by a key of the CK and IK that they give. It is in no source seen:
// all of it is a decision of this lab.
//
// The MN-AAA option of the first round is made with a key of zeros, for RFC 4285 lets
// no Binding Update pass without one; it proves nothing.
type ofChallenge struct{}

// An answered challenge.
type answered struct {
	rand [16]byte
	key  []byte // nil: the card has asked for resynchronisation
	auts []byte
}

func (ofChallenge) lacks(*Held, time.Time) Need { return Nothing }

func (ofChallenge) key(h *Held) (string, uint32, keys.Derived) {
	if a := h.answered; a != nil && a.key != nil {
		return h.NAI, mh.HMACSHA1SPI, challengeKey(a.key)
	}
	return h.NAI, mh.HMACSHA1SPI, keys.Derived{Name: keys.NameMNAAA, How: "zeros: it asks for a challenge", Value: make([]byte, mnHAKey)}
}

func (ofChallenge) Root() Root { return OfChallenge }

func (ofChallenge) MNAAA(f *Found) (keys.Derived, bool) {
	if f.Challenge == nil {
		return keys.Derived{}, false
	}
	return challengeKey(keyOfChallenge(f.Challenge.CK, f.Challenge.IK)), true
}

func challengeKey(key []byte) keys.Derived {
	return keys.Derived{Name: keys.NameMNAAA, How: `First160(HMAC-SHA256(CK | IK, f0 | "MN-AAA"))`, Value: key}
}

// keyOfChallenge is KDF(CK | IK, f0, "MN-AAA"), of which as much is used as HMAC-SHA1
// makes use of: an FC that TS 33.220, annex B, has not given away.
func keyOfChallenge(ck, ik [16]byte) []byte {
	ks := keys.Ks(ck, ik)
	key, err := keys.KDF(ks[:], 0xf0, []byte("MN-AAA"))
	if err != nil {
		panic("bootstrap: " + err.Error()) // the parameter is short
	}
	return key[:20]
}

// mipOptionsAKA is mipOptions with that key.
type mipOptionsAKA struct{ mipOptions }

func (m mipOptionsAKA) Prove(h *Held, to Agent) Proof {
	p := m.mipOptions.Prove(h, to)
	o := mh.KeyMaterial{Kind: mh.AKARequest}
	switch a := h.answered; {
	case a == nil:
	case a.key != nil:
		o = mh.KeyMaterial{Kind: mh.AKAResponse, Data: a.rand[:]}
		h.answered = nil // a challenge is good for one answer
	default:
		o = mh.KeyMaterial{Kind: mh.AKAResynchronised, Data: append(a.rand[:len(a.rand):len(a.rand)], a.auts...)}
		h.answered = nil
	}
	p.Options = []mh.Option{o}
	return p
}

// Challenge takes RAND and AUTN to the card.
func (m mipOptionsAKA) Challenge(h *Held, k mh.KeyMaterial) (bool, error) {
	if k.Kind != mh.AKAChallenge {
		return false, nil
	}
	if len(k.Data) != 32 {
		return false, fmt.Errorf("challenge of %d octets, want 32", len(k.Data))
	}
	a := &answered{rand: [16]byte(k.Data)}
	var stale *usim.SyncError
	switch r, err := h.Card.Authenticate(a.rand, [16]byte(k.Data[16:])); {
	case errors.As(err, &stale):
		a.auts = stale.AUTS[:]
	case err != nil:
		return false, err
	default:
		a.key = keyOfChallenge(r.CK, r.IK)
	}
	h.answered = a
	return true, nil
}

// Forget lets a challenge that was answered be.
func (m mipOptionsAKA) Forget(h *Held) { h.answered = nil }
