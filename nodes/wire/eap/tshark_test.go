package eap_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/wire/wiretest"
)

func TestTsharkReadsTheSame(t *testing.T) {
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
	for i, s := range samples {
		frame := []byte{1, 0x80, 0xc2, 0, 0, 3, 2, 0, 0, 0, 0, 1, 0x88, 0x8e, 2, 0} // EAPOL: IEEE 802.1X
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(s.Octets)))
		frame = append(frame, s.Octets...)
		b = little.AppendUint32(b, uint32(i))
		b = little.AppendUint32(b, 0)
		b = little.AppendUint32(b, uint32(len(frame)))
		b = little.AppendUint32(b, uint32(len(frame)))
		b = append(b, frame...)
	}
	file := filepath.Join(t.TempDir(), "eap.pcap")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(program, append([]string{"-n", "-r", file}, args...)...).Output()
		if err != nil {
			t.Fatalf("tshark %q: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	if faults := run("-Y", "_ws.malformed || _ws.expert.severity == error"); faults != "" {
		t.Errorf("tshark finds fault with\n%s", faults)
	}
	lines := strings.Split(run("-Y", "eap", "-T", "fields", "-E", "separator=|", "-e", "eap.code", "-e", "eap.type", "-e", "eap.aka.subtype", "-e", "eap.aka.subtype.type"), "\n")
	if len(lines) != len(samples) {
		t.Fatalf("tshark sees %d packets, want %d", len(lines), len(samples))
	}
	for i, want := range map[string]string{
		"Success":                      "3|||",
		"Response of Identity":         "2|1||",
		"AKA-Identity request":         "1|23|5|13",
		"AKA-Identity response":        "2|50|5|14",
		"AKA'-Challenge request":       "1|50|1|1,2,24,23,134,11",
		"AKA'-Challenge response":      "2|50|1|3,134,11",
		"AKA-Challenge request":        "1|23|1|1,2,136,135,134,250,11",
		"AKA-Reauthentication request": "1|23|13|129,130,11",
		"AKA-Synchronization-Failure":  "2|50|4|4,24",
		"AKA-Client-Error":             "2|23|14|22",
	} {
		found := false
		for n, s := range samples {
			if s.Name == i {
				found = true
				if lines[n] != want {
					t.Errorf("%s: tshark says %q, want %q", s.Name, lines[n], want)
				}
			}
		}
		if !found {
			t.Errorf("no %q", i)
		}
	}
	if got := run("-Y", "eap.identity", "-T", "fields", "-e", "eap.identity"); !strings.Contains(got, "1244070100000001@eapsim.foo") || !strings.Contains(got, "6001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org") {
		t.Errorf("tshark sees the identities %q", got)
	}
}
