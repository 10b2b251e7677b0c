// Package association is what a mobile node and its home agent share by RFC
// 4285: the mobility security association, the octets that its authenticators
// cover, and the rules that keep a Binding Update from being used twice.
//
// # What an authenticator covers
//
// Both authenticators are over the mobility data:
//
//	care-of address  16 octets
//	home address     16 octets
//	Mobility Header  from Payload Proto up to and including the SPI of the
//	                 authentication option, with the final Header Len and the
//	                 checksum field (octets 4 and 5) set to 0
//
// and then
//
//	MN-HA   First(96, HMAC_SHA1(MN-HA key, mobility data))
//	MN-AAA  HMAC_SHA1(MN-AAA key, SHA1(mobility data)), all 160 bits, SPI 3
//
// An MN-AAA option that follows an MN-HA option therefore covers it, with its
// authenticator. Nothing after the SPI of the option is covered but by the
// length in the header: padding after the option may be altered unseen.
//
// RFC 4285, section 5.1, leaves open which addresses these are when several
// could be meant. Here:
//
//   - the home address is that of the Home Address option, or of the type 2
//     routing header; where a packet has neither, its source, or for an
//     acknowledgement its destination;
//   - the care-of address is that of the Alternate Care-of Address option, as
//     in RFC 6275, section 6.2.7; else that of the IPv4 Care-of Address option,
//     as an IPv4-mapped IPv6 address (never the outer source, which a NAT may
//     change); else the source of the IPv6 header. A mobile at home that
//     deletes its binding has its home address there;
//   - an acknowledgement has the two addresses of the update that it answers;
//   - an update that asks for a home address has the unspecified one, an
//     acknowledgement that assigns one has that, and one that refuses has the
//     unspecified one again;
//   - the MN-AAA authenticator, for which the RFC is silent, is computed with a
//     checksum of 0 too.
//
// # Messages that RFC 4285 does not protect
//
// Its section 2 speaks of Binding Updates and Binding Acknowledgements only. RFC
// 5846, section 6.1, and RFC 5142, section 5.1, want Binding Revocation Messages
// and Home Agent Switch messages protected as those are. Here, and between nodes
// of this program only, they carry the same options: the identifier, with
// timestamps a replay protection option, and at the end an MN-HA option, over the
// care-of address and home address of the binding that they are about. A Replay
// Protection option of such a message does not tell its time: it has the
// timestamp of the last Binding Update that its binding was made or refreshed by,
// so that its receiver can tell one that was recorded before. Without the MN-HA
// option such a message is not believed where Binding Updates need one.
//
// The package holds no table of associations, reads no clock and sends nothing.
// Which updates are then accepted is the home agent's to say.
package association

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

// Why a message is not believed.
var (
	ErrNone = errors.New("no authentication option")
	ErrSPI  = errors.New("authentication under another SPI")
	ErrAuth = errors.New("authenticator is wrong")
)

// An Association is a mobility security association between a mobile node and
// a home agent: RFC 4285, section 3. It does not change; goroutines may share
// one.
type Association struct {
	SPI uint32 // 256 and above, but for what IANA gave away below

	mac *keys.MAC
}

// New makes an association. The key is 16 octets by RFC 4285, section 5.1;
// others are taken as they are.
func New(spi uint32, key []byte) *Association {
	return &Association{SPI: spi, mac: keys.NewMAC(key)}
}

// SealMNHA appends m, one of the messages that an MN-HA option protects, as a whole
// Mobility Header that ends with an MN-HA option. The options of m are written
// in their order before it. Its checksum is over src and dst: see mh.Append.
func SealMNHA(b []byte, m mh.Message, a *Association, careOf, home, src, dst netip.Addr) ([]byte, error) {
	if !protects(m.Type()) {
		return nil, fmt.Errorf("seal: %v: want a binding update, acknowledgement or revocation, or a home agent switch", m.Type())
	}
	start := len(b)
	b, err := begin(b, m, mh.MNHA, a.SPI, keys.MNHASize)
	if err != nil {
		return nil, err
	}
	end := len(b) - keys.MNHASize
	s := scratches.Get().(*scratch)
	authenticator := keys.MNHA(a.mac, s.mobilityData(b[start:end], careOf, home))
	scratches.Put(s)
	copy(b[end:], authenticator[:])
	mh.SetChecksum(b[start:], src, dst)
	return b, nil
}

// SealMNAAA appends m as a whole Mobility Header that ends with an MN-AAA
// option, and gives its MAC_Mobility_Data, of which a session key may be made
// (see Freshness). The spi is mh.HMACSHA1SPI; any other is written, but means
// the same computation here.
func SealMNAAA(b []byte, m *mh.BindingUpdate, spi uint32, key []byte, careOf, home, src, dst netip.Addr) (_ []byte, data [20]byte, err error) {
	start := len(b)
	if b, err = begin(b, m, mh.MNAAA, spi, keys.MNAAASize); err != nil {
		return nil, data, err
	}
	end := len(b) - keys.MNAAASize
	s := scratches.Get().(*scratch)
	data = keys.MobilityData(s.mobilityData(b[start:end], careOf, home))
	scratches.Put(s)
	authenticator := keys.MNAAA(key, data)
	copy(b[end:], authenticator[:])
	mh.SetChecksum(b[start:], src, dst)
	return b, data, nil
}

