package replica

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Sizes of what a connection is made believable by, in octets.
const (
	NonceSize = 16
	SealSize  = 16
)

// A Seal proves the frames of one direction of one connection: by HMAC-SHA-256,
// cut to 128 bits, over both ends' nonces, the direction, the frame's number and
// the frame.
type Seal struct {
	key    []byte
	prefix []byte
	count  uint64
}

// NewSeal makes one for a connection, whose ends have chosen the nonces. The
// direction is a word that each direction has for itself.
func NewSeal(key []byte, direction string, active, standby [NonceSize]byte) *Seal {
	prefix := append([]byte(direction), 0)
	prefix = append(append(prefix, active[:]...), standby[:]...)
	return &Seal{key: key, prefix: prefix}
}

// Append appends the proof of the next frame to b.
func (s *Seal) Append(b, frame []byte) []byte { return append(b, s.next(frame)...) }

// Proves says whether proof is that of the next frame.
func (s *Seal) Proves(frame, proof []byte) bool { return hmac.Equal(s.next(frame), proof) }

func (s *Seal) next(frame []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(s.prefix)
	h.Write(binary.BigEndian.AppendUint64(nil, s.count))
	h.Write(frame)
	s.count++
	return h.Sum(nil)[:SealSize]
}
