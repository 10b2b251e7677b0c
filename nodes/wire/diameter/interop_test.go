package diameter_test

import (
	"bytes"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
)

// golden reads octets written in hexadecimal, with comments.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The octets of our messages mean to another implementation what they mean to us.
func TestGoDiameterReadsEveryAVPOfARequestAndItsAnswer(t *testing.T) {
	words, err := dict.NewParser("testdata/mip6a.xml")
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]map[string]datatype.Type{
		"mip6a-request": {
			"Session-Id":              datatype.UTF8String("pgw.epc.mnc001.mcc001.3gppnetwork.org;3402393600;7"),
			"Auth-Application-Id":     datatype.Unsigned32(8),
			"Origin-Host":             datatype.DiameterIdentity("pgw.epc.mnc001.mcc001.3gppnetwork.org"),
			"Origin-Realm":            datatype.DiameterIdentity("epc.mnc001.mcc001.3gppnetwork.org"),
			"Destination-Realm":       datatype.DiameterIdentity("nai.epc.mnc001.mcc001.3gppnetwork.org"),
			"User-Name":               datatype.UTF8String("001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"),
			"Auth-Request-Type":       datatype.Enumerated(3),
			"Origin-State-Id":         datatype.Unsigned32(0x65000000),
			"MIP6-Auth-Mode":          datatype.Enumerated(1),
			"MIP-MN-AAA-SPI":          datatype.Unsigned32(3),
			"MIP-Mobile-Node-Address": datatype.Address(net.ParseIP("2001:db8:100::10")),
			"MIP6-Agent-Info":         nil,
			"MIP-Home-Agent-Address":  datatype.Address(net.ParseIP("2001:db8:100::1")),
			"MIP-Home-Agent-Host":     nil,
			"Destination-Host":        datatype.DiameterIdentity("pgw.epc.mnc001.mcc001.3gppnetwork.org"),
			"MIP-Careof-Address":      datatype.Address(net.ParseIP("2001:db8:200::99")),
			"MIP-Authenticator":       datatype.OctetString(unhex("70a0b95ba9d7b79b3ea32a303685a1fa2f5749c2")),
			"MIP-MAC-Mobility-Data":   datatype.OctetString(unhex("ffb4957e85aee318d8f0258c031fd18ae5dce807")),
			"MIP-Timestamp":           datatype.OctetString(unhex("cacc680080000000")),
			"Service-Selection":       datatype.UTF8String("internet"),
			"Auth-Session-State":      datatype.Enumerated(1),
		},
		"mip6a-answer": {
			"Session-Id":              datatype.UTF8String("pgw.epc.mnc001.mcc001.3gppnetwork.org;3402393600;7"),
			"Auth-Application-Id":     datatype.Unsigned32(8),
			"Result-Code":             datatype.Unsigned32(2001),
			"Origin-Host":             datatype.DiameterIdentity("aaa.epc.mnc001.mcc001.3gppnetwork.org"),
			"Origin-Realm":            datatype.DiameterIdentity("epc.mnc001.mcc001.3gppnetwork.org"),
			"Auth-Request-Type":       datatype.Enumerated(3),
			"User-Name":               datatype.UTF8String("001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"),
			"Auth-Session-State":      datatype.Enumerated(1),
			"MIP-Mobile-Node-Address": datatype.Address(net.ParseIP("2001:db8:100::10")),
			"MIP-MN-HA-MSA":           nil,
			"MIP-Session-Key":         datatype.OctetString(unhex("eccf27d643b747f26256f01328d8a6a3")),
			"MIP-MSA-Lifetime":        datatype.Unsigned32(3600),
			"MIP-MN-HA-SPI":           datatype.Unsigned32(256),
			"MIP-Algorithm-Type":      datatype.Enumerated(2),
			"MIP-Replay-Mode":         datatype.Enumerated(2),
			"MIP-Timestamp":           datatype.OctetString(unhex("cacc680080000000")),
			"Service-Selection":       datatype.UTF8String("internet"),
			"Origin-State-Id":         datatype.Unsigned32(0x65000001),
		},
	} {
		octets := golden(t, file)
		m, err := diam.ReadMessage(bytes.NewReader(octets), words)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		seen := map[string]bool{}
		var walk func(avps []*diam.AVP)
		walk = func(avps []*diam.AVP) {
			for _, a := range avps {
				known, err := words.FindAVPWithVendor(m.Header.ApplicationID, a.Code, a.VendorID)
				if err != nil {
					t.Errorf("%s: AVP %d is unknown", file, a.Code)
					continue
				}
				seen[known.Name] = true
				data, listed := want[known.Name]
				if !listed {
					t.Errorf("%s: holds %s", file, known.Name)
				}
				if group, ok := a.Data.(*diam.GroupedAVP); ok {
					walk(group.AVP)
				} else if data != nil && known.Name != "Destination-Realm" && !bytes.Equal(a.Data.Serialize(), data.Serialize()) {
					t.Errorf("%s: %s is %v, want %v", file, known.Name, a.Data, data)
				}
				if mandatory := a.Flags&0x40 != 0; mandatory != strings.Contains(known.Must, "M") {
					t.Errorf("%s: %s has the M bit: %v", file, known.Name, mandatory)
				}
			}
		}
		walk(m.AVP)
		for name := range want {
			if !seen[name] {
				t.Errorf("%s: %s is missing", file, name)
			}
		}
		again, err := m.Serialize()
		if err != nil || !bytes.Equal(again, octets) {
			t.Errorf("%s: go-diameter writes it as\n%x, not\n%x (%v)", file, again, octets, err)
		}
	}
}

