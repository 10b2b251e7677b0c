// Package mip4 reads and writes the registration messages of Mobile IPv4 and their
// extensions: RFC 5944, sections 3.3 to 3.5; RFC 4721 (authentication by an AAA
// server), RFC 2794 (identifiers) and RFC 3957 (key generation nonces).
//
// It knows nothing of sockets, time or trust. Which message may be sent when is in
// nodes/session/mip4; authenticators are computed in nodes/keys. Agent discovery,
// which is by ICMP, is not read here.
package mip4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Port is the UDP port of home agents: RFC 5944, section 1.8.
const Port = 434

// ErrMalformed is wrapped by every error about octets that are no message.
var ErrMalformed = errors.New("malformed")

// ErrUnrecognized is wrapped by the error about a message with an extension that is
// not known here and may not be skipped. Such a message MUST be silently discarded:
// RFC 5944, section 1.8.
var ErrUnrecognized = errors.New("not recognized")

// A Type tells messages apart: RFC 5944, section 1.8.
type Type uint8

// Types.
const (
	TypeRequest Type = 1
	TypeReply   Type = 3
)

func (t Type) String() string {
	switch t {
	case TypeRequest:
		return "registration-request"
	case TypeReply:
		return "registration-reply"
	}
	return fmt.Sprintf("mip4-%d", uint8(t))
}

// A Message is a *RegistrationRequest or a *RegistrationReply: the data of one UDP
// datagram.
type Message interface {
	Type() Type
	AppendTo(b []byte) ([]byte, error)
}

// Parse parses a datagram's data. Every error wraps ErrMalformed or ErrUnrecognized.
// The result shares no memory with b.
func Parse(b []byte) (Message, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("mobile ipv4 message of 0 octets: %w", ErrMalformed)
	}
	switch t := Type(b[0]); t {
	case TypeRequest:
		return ParseRequest(b)
	case TypeReply:
		return ParseReply(b)
	default:
		return nil, fmt.Errorf("mobile ipv4 message of type %d, want %d or %d: %w", t, TypeRequest, TypeReply, ErrMalformed)
	}
}

// Infinite is the lifetime that never ends: RFC 5944, section 3.3.
const Infinite = 0xffff * time.Second

func appendLifetime(b []byte, t Type, d time.Duration) ([]byte, error) {
	if d < 0 || d > Infinite || d%time.Second != 0 {
		return nil, fmt.Errorf("%v: lifetime %v: want 0 s to %v in steps of 1 s", t, d, Infinite)
	}
	return binary.BigEndian.AppendUint16(b, uint16(d/time.Second)), nil
}

func lifetime(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint16(b)) * time.Second
}

func appendAddresses(b []byte, t Type, all ...netip.Addr) ([]byte, error) {
	for _, a := range all {
		if !a.Is4() {
			return nil, fmt.Errorf("%v: address %v: want an IPv4 one", t, a)
		}
		four := a.As4()
		b = append(b, four[:]...)
	}
	return b, nil
}

func address(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }
