package store

import (
	"s2clab/nodes/keys"
	"s2clab/nodes/session/usim"
)

// numbering is that of all subscribers: each number that is generated has the next
// SEQ and the next IND, so a place in the row is all there is to know.
var numbering = usim.Profile2()

// mostTaken is how many numbers are taken at a time: one for each IND.
const mostTaken = 32

// after returns the number that is generated n steps after s, or usim.ErrExhausted.
func after(s keys.SQN, n int) (keys.SQN, error) {
	for range n {
		next, err := numbering.Next(s)
		if err != nil {
			return 0, err
		}
		s = next
	}
	return s, nil
}
