// Package eapol reads and writes the frames that carry EAP over a LAN: IEEE
// 802.1X-2004, clause 7.5, and IEEE 802.1X-2010, clause 11.3.
//
// It looks into no EAP packet and knows no port: who sends which frame when is
// in nodes/session/dot1x, and the socket in nodes/host.
package eapol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// EtherType is that of every frame: 802.1X-2004, clause 7.5.1 (PAE Ethernet type).
const EtherType = 0x888e

// HeaderLen is the length of what stands before the body, in octets.
const HeaderLen = 4

// Version is the protocol version of what this lab sends: that of 802.1X-2004, which
// changes nothing of what stands in the frames here since 1, of 802.1X-2001.
const Version = 2

const newest = 3 // of 802.1X-2010

// Group is the address of all port access entities of a link, which no bridge
// forwards: 802.1X-2004, clause 7.8 (PAE group address).
var Group = [6]byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x03}

// ErrMalformed is what every error of Parse wraps.
var ErrMalformed = errors.New("malformed EAPOL frame")

// A Type says what a frame is: 802.1X-2004, clause 7.5.4.
type Type uint8

// The types of 802.1X-2004. Others are read and kept.
const (
	EAPPacket Type = 0 // carries one EAP packet
	Start     Type = 1 // a supplicant asks for authentication
	Logoff    Type = 2 // a supplicant wants its port shut
	Key       Type = 3 // key information, which is kept as it is
)

func (t Type) String() string {
	switch t {
	case EAPPacket:
		return "EAP-Packet"
	case Start:
		return "EAPOL-Start"
	case Logoff:
		return "EAPOL-Logoff"
	case Key:
		return "EAPOL-Key"
	}
	return fmt.Sprintf("EAPOL type %d", uint8(t))
}

// A Frame is what follows the Ethernet header.
type Frame struct {
	Version uint8 // 1 to 3; Append takes 0 for Version
	Type    Type
	Body    []byte // an EAP packet in an EAPPacket, nothing in a Start or Logoff of version 1 or 2
}

// Append appends the frame to b. It adds no padding: to make a frame as long as
// Ethernet wants it is for the device.
func Append(b []byte, f *Frame) ([]byte, error) {
	version := f.Version
	if version == 0 {
		version = Version
	}
	switch {
	case version > newest:
		return nil, fmt.Errorf("%v: version %d, want 1 to %d", f.Type, version, newest)
	case len(f.Body) > math.MaxUint16:
		return nil, fmt.Errorf("%v: body of %d octets, want %d or fewer", f.Type, len(f.Body), math.MaxUint16)
	}
	b = append(b, version, byte(f.Type))
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.Body)))
	return append(b, f.Body...), nil
}

// Parse reads the frame at the start of b; what follows it in b is ignored, as
// Ethernet pads (802.1X-2004, clause 7.5.5). Every error wraps ErrMalformed. The body
// is part of b.
func Parse(b []byte) (Frame, error) {
	if len(b) < HeaderLen {
		return Frame{}, fmt.Errorf("eapol: %d octets, want %d or more: %w", len(b), HeaderLen, ErrMalformed)
	}
	f := Frame{Version: b[0], Type: Type(b[1])}
	size := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case f.Version == 0 || f.Version > newest:
		return Frame{}, fmt.Errorf("eapol: version %d, want 1 to %d: %w", f.Version, newest, ErrMalformed)
	case size > len(b)-HeaderLen:
		return Frame{}, fmt.Errorf("%v: body of %d octets, and %d are there: %w", f.Type, size, len(b)-HeaderLen, ErrMalformed)
	}
	f.Body = b[HeaderLen:][:size:size]
	return f, nil
}
