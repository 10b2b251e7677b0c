package mip4

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"s2clab/nodes/netns/netnstest"
)

// capture writes messages into a pcap file, each in a UDP datagram to or from port 434.
func capture(t *testing.T, messages ...Message) string {
	t.Helper()
	little, big := binary.LittleEndian, binary.BigEndian
	b := little.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = little.AppendUint32(b, 1<<16)
	b = little.AppendUint32(b, 101) // LINKTYPE_RAW
	ends := [2][]byte{careOf.AsSlice(), agent.AsSlice()}
	ports := [2]uint16{49152, Port}
	for i, m := range messages {
		data, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		from := 0
		if m.Type() == TypeReply {
			from = 1
		}
		p := big.AppendUint16([]byte{0x45, 0}, uint16(28+len(data)))
		p = append(p, 0, 0, 0, 0, 64, 17, 0, 0)
		p = append(append(p, ends[from]...), ends[1-from]...)
		p = big.AppendUint16(p, ports[from])
		p = big.AppendUint16(p, ports[1-from])
		p = big.AppendUint16(p, uint16(8+len(data)))
		p = append(p, 0, 0) // no checksum
		p = append(p, data...)
		b = little.AppendUint32(b, uint32(i))
		b = little.AppendUint32(b, 0)
		b = little.AppendUint32(b, uint32(len(p)))
		b = little.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	file := filepath.Join(t.TempDir(), "mip4.pcap")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// tshark 4.0 does not know extensions 40 to 43, and reads 16 bits of length as 8: they
// are left out.
func TestTsharkReadsTheSame(t *testing.T) {
	program, err := exec.LookPath("tshark")
	if err != nil {
		netnstest.Lacking(t, "tshark", err)
	}
	request, reply := *golden["First request"].(*RegistrationRequest), *golden["Reply with a nonce"].(*RegistrationReply)
	request.Extensions = []Extension{request.Extensions[0], request.Extensions[2]}
	reply.Extensions = []Extension{reply.Extensions[0], reply.Extensions[2]}
	every := *golden["Every other extension"].(*RegistrationRequest)
	every.Extensions = every.Extensions[2:]
	file := capture(t, &request, &reply, golden["Deregistration"], golden["Mismatch"], &every)
	run := func(args ...string) string {
		t.Helper()
		command := exec.Command(program, append([]string{"-n", "-r", file}, args...)...)
		command.Env = append(os.Environ(), "TZ=UTC")
		out, err := command.Output()
		if err != nil {
			t.Fatalf("tshark %q: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	if bad := run("-Y", "_ws.malformed || _ws.expert.severity == error || !mip"); bad != "" {
		t.Errorf("tshark finds fault with\n%s", bad)
	}
	fields := []string{"-T", "fields", "-E", "separator=|"}
	for _, f := range strings.Fields("type code life homeaddr haaddr coa ext.type ext.auth.subtype auth.spi nai d t s") {
		fields = append(fields, "-e", "mip."+f)
	}
	want := strings.Join([]string{
		"1||1800|0.0.0.0|192.0.2.1|198.51.100.99|131,36|1|0x00000100|" + nai + "|1|1|0",
		"3|1|600|192.0.2.10|192.0.2.1||131,32||0x00010001|" + nai + "|||",
		"1||0|192.0.2.10|192.0.2.1|192.0.2.10|32||0x00000100||1|1|0",
		"3|133|0|192.0.2.10|192.0.2.1||32||0x00000100||||",
		"1||65535|192.0.2.10|192.0.2.1|198.51.100.99|132,33,34||0x00000101,0x00000102||1|1|1",
	}, "\n")
	if got := run(fields...); got != want {
		t.Errorf("tshark reads\n%s\nwant\n%s", got, want)
	}
	if got := run("-Y", "frame.number == 1", "-T", "fields", "-e", "mip.ident"); !strings.HasPrefix(got, "Oct 26, 2007 13:20:00.5") {
		t.Errorf("tshark reads the identification as %s", got)
	}
}
