package keys

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"net/netip"
)

// A WiMAXForm is one of two ways in which the keys of WiMAX are derived. The end that
// a lab's key server is tried against decides; the deployed one is the default.
//
//	                    deployed: rlm_wimax of        specified: NWG Stage 3,
//	                    FreeRADIUS                    section 4.3.1.1, as Radiator has it
//	MIP-RK-2 ends in    01, like MIP-RK-1             02
//	MIP-SPI is of       "SPI CMIP PMI"                "SPI CMIP PMIP"
//	an SPI near 2^32    goes round, to 0 and 1        is moved beyond 255
//
// The text of NWG was not at hand: what it specifies is told by the code of two other
// servers, which agree. Later releases of FreeRADIUS (3.0 and after) hash, in place of
// the NAI, the memory where a pointer to it lies; what is meant, and what release 2
// did, is done here in both forms.
type WiMAXForm int

const (
	WiMAXDeployed WiMAXForm = iota
	WiMAXSpecified
)

// A MIPRoot is the root key of Mobile IP in WiMAX, MIP-RK, which AAA server and mobile
// node derive of the EMSK of an EAP authentication.
type MIPRoot struct {
	key [2 * sha256.Size]byte
	spi uint32 // MIP-SPI
}

// A MobilityKey protects registrations between a mobile node and a home agent. RFC
// 4285 wants 16 octets of a key: which, is for its user to say.
type MobilityKey struct {
	Key [sha1.Size]byte
	SPI uint32
}

// NewMIPRoot derives
//
//	MIP-RK-1 = HMAC-SHA256(EMSK, usage | 01)
//	MIP-RK-2 = HMAC-SHA256(EMSK, MIP-RK-1 | usage | 01 or 02)
//	MIP-RK   = MIP-RK-1 | MIP-RK-2
//	MIP-SPI  = First(32, HMAC-SHA256(MIP-RK, label)), more than 255
//
// where usage is "miprk@wimaxforum.org" | 00 | 0200, the length in bits. The EMSK has
// 64 octets.
func NewMIPRoot(emsk []byte, form WiMAXForm) *MIPRoot {
	const usage = "miprk@wimaxforum.org\x00\x02\x00"
	second, label := "\x01", "SPI CMIP PMI"
	if form == WiMAXSpecified {
		second, label = "\x02", "SPI CMIP PMIP"
	}
	first := hmacSHA256(emsk, usage+"\x01")
	last := hmacSHA256(emsk, string(first)+usage+second)
	r := &MIPRoot{key: [2 * sha256.Size]byte(append(first, last...))}
	r.spi = mipSPI(binary.BigEndian.Uint32(hmacSHA256(r.key[:], label)), form)
	return r
}

// mipSPI leaves out what is reserved: RFC 4285, section 8. The specified form has
// room above it for three more, of PMIP4, CMIP6 and PMIP6.
func mipSPI(spi uint32, form WiMAXForm) uint32 {
	if spi < 256 {
		return spi + 256
	}
	if form == WiMAXSpecified && math.MaxUint32-spi < 3 {
		return spi + 259 // modulo 2^32
	}
	return spi
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Key is MIP-RK.
func (r *MIPRoot) Key() [2 * sha256.Size]byte { return r.key }

// SPI is MIP-SPI.
func (r *MIPRoot) SPI() uint32 { return r.spi }

// CMIP4 is of a mobile node that speaks Mobile IPv4 itself, to a home agent's IPv4
// address: HMAC-SHA1(MIP-RK, "CMIP4 MN HA" | HA | NAI), under MIP-SPI.
func (r *MIPRoot) CMIP4(homeAgent netip.Addr, nai string) MobilityKey {
	return r.mobility("CMIP4 MN HA", homeAgent.Unmap(), nai, 0)
}

// PMIP4 is of the access network that speaks Mobile IPv4 for a mobile node: "PMIP4 MN
// HA", under MIP-SPI + 1.
func (r *MIPRoot) PMIP4(homeAgent netip.Addr, nai string) MobilityKey {
	return r.mobility("PMIP4 MN HA", homeAgent.Unmap(), nai, 1)
}

// CMIP6 is of a mobile node that speaks Mobile IPv6 itself, to a home agent's IPv6
// address: "CMIP6 MN HA", under MIP-SPI + 2.
func (r *MIPRoot) CMIP6(homeAgent netip.Addr, nai string) MobilityKey {
	return r.mobility("CMIP6 MN HA", homeAgent, nai, 2)
}

func (r *MIPRoot) mobility(label string, homeAgent netip.Addr, nai string, spi uint32) MobilityKey {
	data := append([]byte(label), homeAgent.AsSlice()...)
	return MobilityKey{Key: NewMAC(r.key[:]).Sum(append(data, nai...)), SPI: r.spi + spi}
}

// FARK is the root key of foreign agents, under MIP-SPI: HMAC-SHA1(MIP-RK, "FA-RK").
func (r *MIPRoot) FARK() MobilityKey {
	return MobilityKey{Key: NewMAC(r.key[:]).Sum([]byte("FA-RK")), SPI: r.spi}
}
