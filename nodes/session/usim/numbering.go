package usim

import (
	"errors"
	"fmt"

	"s2clab/nodes/keys"
)

// A Numbering is how a sequence number is made of SEQ | IND, and which are fresh: TS
// 33.102, annex C. Network and card have the same. The zero Numbering has one counter
// and no limits.
type Numbering struct {
	INDBits int    // of IND, 0 to 16: a card keeps 2^INDBits counters
	Delta   uint64 // how far SEQ may be ahead of the highest that a card has seen; 0: any
	Limit   uint64 // L: how far behind it SEQ is too old; 0: nowhere
}

// Profile2 is that of numbers which are not made of time: TS 33.102, annex C.3.2. It
// has 32 counters, jumps of 2^28, and no limit on age.
func Profile2() Numbering { return Numbering{INDBits: 5, Delta: 1 << 28} }

// ErrExhausted says that a subscriber has no sequence number left.
var ErrExhausted = errors.New("the last sequence number is used")

func (n Numbering) check() error {
	if n.INDBits < 0 || n.INDBits > 16 {
		return fmt.Errorf("numbering: IND of %d bits, want 0 to 16", n.INDBits)
	}
	return nil
}

func (n Numbering) seq(sqn keys.SQN) uint64 { return uint64(sqn) >> n.INDBits }
func (n Numbering) ind(sqn keys.SQN) uint64 { return uint64(sqn) & (1<<n.INDBits - 1) }
func (n Numbering) sqn(seq, ind uint64) keys.SQN {
	return keys.SQN(seq<<n.INDBits | ind)
}

// Next is the number that the network uses after last, which is 0 at first, and has
// stored before it tells anybody a vector of it: SEQ is one more, and IND goes round.
// TS 33.102, annex C.1.1 and C.3.2. It fails with ErrExhausted.
func (n Numbering) Next(last keys.SQN) (keys.SQN, error) {
	if n.seq(last) >= n.seq(keys.MaxSQN) {
		return 0, ErrExhausted
	}
	return n.sqn(n.seq(last)+1, (n.ind(last)+1)&(1<<n.INDBits-1)), nil
}

// Resync is what the network has as its last number once a card has told it SQN_MS,
// by a token that keys.OpenAUTS has found right: TS 33.102, section 6.3.5. Where the
// card would take the number after last as it is, last stays; so an old token turns
// nothing back. Else it is SQN_MS, and the card takes the number after that.
func (n Numbering) Resync(last, sqnMS keys.SQN) keys.SQN {
	next, err := n.Next(last)
	if err == nil && n.seq(next) > n.seq(sqnMS) && n.reaches(n.seq(sqnMS), n.seq(next)) {
		return last
	}
	return sqnMS
}

// reaches says whether SEQ is not too far ahead of the highest: annex C.2.1.
func (n Numbering) reaches(highest, seq uint64) bool {
	return n.Delta == 0 || seq <= highest || seq-highest <= n.Delta
}

// old says whether SEQ is too far behind the highest: annex C.2.2 accepts it only if
// SEQ_MS - SEQ < L.
func (n Numbering) old(highest, seq uint64) bool {
	return n.Limit != 0 && seq < highest && highest-seq >= n.Limit
}
