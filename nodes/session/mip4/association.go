// Package mip4 is registration by Mobile IPv4 (RFC 5944, section 3) as two pure
// machines: a Mobile with a co-located care-of address, and its Agent at home. The
// first registration is proven by an MN-AAA authentication extension, about which the
// home agent asks an AAA server, and brings a nonce for the MN-HA key (RFC 4721, RFC
// 3957); later ones are proven by that key. Where a key was put in both beforehand,
// the first is too.
//
// How keys are made is in nodes/session/bootstrap, and when a timestamp is fresh in
// nodes/session/association: both are those of Mobile IPv6. What is asked of the AAA
// server goes into messages of nodes/wire/diameter in Ask.Request, and comes back by
// Read. Sockets, addresses and tunnels are left to the roles; foreign agents are not
// known here.
package mip4

import (
	"errors"
	"fmt"
	"time"

	"s2clab/nodes/keys"
	wire "s2clab/nodes/wire/mip4"
)

// FirstSPI is the first that is not reserved: RFC 5944, section 1.6.
const FirstSPI = 256

// An Association is the mobility security association of a mobile node with its home
// agent. It does not change. With timestamps, always: RFC 5944, section 5.7.1.
type Association struct {
	ToAgent   uint32 // SPI of Requests, which the network chooses; FirstSPI or more
	ToMobile  uint32 // SPI of Replies, which the mobile node chooses; FirstSPI or more
	Transform keys.Transform
	Key       []byte
	Ends      time.Time // zero: never
}

// Format keeps the key out of whatever is printed.
func (a Association) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{SPI %d and %d, %v}", a.ToAgent, a.ToMobile, a.Transform)
}

// valid says whether the association is there, and may be used at now.
func (a *Association) valid(now time.Time) bool {
	return a != nil && (a.Ends.IsZero() || now.Before(a.Ends))
}

// seal gives the octets of m with an authentication extension at the end.
func seal(m wire.Message, k wire.AuthenticationKind, spi uint32, t keys.Transform, key []byte) ([]byte, error) {
	size := t.Size()
	if size == 0 {
		return nil, fmt.Errorf("%v: %v is not known", m.Type(), t)
	}
	last := wire.Authentication{Kind: k, SPI: spi, Authenticator: make([]byte, size)}
	switch whole := m.(type) {
	case *wire.RegistrationRequest:
		with := *whole
		with.Extensions = append(with.Extensions[:len(with.Extensions):len(with.Extensions)], last)
		m = &with
	case *wire.RegistrationReply:
		with := *whole
		with.Extensions = append(with.Extensions[:len(with.Extensions):len(with.Extensions)], last)
		m = &with
	}
	b, err := m.AppendTo(nil)
	if err != nil {
		return nil, err
	}
	end := len(b) - size
	copy(b[end:], t.Sum(key, b[:end]))
	return b, nil
}

// errAuthenticator says that an authenticator is wrong.
var errAuthenticator = errors.New("authenticator is wrong")

// Verify checks one authentication extension of a message's octets.
func Verify(b []byte, p *wire.Place, t keys.Transform, key []byte) error {
	if want := t.Sum(key, b[:p.Covers]); len(want) == 0 || !keys.Equal(want, p.Authenticator) {
		return errAuthenticator
	}
	return nil
}

// places gives the places of one kind.
func places(b []byte, k wire.AuthenticationKind) (all []wire.Place) {
	for _, p := range wire.Places(b) {
		if p.Kind == k {
			all = append(all, p)
		}
	}
	return all
}
