package diameter_test

import (
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"s2clab/nodes/netns/netnstest"
)

// capture writes messages into a pcap file, each as a TCP segment between a home
// agent and port 3868 of an AAA server.
func capture(t *testing.T, messages ...[]byte) string {
	t.Helper()
	little := binary.LittleEndian
	b := little.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = little.AppendUint32(b, 1<<16)
	b = little.AppendUint32(b, 101) // LINKTYPE_RAW
	ends := [2]netip.Addr{netip.MustParseAddr("2001:db8:100::1"), netip.MustParseAddr("2001:db8:300::2")}
	ports := [2]uint16{49152, 3868}
	seq := [2]uint32{1, 1}
	for i, m := range messages {
		from := 0 // requests go to the server
		if m[4]&0x80 == 0 {
			from = 1
		}
		p := []byte{0x60, 0, 0, 0}
		p = binary.BigEndian.AppendUint16(p, uint16(20+len(m)))
		p = append(p, 6, 64)
		p = append(append(p, ends[from].AsSlice()...), ends[1-from].AsSlice()...)
		p = binary.BigEndian.AppendUint16(p, ports[from])
		p = binary.BigEndian.AppendUint16(p, ports[1-from])
		p = binary.BigEndian.AppendUint32(p, seq[from])
		p = binary.BigEndian.AppendUint32(p, seq[1-from])
		p = append(p, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0) // PSH and ACK; the checksum is not looked at
		p = append(p, m...)
		seq[from] += uint32(len(m))
		b = little.AppendUint32(b, uint32(i))
		b = little.AppendUint32(b, 0)
		b = little.AppendUint32(b, uint32(len(p)))
		b = little.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	file := filepath.Join(t.TempDir(), "diameter.pcap")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTsharkDecodesEveryAVP(t *testing.T) {
	program, err := exec.LookPath("tshark")
	if err != nil {
		netnstest.Lacking(t, "tshark", err)
	}
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var messages [][]byte
	for _, file := range files {
		messages = append(messages, golden(t, strings.TrimSuffix(filepath.Base(file), ".hex")))
	}
	messages = append(messages, golden(t, "mip6a-request"), golden(t, "mip6a-answer"))
	file := capture(t, messages...)
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(program, append([]string{"-n", "-r", file}, args...)...).Output()
		if err != nil {
			t.Fatalf("tshark %q: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	if got := len(strings.Split(run("-Y", "diameter", "-T", "fields", "-e", "frame.number"), "\n")); got != len(messages) {
		t.Errorf("tshark sees %d messages, want %d", got, len(messages))
	}
	if faults := run("-Y", "_ws.malformed || diameter.avp.code.unknown || diameter.applicationId.unknown || diameter.avp.invalid-len"); faults != "" {
		t.Errorf("tshark finds fault with\n%s", faults)
	}
	for line := range strings.Lines(run("-V", "-Y", "diameter")) {
		// 001 is the code of test networks, and of no country.
		if strings.Contains(line, "Mobile Country Code") || strings.Contains(line, "Mobile Network Code") {
			continue
		}
		// AuthAKA is a mode of ours alone.
		if strings.Contains(line, "MIP6-Auth-Mode") && strings.Contains(line, "Unknown (-65535)") {
			continue
		}
		// It knows names of the bits alone, and not of some at a time.
		if strings.Contains(line, "MIP-Feature-Vector") && strings.Contains(line, "Unknown (273)") {
			continue
		}
		if strings.Contains(line, "Malformed") || strings.Contains(line, "Unknown") {
			t.Errorf("tshark says %s", strings.TrimSpace(line))
		}
	}
	var fields []string
	for _, f := range []string{
		"cmd.code", "User-Name", "MIP-Mobile-Node-Address.IPv6", "MIP-Home-Agent-Address.IPv6", "MIP-Careof-Address.IPv6", "MIP-MN-AAA-SPI",
		"MIP-Authenticator", "MIP-MAC-Mobility-Data", "MIP-Timestamp", "MIP6-Auth-Mode", "Result-Code", "MIP-Session-Key", "MIP-MSA-Lifetime",
		"MIP-MN-HA-SPI", "MIP-Algorithm-Type", "MIP-Replay-Mode", "Service-Selection", "Auth-Session-State",
	} {
		fields = append(fields, "-e", "diameter."+f)
	}
	const nai = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	show := func(command string) string {
		lines := strings.Split(run(append([]string{"-Y", command, "-T", "fields", "-E", "separator=|"}, fields...)...), "\n")
		return lines[len(lines)-1]
	}
	want := "325|" + nai + "|2001:db8:100::10|2001:db8:100::1|2001:db8:200::99|3|70a0b95ba9d7b79b3ea32a303685a1fa2f5749c2|ffb4957e85aee318d8f0258c031fd18ae5dce807|cacc680080000000|1|||||||internet|1"
	if got := show("diameter.cmd.code == 325 && diameter.flags.request == 1"); got != want {
		t.Errorf("request\n%s\nwant\n%s", got, want)
	}
	want = "325|" + nai + "|2001:db8:100::10||||||cacc680080000000||2001|eccf27d643b747f26256f01328d8a6a3|3600|256|2|2|internet|1"
	if got := show("diameter.cmd.code == 325 && diameter.flags.request == 0 && diameter.Result-Code == 2001"); got != want {
		t.Errorf("answer\n%s\nwant\n%s", got, want)
	}

	// What tshark shows of each message of the 3GPP, in one look: the fields of the
	// message in that file, in the order of want.
	shown := map[string][]string{ // by file: field, value, field, value ...
		"multimedia-auth-answer": {
			"3GPP-SIP-Item-Number", "1,2", "3GPP-SIP-Authentication-Scheme", "EAP-AKA',EAP-AKA'", "3GPP-SIP-Authorization", "a54211d5e3ba50bf,a54211d5e3ba50bf",
			"Confidentiality-Key", "b40ba9a3c58b2a05bbf0d987b21bf8cb,b40ba9a3c58b2a05bbf0d987b21bf8cb", "Auth-Application-Id", "16777265",
		},
		"server-assignment-request": {
			"Server-Assignment-Type", "13", "Service-Selection", "internet", "MIP-Home-Agent-Address.IPv6", "2001:db8:100::1", "Context-Identifier", "1",
		},
		"server-assignment-answer-unknown": {"Experimental-Result-Code", "5001"},
		"server-assignment-answer": {
			"Non-3GPP-IP-Access", "0", "RAT-Type", "0,1", "PDN-Type", "2", "Served-Party-IP-Address.IPv6", "2001:db8:100::10", "Max-Requested-Bandwidth-UL", "50000000,50000000",
		},
		"diameter-eap-answer-success": {
			"EAP-Payload", "03080004", "Session-Timeout", "86400", "AN-Trusted", "0", "Mobile-Node-Identifier", nai, "applicationId", "16777250",
		},
		"diameter-eap-answer-refused": {"Experimental-Result-Code", "5450", "EAP-Payload", "04080004"},
		"aa-mobile-node-request": {
			"cmd.code", "260", "applicationId", "2", "MIP-MN-AAA-SPI", "256", "MIP-Auth-Input-Data-Length", "95", "MIP-Authenticator-Length", "16",
			"MIP-Authenticator-Offset", "95", "MIP-Feature-Vector", "273", "MIP-Home-Agent-Address.IPv4", "192.0.2.1",
		},
		"aa-mobile-node-answer": {
			"MIP-Mobile-Node-Address.IPv4", "192.0.2.10", "MIP-MN-HA-SPI", "131074", "MIP-Nonce", "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
			"MIP-Session-Key", "b311dd07203288883d1eb79939311c26039e7655", "MIP-MSA-Lifetime", "3600", "MIP-Algorithm-Type", "2,2",
		},
		"aa-request": {"MIP-Home-Agent-Address.IPv6", "2001:db8:100::1", "Auth-Request-Type", "2"},
		"bootstrapping-info-answer": {
			"ME-Key-Material", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "Key-ExpiryTime", "Feb  7, 2036 06:28:16.000000000 UTC",
			"BootstrapInfoCreationTime", "Oct 26, 2007 13:20:00.000000000 UTC", "GBA-Type", "1",
		},
		"mip6a-answer-challenge":           {"3GPP-SIP-Authenticate", "23553cbe9637a89d218ae64dae47bf3555f328b43577b9b94a9ffac354dfafb3", "Result-Code", "1001"},
		"mip6a-answer-nonce":               {"MIP-Nonce", "000102030405060708090a0b0c0d0e0f", "MIP-MN-HA-SPI", "256"},
		"registration-termination-request": {"Reason-Code", "0", "Reason-Info", "the subscription has ended"},
	}
	args := []string{"-T", "fields", "-E", "separator=|"}
	column := map[string]int{}
	for _, want := range shown {
		for i := 0; i < len(want); i += 2 {
			if _, asked := column[want[i]]; !asked {
				column[want[i]] = len(column)
				args = append(args, "-e", "diameter."+want[i])
			}
		}
	}
	lines := strings.Split(run(args...), "\n")
	for i, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hex")
		values := strings.Split(lines[i], "|")
		want := shown[name]
		for i := 0; i < len(want); i += 2 {
			if got := values[column[want[i]]]; got != want[i+1] {
				t.Errorf("%s: %s is %s, want %s", name, want[i], got, want[i+1])
			}
		}
		delete(shown, name)
	}
	if len(shown) > 0 {
		t.Errorf("there are no messages for %v", shown)
	}
}
