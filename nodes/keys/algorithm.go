package keys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// An Algorithm is the functions f1 to f5* of one subscriber, whose secrets it
// holds: TS 33.102, section 6.3. Milenage and TUAK are such. It is not changed by
// use: several goroutines may share one.
type Algorithm interface {
	F1(rand [16]byte, sqn [6]byte, amf [2]byte) (macA [8]byte)     // of the network
	F1Star(rand [16]byte, sqn [6]byte, amf [2]byte) (macS [8]byte) // of resynchronisation
	F2345(rand [16]byte) Answer
	F5Star(rand [16]byte) (ak [6]byte) // of resynchronisation
}

// An Answer is what f2, f3, f4 and f5 make of a challenge.
type Answer struct {
	RES []byte   // f2: 4, 8 or 16 octets
	CK  [16]byte // f3
	IK  [16]byte // f4
	AK  [6]byte  // f5
}

// An SQN is a sequence number of 48 bits: TS 33.102, section 6.3.2. How it is made
// of SEQ and IND is in nodes/session/usim.
type SQN uint64

// MaxSQN is the greatest.
const MaxSQN SQN = 1<<48 - 1

// ErrSQN says that a number has more than 48 bits.
var ErrSQN = errors.New("no sequence number")

// Octets gives the six octets of a sequence number, which is no greater than MaxSQN.
func (s SQN) Octets() (o [6]byte) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(s))
	copy(o[:], b[2:])
	return o
}

// SQNFrom is the sequence number of six octets.
func SQNFrom(o [6]byte) SQN {
	var b [8]byte
	copy(b[2:], o[:])
	return SQN(binary.BigEndian.Uint64(b[:]))
}

// Separation is the AMF separation bit: TS 33.102, annex H. A challenge of
// EAP-AKA' has it: RFC 9048, section 3.3.
const Separation = 0x80 // in the first octet

// NewVector makes the quintet of a challenge: TS 33.102, section 6.3.2. It fails,
// with ErrSQN, where sqn is more than MaxSQN. That no sqn comes twice is up to the
// caller.
func NewVector(a Algorithm, rand [16]byte, sqn SQN, amf [2]byte) (Vector, error) {
	if sqn > MaxSQN {
		return Vector{}, fmt.Errorf("%w: %d bits, want 48 or fewer", ErrSQN, bits.Len64(uint64(sqn)))
	}
	answer, mac := a.F2345(rand), a.F1(rand, sqn.Octets(), amf)
	v := Vector{RAND: rand, XRES: answer.RES, CK: answer.CK, IK: answer.IK}
	concealed := conceal(sqn.Octets(), answer.AK)
	copy(v.AUTN[:], concealed[:])
	copy(v.AUTN[6:], amf[:])
	copy(v.AUTN[8:], mac[:])
	return v, nil
}

// OpenAUTN takes an AUTN apart: TS 33.102, section 6.3.3. It judges neither the MAC
// nor whether the sequence number is fresh.
func OpenAUTN(autn [16]byte, ak [6]byte) (sqn SQN, amf [2]byte, mac [8]byte) {
	return SQNFrom(conceal([6]byte(autn[:6]), ak)), [2]byte(autn[6:8]), [8]byte(autn[8:])
}

// conceal hides a sequence number with an anonymity key, or lays it open.
func conceal(sqn, ak [6]byte) [6]byte {
	for i := range sqn {
		sqn[i] ^= ak[i]
	}
	return sqn
}
