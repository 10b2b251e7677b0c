package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"s2clab/nodes/netns/netnstest"
	"s2clab/topologies"
)

// reading is how tshark is to take a capture: docs/capture.md says why. Each packet
// is seen at both ends of a link, which it would take for a retransmission that is
// not worth dissecting.
var reading = []string{"-n", "-d", "udp.port==4191,ip", "-d", "tcp.port==5001-5999,data", "-d", "udp.port==5001-5999,data",
	"-o", "tcp.analyze_sequence_numbers:FALSE"}

// tshark prints these fields of the packets of a capture that pass a filter, one
// packet a line, tabs between.
func tshark(t *testing.T, file, filter string, fields ...string) (lines []string) {
	t.Helper()
	args := append(slices.Clone(reading), "-r", file, "-Y", filter, "-T", "fields",
		"-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
	for _, f := range append([]string{"frame.number"}, fields...) {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		netnstest.Lacking(t, "tshark", err)
	}
	if err != nil {
		t.Fatalf("tshark %q: %v\n%s", filter, err, &errs)
	}
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

// none wants no packet to pass a filter.
func none(t *testing.T, file, filter string, fields ...string) {
	t.Helper()
	if lines := tshark(t, file, filter, fields...); len(lines) > 0 {
		t.Errorf("%d packets are %q, want none; the first: %s", len(lines), filter, lines[0])
	}
}

func TestTsharkReadsAllThatTheDefaultRunCaptured(t *testing.T) {
	t.Parallel()
	run := theDefault(t)
	file := filepath.Join(run.dir, "capture.pcapng")

	t.Run("no packet is malformed", func(t *testing.T) {
		none(t, file, "_ws.malformed")
		none(t, file, "_ws.short") // signalling and voice are kept whole
	})
	t.Run("checksums are good", func(t *testing.T) {
		for _, protocol := range []string{"tcp", "udp", "icmpv6"} {
			none(t, file, protocol+".checksum.status != 1")
			if len(tshark(t, file, protocol+".checksum.status == 1")) == 0 {
				t.Errorf("no %s checksum was looked at", protocol)
			}
		}
	})
	t.Run("every binding update is authenticated", func(t *testing.T) {
		none(t, file, "mip6.mhtype == 5 && !mip6.options.auth")
		none(t, file, "mip6.mhtype == 5 && !mip6.mnid.subtype")
		subtypes := map[string]int{}
		for _, line := range tshark(t, file, "mip6.mhtype == 5", "mip6.auth.subtype") {
			subtypes[strings.Split(line, "\t")[1]]++
		}
		// From the UE over one access link and the core, seen at both ends of both:
		// WLAN by MN-AAA, WiMAX by MN-HA; then home, over one link, by MN-HA.
		if subtypes["2"] != 4 || subtypes["1"] != 4+2 {
			t.Errorf("authentication options by subtype: %v, want 4 of MN-AAA (2) and 6 of MN-HA (1)", subtypes)
		}
	})
	t.Run("MIR and MIA decode to their last AVP", func(t *testing.T) {
		none(t, file, "diameter.avp.unknown")
		none(t, file, "diameter && _ws.expert.severity >= 6291456") // warnings and errors
		found := map[string]int{}
		for _, line := range tshark(t, file, "diameter.cmd.code == 325", "diameter.flags.request", "diameter.Session-Id", "diameter.User-Name",
			"diameter.MIP6-Auth-Mode", "diameter.Result-Code", "diameter.MIP-Session-Key") {
			f := strings.Split(line, "\t")
			switch {
			case f[1] == "1" && f[2] != "" && strings.Contains(f[3], "@") && f[4] != "":
				found["MIR"]++
			case f[1] == "0" && f[2] != "" && f[5] == "2001" && len(f[6]) == 32:
				found["MIA"]++
			default:
				t.Errorf("an MIR or MIA that lacks something: %q", f)
			}
		}
		if found["MIR"] == 0 || found["MIA"] == 0 {
			t.Errorf("got %v, want both", found)
		}
	})
	t.Run("an interface is an end of a link", func(t *testing.T) {
		topology, _, err := topologies.Load(filepath.Join(run.dir, "topology.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var want, lost []string
		for _, l := range topology.Links {
			for _, end := range l.Ends {
				want = append(want, l.Name+":"+end)
			}
			lost = append(lost, l.Name+":lost") // frames that arrived nowhere, with the reason
		}
		var got []string
		for _, line := range tshark(t, file, "frame", "frame.interface_name") {
			if name := strings.Split(line, "\t")[1]; !slices.Contains(got, name) && !slices.Contains(lost, name) {
				got = append(got, name)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("packets are on %q, want %q", got, want)
		}
	})
	t.Run("no packet was lost by capturing", func(t *testing.T) {
		var result struct {
			Capture struct{ Packets, Lost int }
		}
		run.result(t, &result)
		if n := len(tshark(t, file, "frame")); n != result.Capture.Packets || result.Capture.Lost != 0 {
			t.Errorf("the file has %d packets, the result says %+v", n, result.Capture)
		}
	})
	t.Run("times do not go back", func(t *testing.T) {
		last := 0.0
		for _, line := range tshark(t, file, "frame", "frame.time_relative") {
			at, err := strconv.ParseFloat(strings.Split(line, "\t")[1], 64)
			if err != nil || at < last {
				t.Fatalf("packet %s comes after %v s (%v)", line, last, err)
			}
			last = at
		}
	})
}

// The checker is in another language and shares no line with the program.
func TestEveryAuthenticatorOfTheDefaultRunIsRight(t *testing.T) {
	t.Parallel()
	run := theDefault(t)
	file, keys := filepath.Join(run.dir, "capture.pcapng"), filepath.Join(run.dir, "subscribers.yaml")
	said, status := checkAuthenticators(t, file, keys)
	if status != 0 {
		t.Fatalf("exit status %d:\n%s", status, said)
	}
	wantSaid(t, said,
		"binding-update: MN-AAA right in 1\n", "binding-update: MN-HA right in 2\n",
		"binding-acknowledgement: MN-HA right in 3\n", "mip6a-answer: session key right in 1\n")

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	header := mobilityHeader(t, whole)
	for _, c := range []struct {
		what string
		at   int // from the start of the Mobility Header
		says string
	}{
		{"the sequence number", 7, "MN-AAA"},
		{"the lifetime", 11, "MN-AAA"},
		{"the authenticator", 8 + 8*int(whole[header+1]) - 1, "MN-AAA"},
		{"the checksum", 4, "checksum"},
	} {
		flipped := bytes.Clone(whole)
		flipped[header+c.at] ^= 1
		bad := filepath.Join(t.TempDir(), "flipped.pcapng")
		if err := os.WriteFile(bad, flipped, 0o644); err != nil {
			t.Fatal(err)
		}
		if said, status := checkAuthenticators(t, bad, keys); status != 1 || !strings.Contains(said, "WRONG") || !strings.Contains(said, c.says) {
			t.Errorf("one bit of %s is another: exit status %d, want 1 and a word of %s:\n%s", c.what, status, c.says, said)
		}
	}

	text, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "subscribers.yaml")
	if err := os.WriteFile(bad, bytes.ReplaceAll(text, []byte("404142"), []byte("404143")), 0o644); err != nil {
		t.Fatal(err)
	}
	if said, status := checkAuthenticators(t, file, bad); status != 1 {
		t.Errorf("with another MN-AAA key: exit status %d, want 1:\n%s", status, said)
	}
}

// assignedOnTheWire holds that others read a run with assigned home addresses as
// it is meant: nothing is malformed, and the address that an acknowledgement tells
// is covered by its authenticator.
func assignedOnTheWire(t *testing.T, run played) {
	file, keys := filepath.Join(run.dir, "capture.pcapng"), filepath.Join(run.dir, "subscribers.yaml")
	none(t, file, "_ws.malformed")
	none(t, file, "icmpv6.checksum.status != 1")
	none(t, file, "mip6.mhtype == 5 && !mip6.options.auth")
	asked := tshark(t, file, "mip6.mhtype == 5 && ipv6.opt.mipv6.home_address == ::")
	if len(asked) != 4+2 { // over WLAN and the core, and over LTE, seen at both ends of each
		t.Errorf("%d binding updates with the unspecified home address, want 6", len(asked))
	}
	said, status := checkAuthenticators(t, file, keys)
	if status != 0 {
		t.Fatalf("exit status %d:\n%s", status, said)
	}
	wantSaid(t, said, "binding-update: MN-AAA right in 2\n", "binding-acknowledgement: MN-HA right in 5\n", "mip6a-answer: session key right in 2\n")

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// A mobility header follows, 24 octets, type 2, one segment left.
	header := bytes.Index(whole, []byte{135, 2, 2, 1, 0, 0, 0, 0})
	if header < 0 {
		t.Fatal("no type 2 routing header in the capture")
	}
	whole[header+8+15] ^= 1
	bad := filepath.Join(t.TempDir(), "flipped.pcapng")
	if err := os.WriteFile(bad, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if said, status := checkAuthenticators(t, bad, keys); status != 1 || !strings.Contains(said, "MN-HA, SPI") {
		t.Errorf("one bit of an assigned address is another: exit status %d, want 1 and a word of MN-HA:\n%s", status, said)
	}
}

func TestStaticKeysAreCheckedFromTheCaptureToo(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	const key = "000102030405060708090a0b0c0d0e0f"
	p := newPerson(t)
	p.write("static.yaml", `topology: static
nodes:
  mn:     {role: mn, home-agent: ha, subscriber: "001010000000009"}
  ha:     {role: ha, dad: none, aaa: aaa}
  aaa:    {role: aaa, subscribers: known.yaml}
  router: {role: router}
  cn:     {role: cn}
links:
  home:     {ends: [mn, ha], home: true, delay: 5ms}
  visited:  {ends: [mn, router], delay: 5ms}
  backbone: {ends: [ha, aaa, router, cn], delay: 10ms}
security: {integrity: auth-options, replay: sequence, bootstrap: static}
`)
	keys := p.write("known.yaml", `subscribers:
  - {subscriber: "001010000000009", mn-aaa-key: "404142434445464748494a4b4c4d4e4f", mn-ha-key: "`+key+`"}
`)
	run := p.play(p.write("short.yaml", strings.Replace(short, "one-home-agent", "static.yaml", 1)))
	run.held(t)
	said, status := checkAuthenticators(t, filepath.Join(run.dir, "capture.pcapng"), keys)
	if status != 0 || !strings.Contains(said, "binding-update: MN-HA right in 1\n") {
		t.Errorf("exit status %d:\n%s", status, said)
	}
}

func checkAuthenticators(t *testing.T, args ...string) (said string, status int) {
	t.Helper()
	if err := exec.Command("python3", "--version").Run(); err != nil {
		netnstest.Lacking(t, "python3", err)
	}
	cmd := exec.Command("../../scripts/check-authenticators", args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// mobilityHeader finds the first Binding Update in a pcapng file: no next header,
// its length, type 5, reserved.
func mobilityHeader(t *testing.T, file []byte) int {
	t.Helper()
	for at := 0; at+8 <= len(file); at++ {
		// The headers before it: destination options with a Home Address option, 24 octets.
		if file[at] == 59 && file[at+2] == 5 && file[at+3] == 0 && at >= 24 && file[at-24] == 135 && file[at-23] == 2 &&
			binary.BigEndian.Uint16(file[at-18:]) == 0xc910 {
			return at
		}
	}
	t.Fatal("no Binding Update with a Home Address option in the capture")
	return 0
}

// inUDPOnTheWire holds that others read a run with Binding Updates in UDP as it is
// meant, also beyond a NAT that has changed what is around them.
func inUDPOnTheWire(t *testing.T, run played) {
	file, keys := filepath.Join(run.dir, "capture.pcapng"), filepath.Join(run.dir, "subscribers.yaml")
	none(t, file, "ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0 || icmpv6.checksum.status == 0")
	none(t, file, "mip6.mhtype == 5 && !mip6.options.auth")
	none(t, file, "mip6.mhtype == 5 && udp.port == 4191 && (!mip6.options.ipv4coa || ipv6.opt.mipv6.home_address)")
	said, status := checkAuthenticators(t, file, keys)
	if status != 0 {
		t.Fatalf("exit status %d:\n%s", status, said)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// An IPv4 Care-of Address option: type, length, reserved, and an address of the
	// accesses there.
	at := -1
	for _, begin := range [][]byte{{32, 6, 0, 0, 192, 0, 2}, {32, 6, 0, 0, 192, 168, 1}} {
		if at < 0 {
			at = bytes.Index(whole, begin)
		}
	}
	if at < 0 {
		t.Fatal("no IPv4 Care-of Address option in the capture")
	}
	whole[at+7] ^= 1
	bad := filepath.Join(t.TempDir(), "flipped.pcapng")
	if err := os.WriteFile(bad, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if said, status := checkAuthenticators(t, bad, keys); status != 1 || !strings.Contains(said, "WRONG  binding-update") {
		t.Errorf("one bit of an IPv4 care-of address is another: exit status %d, want 1 and what is wrong:\n%s", status, said)
	}
}
