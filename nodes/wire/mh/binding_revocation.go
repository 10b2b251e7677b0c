package mh

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The Binding Revocation Type, first octet of the message data: RFC 5846,
// section 5.
const (
	revocationIndication      = 1
	revocationAcknowledgement = 2
)

// BRFlags are the flags of both revocation messages: RFC 5846, section 5.
type BRFlags uint16

// Flags of a Binding Revocation message.
const (
	BRProxy    BRFlags = 0x8000 // P: a proxy binding
	BRIPv4Only BRFlags = 0x4000 // V: only the IPv4 home address
	BRGlobal   BRFlags = 0x2000 // G: all bindings of the peer
)

// Names gives the letters of the flags that are set.
func (f BRFlags) Names() []string { return flagNames(uint16(f), "PVG", 0x8000) }

func (f BRFlags) String() string { return strings.Join(f.Names(), ",") }

// A RevocationTrigger says why a binding is revoked: RFC 5846, section 5.1.
type RevocationTrigger uint8

// Triggers that a home agent has for one mobile node.
const (
	RevokeUnspecified    RevocationTrigger = 0
	RevokeAdministrative RevocationTrigger = 1
	RevokeUser           RevocationTrigger = 5
	RevokeAccessNetwork  RevocationTrigger = 6
	RevokeOutOfSync      RevocationTrigger = 7
)

// Global says whether the trigger is of those that go with BRGlobal.
func (t RevocationTrigger) Global() bool { return t >= 128 && t < 250 }

// String is the trigger in kebab-case; trigger-N where it has no name here.
func (t RevocationTrigger) String() string {
	switch t {
	case RevokeUnspecified:
		return "unspecified"
	case RevokeAdministrative:
		return "administrative"
	case RevokeUser:
		return "user-initiated"
	case RevokeAccessNetwork:
		return "access-network"
	case RevokeOutOfSync:
		return "out-of-sync"
	}
	return fmt.Sprintf("trigger-%d", uint8(t))
}

// A RevocationStatus says what became of a revocation. Values below 128 mean
// that it was done: RFC 5846, section 5.2.
type RevocationStatus uint8

// Statuses of a Binding Revocation Acknowledgement.
const (
	Revoked                        RevocationStatus = 0
	RevokedPartly                  RevocationStatus = 1
	RevocationNoBinding            RevocationStatus = 128
	RevocationIPv4Required         RevocationStatus = 129
	RevocationGlobalNotAuthorized  RevocationStatus = 130
	RevocationIdentityRequired     RevocationStatus = 131
	RevocationAttached             RevocationStatus = 132
	RevocationTriggerNotSupported  RevocationStatus = 133
	RevocationFunctionNotSupported RevocationStatus = 134
	RevocationProxyNotSupported    RevocationStatus = 135
)

// Accepts says whether the revocation was done.
func (s RevocationStatus) Accepts() bool { return s < 128 }

// String is the status in the words of the RFC, in kebab-case; status-N where it
// has no name here.
func (s RevocationStatus) String() string {
	switch s {
	case Revoked:
		return "success"
	case RevokedPartly:
		return "partial-success"
	case RevocationNoBinding:
		return "binding-does-not-exist"
	case RevocationIPv4Required:
		return "ipv4-home-address-option-required"
	case RevocationGlobalNotAuthorized:
		return "global-revocation-not-authorized"
	case RevocationIdentityRequired:
		return "revoked-mobile-nodes-identity-required"
	case RevocationAttached:
		return "mn-is-attached"
	case RevocationTriggerNotSupported:
		return "revocation-trigger-not-supported"
	case RevocationFunctionNotSupported:
		return "revocation-function-not-supported"
	case RevocationProxyNotSupported:
		return "proxy-binding-revocation-not-supported"
	}
	return fmt.Sprintf("status-%d", uint8(s))
}

// A BindingRevocationIndication ends a binding from the home agent's side: RFC
// 5846, section 5.1.
type BindingRevocationIndication struct {
	Trigger RevocationTrigger
	Seq     uint16 // comes back in the acknowledgement
	Flags   BRFlags
	Options []Option
}

// Type is TypeBindingRevocation.
func (m *BindingRevocationIndication) Type() Type { return TypeBindingRevocation }

func (m *BindingRevocationIndication) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *BindingRevocationIndication) AppendTo(b []byte) ([]byte, error) {
	start := len(b) - headerLen
	b = append(b, revocationIndication, uint8(m.Trigger))
	b = binary.BigEndian.AppendUint16(b, m.Seq)
	b = binary.BigEndian.AppendUint16(b, uint16(m.Flags))
	return appendOptions(b, start, m.Options)
}

// A BindingRevocationAcknowledgement answers a BindingRevocationIndication: RFC
// 5846, section 5.2.
type BindingRevocationAcknowledgement struct {
	Status  RevocationStatus
	Seq     uint16 // of the indication
	Flags   BRFlags
	Options []Option
}

// Type is TypeBindingRevocation.
func (m *BindingRevocationAcknowledgement) Type() Type { return TypeBindingRevocation }

func (m *BindingRevocationAcknowledgement) options() []Option { return m.Options }

// AppendTo appends the message data.
func (m *BindingRevocationAcknowledgement) AppendTo(b []byte) ([]byte, error) {
	start := len(b) - headerLen
	b = append(b, revocationAcknowledgement, uint8(m.Status))
	b = binary.BigEndian.AppendUint16(b, m.Seq)
	b = binary.BigEndian.AppendUint16(b, uint16(m.Flags))
	return appendOptions(b, start, m.Options)
}

// parseBindingRevocation parses message data of either message. A revocation
// type that is neither comes back as *Unknown.
func parseBindingRevocation(b []byte) (Message, error) {
	if len(b) < 6 {
		return nil, short(TypeBindingRevocation, b)
	}
	if b[0] != revocationIndication && b[0] != revocationAcknowledgement {
		return &Unknown{Kind: TypeBindingRevocation, Data: append([]byte(nil), b...)}, nil
	}
	opts, err := parseOptions(b[6:])
	if err != nil {
		return nil, fmt.Errorf("binding revocation: %w", err)
	}
	seq, flags := binary.BigEndian.Uint16(b[2:]), BRFlags(binary.BigEndian.Uint16(b[4:]))
	if b[0] == revocationIndication {
		return &BindingRevocationIndication{Trigger: RevocationTrigger(b[1]), Seq: seq, Flags: flags, Options: opts}, nil
	}
	return &BindingRevocationAcknowledgement{Status: RevocationStatus(b[1]), Seq: seq, Flags: flags, Options: opts}, nil
}
