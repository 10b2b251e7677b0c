package radius

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"s2clab/nodes/netns/netnstest"
)

// capture writes packets into a pcap file, each in a UDP datagram between a client
// and port 1812 of a server.
func capture(t *testing.T, packets ...[]byte) string {
	t.Helper()
	little, big := binary.LittleEndian, binary.BigEndian
	b := little.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = little.AppendUint32(b, 1<<16)
	b = little.AppendUint32(b, 101) // LINKTYPE_RAW
	ends := [2][]byte{{192, 0, 2, 1}, {192, 0, 2, 2}}
	ports := [2]uint16{49152, Port}
	for i, packet := range packets {
		from := 0
		if Code(packet[0]) != AccessRequest {
			from = 1
		}
		p := big.AppendUint16([]byte{0x45, 0}, uint16(28+len(packet)))
		p = append(p, 0, 0, 0, 0, 64, 17, 0, 0)
		p = append(append(p, ends[from]...), ends[1-from]...)
		p = big.AppendUint16(p, ports[from])
		p = big.AppendUint16(p, ports[1-from])
		p = big.AppendUint16(p, uint16(8+len(packet)))
		p = append(p, 0, 0) // no checksum
		p = append(p, packet...)
		b = little.AppendUint32(b, uint32(i))
		b = little.AppendUint32(b, 0)
		b = little.AppendUint32(b, uint32(len(p)))
		b = little.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	file := filepath.Join(t.TempDir(), "radius.pcap")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func tshark(t *testing.T, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("tshark")
	if err != nil {
		netnstest.Lacking(t, "tshark", err)
	}
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("tshark %q: %v", args, err)
	}
	return string(out)
}

func TestTsharkUnderstandsEveryPacket(t *testing.T) {
	for _, secret := range []string{ourSecret, rfcSecret} {
		var packets [][]byte
		for _, e := range exchanges {
			if e.secret == secret {
				packets = append(packets, sample(t, e.request), sample(t, e.response))
			}
		}
		file := capture(t, packets...)
		read := func(secret string, args ...string) string {
			return tshark(t, append([]string{"-n", "-r", file, "-o", "radius.shared_secret:" + secret, "-o", "radius.validate_authenticator:TRUE"}, args...)...)
		}
		text := read(secret, "-V", "-Y", "radius")
		for _, bad := range []string{"Malformed", "Unknown", "[incorrect", "Invalid Authenticator: True", "[Expert Info (Error"} {
			if strings.Contains(text, bad) {
				t.Errorf("under %s, tshark says %q\n%s", secret, bad, text)
			}
		}
		if got := strings.Count(text, "RADIUS Protocol"); got != len(packets) {
			t.Errorf("tshark sees %d packets, want %d", got, len(packets))
		}
		if got := strings.Count(text, "[Valid Authenticator: True]"); got != len(packets)/2 {
			t.Errorf("tshark finds %d Response Authenticators valid, want %d", got, len(packets)/2)
		}
		if faults := read("another", "-Y", "radius.authenticator.invalid"); len(strings.Split(strings.TrimSpace(faults), "\n")) != len(packets)/2 {
			t.Errorf("under another secret, tshark finds fault with\n%s", faults)
		}
		if secret == rfcSecret {
			if !strings.Contains(text, "arctangent") {
				t.Errorf("tshark does not uncover the password\n%s", text)
			}
			continue
		}
		var fields []string
		for _, f := range []string{"User_Name", "3GPP2_MIP6_Home_Agent_Address_From_BU", "3GPP2_MIP6_Care_of_Address", "3GPP2_MIP6_HOA_Received_From_BU",
			"3GPP2_MIP6_Mesg_ID", "3GPP2_MIP6_Authenticator", "3GPP2_MIP6_MAC_Mobility_Data", "WiMAX_hHA_IP_MIP6", "WiMAX_MN_hHA_MIP6_SPI"} {
			fields = append(fields, "-e", "radius."+f)
		}
		show := func(name string) string {
			return strings.TrimSpace(strings.Split(read(secret, append([]string{"-Y", "radius.id == " + fmt.Sprint(sample(t, name)[1]) + " && radius.code == 1", "-T", "fields", "-E", "separator=|"}, fields...)...), "\n")[0])
		}
		want := nai + "|2001:db8:100::1|2001:db8:200::99|2001:db8:100::10|cacc680080000000|70a0b95ba9d7b79b3ea32a303685a1fa2f5749c2|ffb4957e85aee318d8f0258c031fd18ae5dce807||"
		if got := show("binding-request"); got != want {
			t.Errorf("binding request\n%s\nwant\n%s", got, want)
		}
		if got, want := show("key-request"), nai+"|||||||2001:db8:100::1|4098"; got != want {
			t.Errorf("key request\n%s\nwant\n%s", got, want)
		}
	}
}

// TestTheDictionaryIsWiresharks compares every number, name and kind with those
// that Wireshark has read from the standards.
func TestTheDictionaryIsWiresharks(t *testing.T) {
	match := regexp.MustCompile(`(?m)^Global configuration:\s+(.+)$`).FindStringSubmatch(tshark(t, "-G", "folders"))
	if match == nil {
		t.Fatal("tshark does not tell its folders")
	}
	line := regexp.MustCompile(`^ATTRIBUTE\s+(\S+)\s+(\d+)\s+(\w+)(\s+encrypt=\d)?`)
	theirs := map[Type]string{}
	for file, vendor := range map[string]Vendor{"rfc2865": 0, "rfc2866": 0, "rfc2869": 0, "rfc3162": 0, "rfc3576": 0, "rfc4372": 0, "3gpp2": ThreeGPP2, "wimax": WiMAX, "microsoft": Microsoft} {
		b, err := os.ReadFile(filepath.Join(match[1], "radius", "dictionary."+file))
		if err != nil {
			netnstest.Lacking(t, "tshark", err)
		}
		inside := false // an attribute of attributes
		for l := range bytes.Lines(b) {
			switch {
			case bytes.HasPrefix(l, []byte("BEGIN-TLV")):
				inside = true
			case bytes.HasPrefix(l, []byte("END-TLV")):
				inside = false
			}
			if m := line.FindSubmatch(l); m != nil && !inside {
				var number uint8
				if _, err := fmt.Sscan(string(m[2]), &number); err == nil {
					theirs[TypeOf(vendor, number)] = string(m[1]) + " " + string(m[3]) + string(bytes.ReplaceAll(m[4], []byte("\t"), []byte(" ")))
				}
			}
		}
	}
	word := map[kind][]string{octets: {"octets"}, text: {"string"}, integer: {"integer"}, ipv4: {"ipaddr"}, ipv6: {"ipv6addr"}, eitherIP: {"combo-ip", "combo"},
		covered: {"octets encrypt=2", "string encrypt=2"}, coveredPassword: {"string encrypt=1"}, coveredByUs: {"octets"}}
	for t1, d := range dictionary {
		said := false
		for _, w := range word[d.kind] {
			said = said || theirs[t1] == d.name+" "+w
		}
		if !said {
			t.Errorf("number %d of vendor %d is %q here and %q there, want %q", t1.Number(), t1.Vendor(), d.name, theirs[t1], word[d.kind])
		}
	}
}
