package eapol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/wire/eapol"
	"s2clab/nodes/wire/wiretest"
)

// What the golden octets mean.
var golden = map[string]eapol.Frame{
	"Start":             {Version: 2, Type: eapol.Start},
	"Logoff of 2001":    {Version: 1, Type: eapol.Logoff},
	"Request Identity":  {Version: 2, Type: eapol.EAPPacket, Body: []byte{1, 42, 0, 5, 1}},
	"Response Identity": {Version: 1, Type: eapol.EAPPacket, Body: []byte("\x02\x2a\x00\x13\x010mn@example.co")},
	"Success":           {Version: 3, Type: eapol.EAPPacket, Body: []byte{3, 43, 0, 4}},
	"Key":               {Version: 2, Type: eapol.Key, Body: []byte{2, 0xbe, 0xef}},
}

func same(a, b eapol.Frame) bool {
	return a.Version == b.Version && a.Type == b.Type && bytes.Equal(a.Body, b.Body)
}

func TestGoldenOctetsAreWhatTheyMean(t *testing.T) {
	samples := wiretest.Golden(t)
	if len(samples) != len(golden) {
		t.Errorf("%d samples, want %d", len(samples), len(golden))
	}
	for _, s := range samples {
		want := golden[s.Name]
		padded := append(bytes.Clone(s.Octets), make([]byte, 46)...)
		if got, err := eapol.Parse(padded); err != nil || !same(got, want) {
			t.Errorf("%q: got %+v, %v, want %+v", s.Name, got, err, want)
		}
		if b, err := eapol.Append([]byte("before"), &want); err != nil || !bytes.Equal(b[6:], s.Octets) {
			t.Errorf("%q: %v\ngot  %x\nwant %x", s.Name, err, b, s.Octets)
		}
	}
}

func TestAFrameWithoutAVersionIsSentWithTheLabs(t *testing.T) {
	b, err := eapol.Append(nil, &eapol.Frame{Type: eapol.Start})
	if want := []byte{2, 1, 0, 0}; err != nil || !bytes.Equal(b, want) {
		t.Errorf("%x, %v, want %x", b, err, want)
	}
}

func TestTheLongestBodyFits(t *testing.T) {
	f := eapol.Frame{Type: eapol.EAPPacket, Body: make([]byte, 65535)}
	b, err := eapol.Append(nil, &f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := eapol.Parse(b); err != nil || len(got.Body) != 65535 {
		t.Errorf("%d octets, %v", len(got.Body), err)
	}
	f.Body = append(f.Body, 0)
	if _, err := eapol.Append(nil, &f); err == nil {
		t.Error("a body of 65,536 octets was appended")
	}
}

func TestOtherFramesAreRefused(t *testing.T) {
	for what, b := range map[string][]byte{
		"nothing":         nil,
		"half a header":   {2, 1, 0},
		"version 0":       {0, 1, 0, 0},
		"version 4":       {4, 1, 0, 0},
		"a body cut off":  {2, 0, 0, 5, 1, 1, 0, 5},
		"no body at all":  {2, 0, 0xff, 0xff},
		"a key cut short": {2, 3, 1, 0, 2},
	} {
		if _, err := eapol.Parse(b); !errors.Is(err, eapol.ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := eapol.Append(nil, &eapol.Frame{Version: 4}); err == nil {
		t.Error("version 4 was appended")
	}
}

// No octets make Parse panic; what parses appends to the same octets.
func FuzzParse(f *testing.F) {
	wiretest.Seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := eapol.Parse(b)
		if err != nil {
			if !errors.Is(err, eapol.ErrMalformed) {
				t.Error(err)
			}
			return
		}
		again, err := eapol.Append(nil, &p)
		if err != nil || !bytes.Equal(again, b[:eapol.HeaderLen+len(p.Body)]) {
			t.Errorf("%x appended to %x, %v", b, again, err)
		}
	})
}

func TestTsharkReadsEachFrame(t *testing.T) {
	program, err := exec.LookPath("tshark")
	if err != nil {
		netnstest.Lacking(t, "tshark", err)
	}
	little := binary.LittleEndian
	b := little.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = little.AppendUint32(b, 1<<16)
	b = little.AppendUint32(b, 1) // LINKTYPE_ETHERNET
	samples := wiretest.Golden(t)
	var want []string
	for i, s := range samples {
		frame := append(eapol.Group[:], 2, 0, 0, 0, 0, 1)
		frame = binary.BigEndian.AppendUint16(frame, eapol.EtherType)
		frame = append(frame, s.Octets...)
		frame = append(frame, make([]byte, max(0, 60-len(frame)))...) // as Ethernet pads
		b = little.AppendUint32(b, uint32(i))
		b = little.AppendUint32(b, 0)
		b = little.AppendUint32(b, uint32(len(frame)))
		b = little.AppendUint32(b, uint32(len(frame)))
		b = append(b, frame...)
		want = append(want, map[string]string{
			"Start":             "2|1|0||||",
			"Logoff of 2001":    "1|2|0||||",
			"Request Identity":  "2|0|5|1|42|1|",
			"Response Identity": "1|0|19|2|42|1|0mn@example.co",
			"Success":           "3|0|4|3|43||",
			"Key":               "2|3|3||||",
		}[s.Name])
	}
	file := filepath.Join(t.TempDir(), "eapol.pcap")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "-n", "-r", file, "-Y", "eapol", "-T", "fields", "-E", "separator=|",
		"-e", "eapol.version", "-e", "eapol.type", "-e", "eapol.len", "-e", "eap.code", "-e", "eap.id", "-e", "eap.type", "-e", "eap.identity").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(out)); got != strings.Join(want, "\n") {
		t.Errorf("tshark reads\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	// The body of the key is no key, which tshark may say; of the others it says nothing.
	out, err = exec.Command(program, "-n", "-r", file, "-Y", "_ws.malformed && eapol.type != 3", "-T", "fields", "-e", "frame.number").Output()
	if err != nil || len(out) > 0 {
		t.Errorf("tshark finds fault with frames %s, %v", out, err)
	}
}
