package keys

import "errors"

// ErrAUTS says that a token for resynchronisation is not the subscriber's.
var ErrAUTS = errors.New("the card's MAC-S is not right")

// resynchronising is the AMF that MAC-S is made with: a dummy, which nobody sends.
// TS 33.102, section 6.3.3.
var resynchronising [2]byte

// NewAUTS is the token by which a card tells the network its sequence number, after
// a challenge of that RAND that was not fresh: TS 33.102, section 6.3.3. SQN_MS is no
// greater than MaxSQN.
func NewAUTS(a Algorithm, rand [16]byte, sqnMS SQN) (auts [14]byte) {
	concealed := conceal(sqnMS.Octets(), a.F5Star(rand))
	mac := a.F1Star(rand, sqnMS.Octets(), resynchronising)
	copy(auts[:], concealed[:])
	copy(auts[6:], mac[:])
	return auts
}

// OpenAUTS is the network's side: it gives SQN_MS, or ErrAUTS. TS 33.102, section
// 6.3.5. RAND is that of the challenge which the token answers, and one that the
// network has sent: that is what tells an old token from a new one.
func OpenAUTS(a Algorithm, rand [16]byte, auts [14]byte) (sqnMS SQN, err error) {
	sqn := conceal([6]byte(auts[:6]), a.F5Star(rand))
	mac := a.F1Star(rand, sqn, resynchronising)
	if !Equal(mac[:], auts[6:]) {
		return 0, ErrAUTS
	}
	return SQNFrom(sqn), nil
}