// begin appends m with an authentication option of size zeros at its end.
func begin(b []byte, m mh.Message, subtype mh.AuthSubtype, spi uint32, size int) ([]byte, error) {
	start := len(b)
	b, err := mh.Begin(b, m)
	if err != nil {
		return nil, err
	}
	if b, err = mh.AppendAuthentication(b, start, subtype, spi, size); err != nil {
		return nil, fmt.Errorf("%v: %w", m.Type(), err)
	}
	return b, nil
}

// Verify checks the MN-HA authenticator of the Mobility Header at the start of
// b. It returns nil, ErrNone where there is no MN-HA option, ErrSPI where it is
// of another association, ErrAuth where it is wrong, or an error that wraps
// mh.ErrMalformed. Padding after the option is let through; order and number
// of options are mh.CheckOctets'.
func Verify(b []byte, a *Association, careOf, home netip.Addr) error {
	b, o, err := find(b, mh.MNHA)
	if err != nil {
		return err
	}
	if o.spi != a.SPI {
		return ErrSPI
	}
	s := scratches.Get().(*scratch)
	authenticator := keys.MNHA(a.mac, s.mobilityData(b[:o.end], careOf, home))
	ok := keys.Equal(authenticator[:], o.data)
	scratches.Put(s)
	if !ok {
		return ErrAuth
	}
	return nil
}

// SPI gives the SPI of the MN-HA option of the Mobility Header at the start of
// b: whose association to verify it with. It returns ErrNone where there is no
// such option, or an error that wraps mh.ErrMalformed.
func SPI(b []byte) (uint32, error) {
	_, o, err := find(b, mh.MNHA)
	return o.spi, err
}

// MobilityData gives what a home agent sends to an AAA server so that it can
// check the MN-AAA option of the Binding Update at the start of b: its
// MAC_Mobility_Data, its SPI and its authenticator, which is part of b. It
// returns ErrNone where there is no such option.
func MobilityData(b []byte, careOf, home netip.Addr) (data [20]byte, spi uint32, authenticator []byte, err error) {
	b, o, err := find(b, mh.MNAAA)
	if err != nil {
		return data, 0, nil, err
	}
	s := scratches.Get().(*scratch)
	data = keys.MobilityData(s.mobilityData(b[:o.end], careOf, home))
	scratches.Put(s)
	return data, o.spi, o.data, nil
}

// VerifyMNAAA is what the AAA server does with the answer of MobilityData. It
// returns nil, ErrSPI for an algorithm other than mh.HMACSHA1SPI, or ErrAuth.
func VerifyMNAAA(key []byte, spi uint32, data [20]byte, authenticator []byte) error {
	if spi != mh.HMACSHA1SPI {
		return ErrSPI
	}
	want := keys.MNAAA(key, data)
	if !keys.Equal(want[:], authenticator) {
		return ErrAuth
	}
	return nil
}

// protects says whether a message of that type may carry authentication options.
func protects(t mh.Type) bool {
	switch t {
	case mh.TypeBindingUpdate, mh.TypeBindingAcknowledgement, mh.TypeBindingRevocation, mh.TypeHomeAgentSwitch:
		return true
	}
	return false
}

// A found authentication option.
type found struct {
	spi  uint32
	data []byte
	end  int // of what it covers
}

// find gives the octets of the header at the start of b and the first
// authentication option of the subtype in them.
func find(b []byte, subtype mh.AuthSubtype) ([]byte, found, error) {
	b, err := mh.Octets(b)
	if err != nil {
		return nil, found{}, err
	}
	if !protects(mh.Type(b[2])) {
		return nil, found{}, ErrNone
	}
	w := mh.WalkOptions(b)
	for w.Next() {
		if w.Type != mh.OptionAuthentication || len(w.Data) < 5 || mh.AuthSubtype(w.Data[0]) != subtype {
			continue
		}
		return b, found{spi: binary.BigEndian.Uint32(w.Data[1:]), data: w.Data[5:], end: w.At + 7}, nil
	}
	if w.Err() != nil {
		return nil, found{}, w.Err()
	}
	return nil, found{}, ErrNone
}

// A scratch holds mobility data while they are computed over.
type scratch struct{ octets [32 + 2048]byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// mobilityData puts together what an authenticator covers. The header ends
// with the SPI.
func (s *scratch) mobilityData(header []byte, careOf, home netip.Addr) []byte {
	c, h := octets(careOf), octets(home)
	copy(s.octets[:], c[:])
	copy(s.octets[16:], h[:])
	n := 32 + copy(s.octets[32:], header)
	s.octets[32+4], s.octets[32+5] = 0, 0 // the checksum
	return s.octets[:n]
}

// octets gives the 16 octets of an address, an IPv4 one mapped.
func octets(a netip.Addr) [16]byte {
	if !a.IsValid() {
		return [16]byte{}
	}
	return a.As16()
}

// Freshness is what keys.SessionKey takes of a Binding Update so that each
// bootstrap has a key of its own: the 64-bit timestamp where there is one, else
// the first 8 octets of the MAC_Mobility_Data.
func Freshness(u *mh.BindingUpdate, data [20]byte) [8]byte {
	if o, ok := mh.Find[mh.ReplayProtection](u.Options); ok {
		return [8]byte(binary.BigEndian.AppendUint64(nil, o.Timestamp))
	}
	return [8]byte(data[:])
}
