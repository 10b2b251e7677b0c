package bootstrap

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

const nai = "0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"

var homeAgent = netip.MustParseAddr("2001:db8:100::1")

func TestBothSidesMakeTheSameKeyOfAnMNAAAOption(t *testing.T) {
	m, err := Of("mip-options", "static")
	if err != nil {
		t.Fatal(err)
	}
	h := &Held{NAI: nai, MNAAASPI: 3, MNAAAKey: bytes.Repeat([]byte{7}, 16)}
	if need := m.Mobile.Lacks(h, time.Time{}); need != Nothing {
		t.Fatalf("lacks %v", need)
	}
	p := m.Mobile.Prove(h, homeAgent)
	if p.Subtype != mh.MNAAA || p.SPI != 3 || p.Identifier != nai || !bytes.Equal(p.Key, h.MNAAAKey) {
		t.Errorf("the proof is %v under SPI %d of %s", p.Subtype, p.SPI, p.Identifier)
	}
	freshness := [8]byte{1, 2, 3}
	mobile, err := m.Mobile.Conclude(h, &p, Acknowledgement{HomeAgent: homeAgent, SPI: 256, Freshness: freshness})
	if err != nil {
		t.Fatal(err)
	}
	server := m.Server.Associate(h.MNAAAKey, Request{Identifier: nai, HomeAgent: homeAgent, Freshness: freshness})
	if !bytes.Equal(mobile.Value, server.Value) || len(mobile.Value) != keys.SessionKeySize {
		t.Errorf("keys of %d and %d octets differ", len(mobile.Value), len(server.Value))
	}
	other := m.Server.Associate(h.MNAAAKey, Request{Identifier: nai, HomeAgent: homeAgent, Freshness: [8]byte{9}})
	if bytes.Equal(other.Value, server.Value) {
		t.Error("another bootstrap makes the same key")
	}
}

func TestAMethodThatIsNotKnownIsToldWithThoseThatAre(t *testing.T) {
	for _, c := range [][2]string{{"gab", ""}, {"mip-options", "emks"}} {
		if _, err := Of(c[0], c[1]); err == nil || !strings.Contains(err.Error(), "want static") {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestADerivedKeyIsNotPrinted(t *testing.T) {
	d := keys.Derived{Name: "MN-HA key", Value: []byte("a secret of 16 o")}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if text := fmt.Sprintf(format, d); strings.Contains(text, "secret") || strings.Contains(text, "736563726574") {
			t.Errorf("%s prints %s", format, text)
		}
	}
}
