package association

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/wire/mh"
)

// Three messages and their authenticators, computed by a program in another
// language from RFC 4285 alone, not by this one.
const (
	updateMNHA = `
3b0f05009a020001c00000960100031020010db80200000000000000000000991d06800000000000
083601303031303130303030303030303031406e61692e6570632e6d6e633030312e6d6363303031
2e336770706e6574776f726b2e6f726701000a08cacc6800800000000009110100000100926a82ba
69e45f193093c646`
	updateMNAAA = `
3b10050022160001c00000960100031020010db80200000000000000000000991d06800000000000
083601303031303130303030303030303031406e61692e6570632e6d6e633030312e6d6363303031
2e336770706e6574776f726b2e6f726701000a08cacc680080000000000919020000000370a0b95b
a9d7b79b3ea32a303685a1fa2f5749c2`
	acknowledgement = `
3b0c060049d1000000010096083601303031303130303030303030303031406e61692e6570632e6d
6e633030312e6d63633030312e336770706e6574776f726b2e6f72670104000000000a08cacc6800
80000000000911010000010015e2c97d46db8bf4a20d6171`
	macMobilityData = `ffb4957e85aee318d8f0258c031fd18ae5dce807`
)

var (
	home   = netip.MustParseAddr("2001:db8:100::10")
	agent  = netip.MustParseAddr("2001:db8:100::1")
	careOf = netip.MustParseAddr("2001:db8:200::99")

	mnHAKey  = octetsFrom(0x00)
	mnAAAKey = octetsFrom(0x40)
	spi      = uint32(0x100)
	stamp    = uint64(0xcacc680080000000) // 2007-10-26 13:20:00.5 UTC
	stamped  = time.Date(2007, 10, 26, 13, 20, 0, 5e8, time.UTC)
	nai      = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
)

func octetsFrom(first byte) []byte {
	b := make([]byte, 16)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func update() *mh.BindingUpdate {
	return &mh.BindingUpdate{
		Seq: 1, Flags: mh.AckRequested | mh.HomeRegistration, Lifetime: 600 * time.Second,
		Options: []mh.Option{
			mh.AlternateCareOf{Address: careOf},
			mh.IPv4HomeAddress{PrefixLen: 32, Address: netip.IPv4Unspecified()},
			mh.MNIdentifier{Subtype: mh.NAI, Identifier: nai},
			mh.ReplayProtection{Timestamp: stamp},
		},
	}
}

func answer() *mh.BindingAcknowledgement {
	return &mh.BindingAcknowledgement{
		Seq: 1, Lifetime: 600 * time.Second,
		Options: []mh.Option{
			mh.MNIdentifier{Subtype: mh.NAI, Identifier: nai},
			mh.ReplayProtection{Timestamp: stamp},
		},
	}
}

func same(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("got  %x\nwant %x", got, want)
	}
}

func TestAnUpdateSealedWithMNHAIsTheVector(t *testing.T) {
	a := New(spi, mnHAKey)
	got, err := SealMNHA(nil, update(), a, careOf, home, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, unhex(t, updateMNHA))
	if err := Verify(got, a, careOf, home); err != nil {
		t.Fatal(err)
	}
	if !mh.ChecksumOK(got, home, agent) {
		t.Error("checksum is wrong")
	}
}

func TestAnUpdateSealedWithMNAAAIsTheVector(t *testing.T) {
	got, data, err := SealMNAAA(nil, update(), mh.HMACSHA1SPI, mnAAAKey, careOf, home, home, agent)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, unhex(t, updateMNAAA))
	same(t, data[:], unhex(t, macMobilityData))

	seen, spi, authenticator, err := MobilityData(got, careOf, home)
	if err != nil {
		t.Fatal(err)
	}
	same(t, seen[:], data[:])
	if err := VerifyMNAAA(mnAAAKey, spi, seen, authenticator); err != nil {
		t.Error(err)
	}
}

func TestAnAcknowledgementSealedWithMNHAIsTheVector(t *testing.T) {
	a := New(spi, mnHAKey)
	got, err := SealMNHA(nil, answer(), a, careOf, home, agent, home)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, unhex(t, acknowledgement))
	if err := Verify(got, a, careOf, home); err != nil {
		t.Fatal(err)
	}
}
