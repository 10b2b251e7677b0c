package usim

import (
	"fmt"
	"slices"

	"s2clab/nodes/keys"
)

// A Card is the application of one subscriber. What changes in it are the sequence
// numbers it has accepted.
type Card struct {
	algorithm keys.Algorithm // with K and OPc, or TOPc
	numbering Numbering
	seq       []uint64 // SEQ_MS(0) to SEQ_MS(a - 1), by IND; 0: none accepted
}

// New makes a card that has accepted nothing. It fails where the numbering is not one.
func New(algorithm keys.Algorithm, numbering Numbering) (*Card, error) {
	if err := numbering.check(); err != nil {
		return nil, err
	}
	return &Card{algorithm: algorithm, numbering: numbering, seq: make([]uint64, 1<<numbering.INDBits)}, nil
}

// Authenticate answers a challenge: TS 33.102, section 6.3.3. It fails with ErrMAC,
// or with a *SyncError, and then has changed nothing.
func (c *Card) Authenticate(rand, autn [16]byte) (Response, error) {
	return c.authenticate(rand, autn, false)
}

// AuthenticateSeparated answers a challenge that must have the separation bit, as
// those of EAP-AKA' must: RFC 9048, section 3.3. One without it fails with
// ErrSeparation before its sequence number counts, as if its AUTN were incorrect; else
// this is Authenticate.
func (c *Card) AuthenticateSeparated(rand, autn [16]byte) (Response, error) {
	return c.authenticate(rand, autn, true)
}

func (c *Card) authenticate(rand, autn [16]byte, separated bool) (Response, error) {
	answer := c.algorithm.F2345(rand)
	sqn, amf, mac := keys.OpenAUTN(autn, answer.AK)
	want := c.algorithm.F1(rand, sqn.Octets(), amf)
	if !keys.Equal(mac[:], want[:]) {
		return Response{}, ErrMAC
	}
	if separated && amf[0]&keys.Separation == 0 {
		return Response{}, ErrSeparation
	}
	if !c.accept(sqn) {
		return Response{}, &SyncError{AUTS: keys.NewAUTS(c.algorithm, rand, c.highest())}
	}
	return Response{RES: answer.RES, CK: answer.CK, IK: answer.IK}, nil
}

// accept takes a number that is fresh, once: TS 33.102, annex C.2.
func (c *Card) accept(sqn keys.SQN) bool {
	seq, ind := c.numbering.seq(sqn), c.numbering.ind(sqn)
	highest := c.numbering.seq(c.highest())
	if !c.numbering.reaches(highest, seq) || c.numbering.old(highest, seq) || seq <= c.seq[ind] {
		return false
	}
	c.seq[ind] = seq
	return true
}

// highest is SQN_MS: the highest number accepted, 0 where there is none.
func (c *Card) highest() (sqn keys.SQN) {
	for ind, seq := range c.seq {
		if seq != 0 {
			sqn = max(sqn, c.numbering.sqn(seq, uint64(ind)))
		}
	}
	return sqn
}

// Accepted gives what a card remembers, for its owner to keep: by IND, the highest SEQ
// accepted.
func (c *Card) Accepted() []uint64 { return slices.Clone(c.seq) }

// Restore puts in place what Accepted gave. It fails, and changes nothing, where that
// is of a card with another Numbering.
func (c *Card) Restore(accepted []uint64) error {
	if len(accepted) != len(c.seq) {
		return fmt.Errorf("card: %d counters, want %d", len(accepted), len(c.seq))
	}
	most := c.numbering.seq(keys.MaxSQN)
	for ind, seq := range accepted {
		if seq > most {
			return fmt.Errorf("card: counter %d is %d, want %d or less", ind, seq, most)
		}
	}
	copy(c.seq, accepted)
	return nil
}
