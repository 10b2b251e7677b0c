package mip4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// A KeyGenerationRequest asks an AAA server for a nonce that a key can be made of:
// RFC 3957, sections 6.1 and 6.3, subtype 1.
type KeyGenerationRequest struct {
	Foreign bool   // for a key with a foreign agent; else, with the home agent
	SPI     uint32 // under which the mobile node will be written to
}

func (e KeyGenerationRequest) extension() (ExtensionType, uint8) {
	if e.Foreign {
		return ExtensionForeignRequest, fromAAA
	}
	return ExtensionHomeRequest, fromAAA
}

func (e KeyGenerationRequest) appendData(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint32(b, e.SPI), nil
}

func parseKeyGenerationRequest(t ExtensionType, b []byte) (Extension, error) {
	if len(b) != 4 {
		return nil, fmt.Errorf("key generation nonce request of %d octets, want 4: %w", len(b), ErrMalformed)
	}
	return KeyGenerationRequest{t == ExtensionForeignRequest, binary.BigEndian.Uint32(b)}, nil
}

// A Transform says how authenticators are computed: RFC 3957, section 4, by the
// numbers of IPsec's authentication algorithms.
type Transform uint16

// A ReplayMethod says how replays are found: RFC 3957, section 4.
type ReplayMethod uint16

// Replay methods.
const (
	Timestamps ReplayMethod = 2
	Nonces     ReplayMethod = 3
)

// A KeyGenerationReply brings the nonce: RFC 3957, sections 6.2 and 6.4, subtype 1.
type KeyGenerationReply struct {
	Foreign   bool          // of a key with a foreign agent; else, with the home agent
	Lifetime  time.Duration // of the key; whole seconds, 0 s to 4,294,967,295 s
	AAASPI    uint32        // of the association that the key is made by
	SPI       uint32        // under which the agent is to be written to
	Transform Transform     // by which the key is used
	Replay    ReplayMethod  // not in one of a foreign agent
	Nonce     []byte        // 16 octets or more
}

// leastNonce is that of RFC 3957, section 5: 128 bits.
const leastNonce = 16

func (e KeyGenerationReply) extension() (ExtensionType, uint8) {
	if e.Foreign {
		return ExtensionForeignReply, fromAAA
	}
	return ExtensionHomeReply, fromAAA
}

func (e KeyGenerationReply) appendData(b []byte) ([]byte, error) {
	seconds := e.Lifetime / time.Second
	switch {
	case e.Lifetime < 0 || e.Lifetime%time.Second != 0 || seconds > math.MaxUint32:
		return nil, fmt.Errorf("key generation nonce reply: lifetime %v: want 0 s to %d s in steps of 1 s", e.Lifetime, uint32(math.MaxUint32))
	case len(e.Nonce) < leastNonce:
		return nil, fmt.Errorf("key generation nonce reply: nonce of %d octets, want %d or more", len(e.Nonce), leastNonce)
	case e.Foreign && e.Replay != 0:
		return nil, fmt.Errorf("key generation nonce reply: a foreign agent's, with replay method %d", e.Replay)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(seconds))
	b = binary.BigEndian.AppendUint32(b, e.AAASPI)
	b = binary.BigEndian.AppendUint32(b, e.SPI)
	b = binary.BigEndian.AppendUint16(b, uint16(e.Transform))
	if !e.Foreign {
		b = binary.BigEndian.AppendUint16(b, uint16(e.Replay))
	}
	return append(b, e.Nonce...), nil
}

func parseKeyGenerationReply(t ExtensionType, b []byte) (Extension, error) {
	e := KeyGenerationReply{Foreign: t == ExtensionForeignReply}
	head := 16
	if e.Foreign {
		head = 14
	}
	if len(b) < head+leastNonce {
		return nil, fmt.Errorf("key generation nonce reply of %d octets, want %d or more: %w", len(b), head+leastNonce, ErrMalformed)
	}
	e.Lifetime = time.Duration(binary.BigEndian.Uint32(b)) * time.Second
	e.AAASPI, e.SPI = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	e.Transform = Transform(binary.BigEndian.Uint16(b[12:]))
	if !e.Foreign {
		e.Replay = ReplayMethod(binary.BigEndian.Uint16(b[14:]))
	}
	e.Nonce = bytes.Clone(b[head:])
	return e, nil
}
