package radius

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrUnauthenticated is wrapped by errors of packets that do not prove the shared
// secret. Such a packet is silently discarded: RFC 2865, section 3.
var ErrUnauthenticated = errors.New("not authenticated")

// A Secret is what a client and a server share. It prints as a placeholder.
type Secret []byte

// Format keeps a secret out of every text.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, "(secret)") }

// Guard puts a Message-Authenticator before attributes that have none, for
// AppendRequest or AppendResponse to fill in. Each Access-Request should have one
// (RFC 5080, section 2.2.2); it comes first, so that whoever forges a response
// does not choose what the digest begins with.
func Guard(as []Attribute) []Attribute {
	if slices.ContainsFunc(as, func(a Attribute) bool { return a.Type == MessageAuthenticator }) {
		return as
	}
	return append([]Attribute{{MessageAuthenticator, make([]byte, md5.Size)}}, as...)
}

// AppendRequest appends an Access-Request. A Message-Authenticator is computed if
// there is one: RFC 3579, section 3.2.
func (p *Packet) AppendRequest(b []byte, s Secret) ([]byte, error) {
	start := len(b)
	b, err := p.AppendTo(b)
	if err != nil {
		return nil, err
	}
	return b, seal(b[start:], s, p.Authenticator)
}

// AppendResponse appends the response to a request with the Authenticator given.
// A Message-Authenticator is computed if there is one, and then the Response
// Authenticator; that of p is not used: RFC 2865, section 3, RFC 3579, section 3.2.
func (p *Packet) AppendResponse(b []byte, s Secret, request Authenticator) ([]byte, error) {
	start := len(b)
	b, err := p.AppendTo(b)
	if err != nil {
		return nil, err
	}
	packet := b[start:]
	if err := seal(packet, s, request); err != nil {
		return nil, err
	}
	sum := responseAuthenticator(packet, s, request)
	copy(packet[4:], sum[:])
	return b, nil
}

// seal fills in the Message-Authenticator of a packet, if it has one.
func seal(packet []byte, s Secret, request Authenticator) error {
	at, err := findMessageAuthenticator(packet)
	if err != nil || at == 0 {
		return err
	}
	sum := messageAuthenticator(packet, at, s, request)
	copy(packet[at:], sum)
	return nil
}

// findMessageAuthenticator gives where in a packet its value is; 0: there is none.
func findMessageAuthenticator(packet []byte) (found int, err error) {
	for at := headerSize; at < len(packet); {
		value, err := valueAt(packet, at)
		if err != nil {
			return 0, err
		}
		if Type(packet[at]) == MessageAuthenticator {
			if found != 0 {
				return 0, fmt.Errorf("two %v: %w", MessageAuthenticator, ErrMalformed)
			}
			if len(value) != md5.Size {
				return 0, fmt.Errorf("%v of %d octets, want %d: %w", MessageAuthenticator, len(value), md5.Size, ErrMalformed)
			}
			found = at + 2
		}
		at += 2 + len(value)
	}
	return found, nil
}

func messageAuthenticator(packet []byte, at int, s Secret, request Authenticator) []byte {
	var zero [md5.Size]byte
	h := hmac.New(md5.New, s)
	h.Write(packet[:4])
	h.Write(request[:])
	h.Write(packet[headerSize:at])
	h.Write(zero[:])
	h.Write(packet[at+md5.Size:])
	return h.Sum(nil)
}

func responseAuthenticator(packet []byte, s Secret, request Authenticator) (sum Authenticator) {
	h := md5.New()
	h.Write(packet[:4])
	h.Write(request[:])
	h.Write(packet[headerSize:])
	h.Write(s)
	h.Sum(sum[:0])
	return sum
}

// VerifyRequest says whether an Access-Request, as it came, is from one who has
// the secret. Guarded tells that a Message-Authenticator proves that; without one
// a request proves nothing of itself. One with an EAP-Message must have it: RFC
// 3579, section 3.1. Errors wrap ErrMalformed or ErrUnauthenticated.
func VerifyRequest(b []byte, s Secret) (guarded bool, err error) {
	length, err := lengthOf(b)
	if err != nil {
		return false, err
	}
	return verify(b[:length], s, Authenticator(b[4:headerSize]))
}

// VerifyResponse says whether a response, as it came, answers the request with
// that Authenticator and is from one who has the secret. Guarded tells that it has
// a Message-Authenticator too. Errors wrap ErrMalformed or ErrUnauthenticated.
func VerifyResponse(b []byte, s Secret, request Authenticator) (guarded bool, err error) {
	length, err := lengthOf(b)
	if err != nil {
		return false, err
	}
	b = b[:length]
	want := responseAuthenticator(b, s, request)
	if subtle.ConstantTimeCompare(want[:], b[4:headerSize]) != 1 {
		return false, fmt.Errorf("%v: wrong Response Authenticator: %w", Code(b[0]), ErrUnauthenticated)
	}
	return verify(b, s, request)
}

// verify checks the Message-Authenticator of a packet.
func verify(packet []byte, s Secret, request Authenticator) (guarded bool, err error) {
	at, err := findMessageAuthenticator(packet)
	if err != nil {
		return false, err
	}
	if at != 0 {
		if !hmac.Equal(messageAuthenticator(packet, at, s, request), packet[at:at+md5.Size]) {
			return false, fmt.Errorf("%v: wrong %v: %w", Code(packet[0]), MessageAuthenticator, ErrUnauthenticated)
		}
		return true, nil
	}
	for at := headerSize; at < len(packet); at += int(packet[at+1]) { // findMessageAuthenticator has walked it
		if Type(packet[at]) == EAPMessage {
			return false, fmt.Errorf("%v: %v without %v: %w", Code(packet[0]), EAPMessage, MessageAuthenticator, ErrUnauthenticated)
		}
	}
	return false, nil
}
