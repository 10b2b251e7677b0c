// Package usim is the application of a smart card that proves who a subscriber is
// and that the network knows its key: TS 33.102, section 6.3, and TS 31.102,
// section 7.1. It is also how the network and the card number their challenges: TS
// 33.102, annex C.
//
// It knows nothing of EAP, of HTTP or of what its keys are used for. Milenage
// and TUAK are in nodes/keys.
package usim

import "errors"

// A Response is what a card gives for a challenge that is good.
type Response struct {
	RES    []byte // 4 to 16 octets
	CK, IK [16]byte
}

// ErrMAC says that a challenge is not the network's: its MAC is not right.
var ErrMAC = errors.New("the network's MAC is not right")

// ErrSeparation says that a challenge is meant for another kind of access: the
// separation bit of its AMF is not as the caller wants it (TS 33.102, annex H;
// RFC 9048, section 3.3).
var ErrSeparation = errors.New("the AMF separation bit is not as wanted")

// A SyncError says that a challenge's sequence number is not fresh, and has the
// token by which the network can put its own right: TS 33.102, section 6.3.3.
type SyncError struct{ AUTS [14]byte }

func (e *SyncError) Error() string { return "the network's sequence number is not fresh" }