// Another implementation understands each AVP of every message of the 3GPP's
// applications, and writes it as it came.
func TestGoDiameterReadsEveryMessageOfThe3GPP(t *testing.T) {
	words, err := dict.NewParser("testdata/mip6a.xml", "testdata/3gpp.xml", "testdata/mip4.xml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil {
		t.Fatal(err)
	}
	read := map[uint32]int{}
	var keys, results int
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hex")
		octets := golden(t, name)
		if strings.HasPrefix(name, "mip6a-request-aka") || strings.HasPrefix(name, "mip6a-answer-challenge") {
			continue // an AVP of theirs has no M bit where its table has one
		}
		m, err := diam.ReadMessage(bytes.NewReader(octets), words)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		read[m.Header.ApplicationID]++
		var walk func(avps []*diam.AVP)
		walk = func(avps []*diam.AVP) {
			for _, a := range avps {
				known, err := words.FindAVPWithVendor(m.Header.ApplicationID, a.Code, a.VendorID)
				if err != nil {
					t.Errorf("%s: AVP %d of vendor %d is unknown", name, a.Code, a.VendorID)
					continue
				}
				if mandatory := a.Flags&0x40 != 0; mandatory != strings.Contains(known.Must, "M") {
					t.Errorf("%s: %s has the M bit: %v", name, known.Name, mandatory)
				}
				if vendor := a.Flags&0x80 != 0; vendor != strings.Contains(known.Must, "V") || vendor != (a.VendorID == 10415) {
					t.Errorf("%s: %s has the V bit: %v, and vendor %d", name, known.Name, vendor, a.VendorID)
				}
				switch known.Name {
				case "Confidentiality-Key", "EAP-Master-Session-Key", "ME-Key-Material":
					keys++
				case "Experimental-Result-Code":
					results++
				}
				if group, ok := a.Data.(*diam.GroupedAVP); ok {
					walk(group.AVP)
				} else if known.Data.Type == datatype.GroupedType {
					t.Errorf("%s: %s is no group", name, known.Name)
				}
			}
		}
		walk(m.AVP)
		if again, err := m.Serialize(); err != nil || !bytes.Equal(again, octets) {
			t.Errorf("%s: go-diameter writes it as\n%x, not\n%x (%v)", name, again, octets, err)
		}
	}
	for _, application := range []uint32{2, 5, 16777220, 16777221, 16777250, 16777264, 16777265, 16777272} {
		if read[application] < 2 {
			t.Errorf("%d messages of application %d", read[application], application)
		}
	}
	if keys != 5 || results != 4 {
		t.Errorf("%d keys and %d experimental results", keys, results)
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
