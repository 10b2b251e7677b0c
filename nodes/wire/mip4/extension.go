package mip4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// An ExtensionType tells extensions apart: RFC 5944, section 1.8. Those from 128 on
// may be skipped by who does not know them.
type ExtensionType uint8

// Types of extensions.
const (
	extensionPadding        ExtensionType = 0
	ExtensionMobileHome     ExtensionType = 32
	ExtensionMobileForeign  ExtensionType = 33
	ExtensionForeignHome    ExtensionType = 34
	ExtensionAuthentication ExtensionType = 36  // generalized: RFC 4721, section 5
	ExtensionForeignRequest ExtensionType = 40  // MN-FA key generation nonce: RFC 3957, section 6.1
	ExtensionForeignReply   ExtensionType = 41  // section 6.2
	ExtensionHomeRequest    ExtensionType = 42  // MN-HA key generation nonce: section 6.3
	ExtensionHomeReply      ExtensionType = 43  // section 6.4
	ExtensionIdentifier     ExtensionType = 131 // RFC 2794, section 2
	firstSkippable          ExtensionType = 128
)

// Skippable says whether who does not know the type goes on without it.
func (t ExtensionType) Skippable() bool { return t >= firstSkippable }

// long says whether extensions of the type have the long format of RFC 5944, section
// 1.10, which has a subtype and 16 bits of length.
func (t ExtensionType) long() bool {
	return t == ExtensionAuthentication || t >= ExtensionForeignRequest && t <= ExtensionHomeReply
}

// An Extension is an Authentication, a KeyGenerationRequest, a KeyGenerationReply, an
// Identifier, or a RawExtension.
type Extension interface {
	extension() (t ExtensionType, subtype uint8)
	appendData(b []byte) ([]byte, error)
}

// fromAAA is the one subtype of generalized extensions that is known here: of RFC
// 4721, section 6, and of RFC 3957, sections 6.1 to 6.4.
const fromAAA = 1

// A RawExtension is one that may be skipped, and is not known here.
type RawExtension struct {
	Number ExtensionType // 128 or more
	Data   []byte        // up to 255 octets
}

func (e RawExtension) extension() (ExtensionType, uint8) { return e.Number, 0 }

func (e RawExtension) appendData(b []byte) ([]byte, error) {
	if !e.Number.Skippable() || e.Number == ExtensionIdentifier {
		return nil, fmt.Errorf("raw extension of type %d: want one that is not known and may be skipped", e.Number)
	}
	return append(b, e.Data...), nil
}

// An Identifier is the Mobile Node NAI extension: RFC 2794, section 2.
type Identifier struct{ NAI string } // up to 255 octets

func (Identifier) extension() (ExtensionType, uint8) { return ExtensionIdentifier, 0 }

func (e Identifier) appendData(b []byte) ([]byte, error) { return append(b, e.NAI...), nil }

// Find gives the first extension of a Go type.
func Find[E Extension](all []Extension) (found E, ok bool) {
	for _, e := range all {
		if found, ok = e.(E); ok {
			return found, true
		}
	}
	return found, false
}

func appendExtensions(b []byte, t Type, all []Extension) ([]byte, error) {
	for _, e := range all {
		number, subtype := e.extension()
		b = append(b, byte(number))
		if number.long() {
			b = append(b, subtype, 0)
		}
		b = append(b, 0)
		start := len(b)
		var err error
		if b, err = e.appendData(b); err != nil {
			return nil, fmt.Errorf("%v: %w", t, err)
		}
		size, most := len(b)-start, math.MaxUint8
		if number.long() {
			most = math.MaxUint16
		}
		if size > most {
			return nil, fmt.Errorf("%v: extension of type %d with %d octets, want %d at most", t, number, size, most)
		}
		b[start-1] = byte(size)
		if number.long() {
			binary.BigEndian.PutUint16(b[start-2:], uint16(size))
		}
	}
	return b, nil
}

// A walk goes over the extensions of a message, without the padding.
type walk struct {
	octets []byte
	at     int // of what is next

	number  ExtensionType
	subtype uint8
	data    []byte
	start   int // of data
	err     error
}

func (w *walk) next() bool {
	for w.at < len(w.octets) && ExtensionType(w.octets[w.at]) == extensionPadding {
		w.at++
	}
	rest := w.octets[w.at:]
	if len(rest) == 0 {
		return false
	}
	w.number, w.subtype = ExtensionType(rest[0]), 0
	head := 2
	if w.number.long() {
		head = 4
	}
	if len(rest) < head {
		w.err = fmt.Errorf("extension of type %d is cut off after %d octets: %w", w.number, len(rest), ErrMalformed)
		return false
	}
	size := int(rest[1])
	if head == 4 {
		w.subtype, size = rest[1], int(binary.BigEndian.Uint16(rest[2:]))
	}
	if size > len(rest)-head {
		w.err = fmt.Errorf("extension of type %d says it has %d octets, and %d follow: %w", w.number, size, len(rest)-head, ErrMalformed)
		return false
	}
	w.start = w.at + head
	w.data = rest[head : head+size]
	w.at = w.start + size
	return true
}

func parseExtensions(b []byte) ([]Extension, error) {
	var all []Extension
	w := walk{octets: b}
	for w.next() {
		e, err := w.parse()
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, w.err
}

// parse reads the extension that the walk stands at.
func (w *walk) parse() (Extension, error) {
	switch {
	case w.number.long() && w.subtype != fromAAA:
		return nil, fmt.Errorf("extension of type %d with subtype %d: %w", w.number, w.subtype, ErrUnrecognized)
	case w.number == ExtensionIdentifier:
		return Identifier{string(w.data)}, nil
	case w.number.Skippable():
		return RawExtension{w.number, bytes.Clone(w.data)}, nil
	}
	switch w.number {
	case ExtensionMobileHome, ExtensionMobileForeign, ExtensionForeignHome, ExtensionAuthentication:
		return parseAuthentication(AuthenticationKind(w.number), w.data)
	case ExtensionForeignRequest, ExtensionHomeRequest:
		return parseKeyGenerationRequest(w.number, w.data)
	case ExtensionForeignReply, ExtensionHomeReply:
		return parseKeyGenerationReply(w.number, w.data)
	}
	return nil, fmt.Errorf("extension of type %d: %w", w.number, ErrUnrecognized)
}
