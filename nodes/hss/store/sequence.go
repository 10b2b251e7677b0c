package store

import "s2clab/nodes/keys"

// The row of a subscriber's sequence numbers: 43 bits of SEQ before 5 bits of IND,
// of which each one that is generated has the next SEQ and the next IND. TS 33.102,
// annexes C.1.1.1 (without time), C.1.2 and, for the length of IND, C.3. So a place
// in the row is all there is to know.
const (
	indBits = 5
	inds    = 1 << indBits
	maxSEQ  = uint64(keys.MaxSQN >> indBits)
)

// after returns the number that is generated n steps after s; false: there are not
// so many.
func after(s keys.SQN, n uint64) (keys.SQN, bool) {
	seq, ind := uint64(s>>indBits), uint64(s)%inds
	if n > maxSEQ-seq {
		return 0, false
	}
	return keys.SQN((seq+n)<<indBits | (ind+n)%inds), true
}

// resynchronised returns where the row goes on from s when the card is at card:
// from there, if what would come next would not be new to it (TS 33.102, section
// 6.3.5). IND goes on where it was. It never goes back.
func resynchronised(s, card keys.SQN) keys.SQN {
	if next, ok := after(s, 1); ok && next>>indBits > card>>indBits {
		return s
	}
	return card>>indBits<<indBits | s%inds
}
