package store

import "fmt"

// An SQN is a sequence number of 48 bits: 43 bits of SEQ before 5 bits of IND.
// TS 33.102, annex C.1.1.1 and, for the length of IND, C.3.
//
// Each one that is generated has the next SEQ and the next IND (annexes C.1.1.1
// and C.1.2), so a place in the row is all there is to know.
type SQN uint64

const (
	indBits = 5
	inds    = 1 << indBits

	// MaxSQN is the largest.
	MaxSQN SQN = 1<<48 - 1
	maxSEQ     = uint64(MaxSQN >> indBits)
)

// After returns the SQN that is generated n steps after s; false: there are not
// so many.
func (s SQN) After(n uint64) (SQN, bool) {
	seq, ind := uint64(s>>indBits), uint64(s)%inds
	if n > maxSEQ-seq {
		return 0, false
	}
	return SQN((seq+n)<<indBits | (ind+n)%inds), true
}

// Octets is the number as it stands in an AUTN.
func (s SQN) Octets() [6]byte {
	return [6]byte{byte(s >> 40), byte(s >> 32), byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)}
}

// SQNOf reads one from an AUTN or AUTS.
func SQNOf(b [6]byte) SQN {
	var s SQN
	for _, o := range b {
		s = s<<8 | SQN(o)
	}
	return s
}

// String is twelve hexadecimal digits.
func (s SQN) String() string { return fmt.Sprintf("%012x", uint64(s)) }

// resynchronised returns where the row goes on when the card is at card: from
// there, if what would come next would not be new to it (TS 33.102, section
// 6.3.5). IND goes on where it was. It never goes back.
func (s SQN) resynchronised(card SQN) SQN {
	if next, ok := s.After(1); ok && next>>indBits > card>>indBits {
		return s
	}
	return card>>indBits<<indBits | s%inds
}
