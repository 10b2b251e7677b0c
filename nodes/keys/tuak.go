package keys

import (
	"crypto/sha3"
	"fmt"
	"slices"
)

// Tuak is the second example set of functions: TS 35.231. Of the lengths it allows it
// has those that fit an AUTN and a Vector: MAC-A and MAC-S of 64 bits, CK and IK of
// 128.
//
// What the standard describes as the permutation Keccak-f[1600], on an input of 96
// octets that is padded with 1f ... 80 up to octet 135, is SHAKE256 of those 96
// octets; to permute again, as an operator may choose, is to read on in SHAKE256.
type Tuak struct {
	core tuakCore
	res  int // octets
}

// TuakChoices are an operator's.
type TuakChoices struct {
	Iterations int // of the permutation, 1 to 255; 0: 1
	RES        int // octets: 4, 8 or 16; 0: 8
}

// NewTuak prepares the functions of a subscriber: its key K of 16 or 32 octets, and
// TOPc, which TOPc makes of the operator's TOP.
func NewTuak(k []byte, topc [32]byte, choices TuakChoices) (*Tuak, error) {
	core, err := newTuakCore(k, topc, choices.Iterations)
	if err != nil {
		return nil, err
	}
	switch choices.RES {
	case 0:
		choices.RES = 8
	case 4, 8, 16:
	default:
		return nil, fmt.Errorf("tuak: RES of %d octets, want 4, 8 or 16", choices.RES)
	}
	return &Tuak{core: core, res: choices.RES}, nil
}

// TOPc binds TOP to the key K of a subscriber, of 16 or 32 octets, with the same count
// of iterations as the functions: TS 35.231.
func TOPc(k []byte, top [32]byte, iterations int) (topc [32]byte, err error) {
	core, err := newTuakCore(k, top, iterations)
	if err != nil {
		return topc, err
	}
	out := core.permute(0, [16]byte{}, [2]byte{}, [6]byte{})
	return [32]byte(tuakField(out[:32])), nil
}

// F1 is MAC-A, of 64 bits.
func (t *Tuak) F1(rand [16]byte, sqn [6]byte, amf [2]byte) [8]byte {
	return [8]byte(t.core.f1(rand, sqn, amf, 8))
}

// F1Star is MAC-S, of 64 bits.
func (t *Tuak) F1Star(rand [16]byte, sqn [6]byte, amf [2]byte) [8]byte {
	return [8]byte(t.core.f1Star(rand, sqn, amf, 8))
}

// F2345 is of one permutation.
func (t *Tuak) F2345(rand [16]byte) Answer {
	res, ck, ik, ak := t.core.f2345(rand, t.res, 16, 16)
	return Answer{RES: res, CK: [16]byte(ck), IK: [16]byte(ik), AK: ak}
}

// F5Star is another AK, for resynchronisation.
func (t *Tuak) F5Star(rand [16]byte) [6]byte { return t.core.f5Star(rand) }

// A tuakCore is the functions in all lengths of TS 35.231, which are in octets here.
type tuakCore struct {
	start      [96]byte // TOPc or TOP, name and K are in place
	longKey    byte     // the bit of INSTANCE for a key of 256 bits
	iterations int
}

// tuakBlock is the rate of SHAKE256: how much of it comes of each permutation.
const tuakBlock = 136

func newTuakCore(k []byte, topc [32]byte, iterations int) (c tuakCore, err error) {
	switch len(k) {
	case 16:
	case 32:
		c.longKey = 1
	default:
		return c, fmt.Errorf("tuak: a key of %d octets, want 16 or 32", len(k))
	}
	if iterations == 0 {
		iterations = 1
	}
	if iterations < 1 || iterations > 255 {
		return c, fmt.Errorf("tuak: %d iterations, want 1 to 255", iterations)
	}
	c.iterations = iterations
	copy(c.start[:], tuakField(topc[:]))
	copy(c.start[33:], tuakField([]byte("TUAK1.0")))
	copy(c.start[64:], tuakField(k))
	return c, nil
}

// permute gives as much of the output as the functions read.
func (c *tuakCore) permute(instance byte, rand [16]byte, amf [2]byte, sqn [6]byte) []byte {
	in := c.start
	in[32] = instance | c.longKey
	copy(in[40:], tuakField(rand[:]))
	copy(in[56:], tuakField(amf[:]))
	copy(in[58:], tuakField(sqn[:]))
	return sha3.SumSHAKE256(in[:], tuakBlock*c.iterations)[tuakBlock*(c.iterations-1):]
}

func (c *tuakCore) f1(rand [16]byte, sqn [6]byte, amf [2]byte, mac int) []byte {
	return tuakField(c.permute(byte(mac), rand, amf, sqn)[:mac])
}

func (c *tuakCore) f1Star(rand [16]byte, sqn [6]byte, amf [2]byte, mac int) []byte {
	return tuakField(c.permute(0x80|byte(mac), rand, amf, sqn)[:mac])
}

func (c *tuakCore) f2345(rand [16]byte, resLen, ckLen, ikLen int) (res, ck, ik []byte, ak [6]byte) {
	instance := 0x40 | byte(resLen)&^4 // a RES of 32 bits is 000
	if ckLen == 32 {
		instance |= 4
	}
	if ikLen == 32 {
		instance |= 2
	}
	out := c.permute(instance, rand, [2]byte{}, [6]byte{})
	return tuakField(out[:resLen]), tuakField(out[32:][:ckLen]), tuakField(out[64:][:ikLen]), [6]byte(tuakField(out[96:102]))
}

func (c *tuakCore) f5Star(rand [16]byte) [6]byte {
	return [6]byte(tuakField(c.permute(0xc0, rand, [2]byte{}, [6]byte{})[96:102]))
}

// tuakField puts octets in the order of TUAK, or back: there, the last octet of a
// value is the first.
func tuakField(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}
