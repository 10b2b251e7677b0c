package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"s2clab/orchestrator/report"
	"s2clab/topologies"
)

// A secret is a key, and where it is from.
type secret struct {
	what  string
	value []byte
}

// spellings are how a key could be written down.
func (s *secret) spellings() []string {
	all := []string{hex.EncodeToString(s.value), strings.ToUpper(hex.EncodeToString(s.value)), string(s.value)}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		text := e.EncodeToString(s.value)
		all = append(all, text[:len(text)-1]) // the last character may have bits of what follows
	}
	for _, form := range []string{"% x", "%d"} { // as fmt writes octets
		all = append(all, strings.Trim(fmt.Sprintf(form, s.value), "[]"))
	}
	return append(all, strings.ReplaceAll(fmt.Sprintf("% x", s.value), " ", ":"))
}

// carried are AVPs that carry keys, as their headers begin: RFC 6733, section 4.1.
var carried = []struct {
	what   string
	header []byte
	octets int
}{
	{"MN-HA key of the AAA server", []byte{0, 0, 1, 0x57, 0x40, 0, 0, 24}, 16}, // MIP-Session-Key
	{"MSK", []byte{0, 0, 1, 0xd0, 0x40, 0, 0, 72}, 64},                         // EAP-Master-Session-Key
	{"CK", []byte{0, 0, 2, 0x71, 0xc0, 0, 0, 28, 0, 0, 0x28, 0xaf}, 16},        // Confidentiality-Key
	{"IK", []byte{0, 0, 2, 0x72, 0xc0, 0, 0, 28, 0, 0, 0x28, 0xaf}, 16},        // Integrity-Key
	{"XRES", []byte{0, 0, 2, 0x62, 0xc0, 0, 0, 20, 0, 0, 0x28, 0xaf}, 8},       // SIP-Authorization
	{"Ks_NAF", []byte{0, 0, 1, 0x95, 0xc0, 0, 0, 44, 0, 0, 0x28, 0xaf}, 32},    // ME-Key-Material
}

// secretsOf are the keys that a topology holds, and those that a run's AAA server
// has handed out, which its capture has.
func secretsOf(t *testing.T, dir string) (all []secret) {
	t.Helper()
	topology, _, err := topologies.Load(filepath.Join(dir, "topology.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	add := func(what string, value []byte) {
		if len(value) > 0 && !slices.ContainsFunc(all, func(s secret) bool { return bytes.Equal(s.value, value) }) {
			all = append(all, secret{what, value})
		}
	}
	for _, n := range topology.Nodes {
		if m := n.MobileNode; m != nil {
			add("MN-AAA key of "+n.Name, m.MNAAAKey)
			add("MN-HA key of "+n.Name, m.MNHAKey)
			if u := m.USIM; u != nil {
				add("K of "+n.Name, u.K)
				add("OPc of "+n.Name, u.OPc)
			}
		}
		if h := n.HomeAgent; h != nil {
			add("replication key of "+n.Name, h.ReplicationKey)
			add("RADIUS secret of "+n.Name, h.RADIUSSecret)
			for _, a := range h.Associations {
				add("MN-HA key of "+a.NAI, a.Key)
			}
		}
		if n.AAA != nil {
			for _, c := range n.AAA.Clients {
				add("RADIUS secret for "+c.Node, c.Secret)
			}
			for _, s := range n.AAA.Subscribers {
				add("MN-AAA key of "+s.NAI, s.MNAAAKey)
				add("MN-HA key of "+s.NAI, s.MNHAKey)
			}
		}
		if n.HSS != nil {
			for _, s := range n.HSS.Subscriptions {
				add("K of "+s.IMSI, s.K)
				add("OPc of "+s.IMSI, s.OPc)
				add("OP of "+s.IMSI, s.OP)
			}
		}
	}
	packets, err := os.ReadFile(filepath.Join(dir, "capture.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range carried {
		for rest := packets; ; {
			at := bytes.Index(rest, c.header)
			end := at + len(c.header) + c.octets
			if at < 0 || end > len(rest) {
				break
			}
			add(c.what, rest[end-c.octets:end])
			rest = rest[end:]
		}
	}
	return all
}

// tells lists where a run's files, or what was said of it, spell a key.
func (run *played) tells(t *testing.T, secrets []secret) (all []string) {
	t.Helper()
	files, err := os.ReadDir(run.dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"the terminal": run.said}
	for _, f := range files {
		if name := f.Name(); name == "capture.pcapng" || name == "topology.yaml" || name == "subscribers.yaml" || name == "scenario.yaml" {
			continue // packets, and copies of what went in
		}
		text, err := os.ReadFile(filepath.Join(run.dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts[f.Name()] = string(text)
	}
	for _, name := range []string{"journal.jsonl", "report.html", "result.json", "junit.xml"} {
		if texts[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	for name, text := range texts {
		for _, s := range secrets {
			for _, spelling := range s.spellings() {
				if strings.Contains(text, spelling) {
					all = append(all, name+" tells the "+s.what)
					break
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// bootstrapping is a short run in which keys are derived.
func bootstrapping(p *person) (file string) {
	p.write("lab.yaml", `topology: bootstrapping
nodes:
  mn:     {role: mn, home-agent: ha, subscriber: "001010000000009"}
  ha:     {role: ha, dad: none, aaa: aaa}
  aaa:    {role: aaa, subscribers: subscribers.yaml}
  router: {role: router}
  cn:     {role: cn}
links:
  home:     {ends: [mn, ha], home: true, delay: 5ms}
  visited:  {ends: [mn, router], delay: 5ms}
  backbone: {ends: [ha, aaa, router, cn], delay: 10ms}
security: {integrity: auth-options, replay: timestamp, bootstrap: mip-options}
`)
	p.write("subscribers.yaml", `subscribers:
  - {subscriber: "001010000000009", mn-aaa-key: "7f4a91c3d2e8b605f91ac3784be02d5e"}
`)
	return p.write("short.yaml", strings.Replace(short, "one-home-agent", "lab.yaml", 1))
}

func TestNoFileOfARunHasAKeyUnlessKeysAreToBeShown(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	file := bootstrapping(p)
	run := p.play(file)
	run.held(t)
	secrets := secretsOf(t, run.dir)
	if len(secrets) < 2 || secrets[len(secrets)-1].what != "MN-HA key of the AAA server" {
		t.Fatalf("%d keys were found, want one that was put in and one that was derived", len(secrets))
	}
	if told := run.tells(t, secrets); len(told) > 0 {
		t.Errorf("without --show-keys:\n%s", strings.Join(told, "\n"))
	}
	tree := p.must("keys", run.dir)
	wantSaid(t, tree, "MN-AAA key", "provisioned", "   └─ MN-HA key", "mn, ha, aaa", "HMAC-SHA1(MN-AAA key", "ha has it from ")
	run.said += tree + p.must("keys", "--json", run.dir)
	if told := run.tells(t, secrets); len(told) > 0 {
		t.Errorf("s2clab keys:\n%s", strings.Join(told, "\n"))
	}
	if _, errs, status := p.run("keys", "--nai", "nobody", run.dir); status != 2 || !strings.Contains(errs, "hint: subscribers: ") {
		t.Errorf("a subscriber who is not there: exit status %d\n%s", status, errs)
	}

	// Where keys are asked for, they are there, and the search above finds them.
	shown := p.play(file, "--show-keys")
	shown.held(t)
	secrets = secretsOf(t, shown.dir)
	shown.said = p.must("keys", shown.dir)
	told := strings.Join(shown.tells(t, secrets), "\n")
	for _, where := range []string{"journal.jsonl", "report.html", "result.json", "the terminal"} {
		for _, what := range []string{"MN-AAA key of mn", "MN-HA key of the AAA server"} {
			if !strings.Contains(told, where+" tells the "+what) {
				t.Errorf("with --show-keys %s lacks the %s; told:\n%s", where, what, told)
			}
		}
	}
	var keys []report.ResultKey
	if err := json.Unmarshal([]byte(p.must("keys", shown.dir, "--json")), &keys); err != nil || len(keys) != 2 || keys[1].Value == "" || len(keys[1].Holders) != 3 {
		t.Errorf("%v, %+v", err, keys)
	}

	// Played again from its folder, it does not show them.
	again := p.play(shown.dir)
	if told := again.tells(t, secretsOf(t, again.dir)); len(told) > 0 {
		t.Errorf("again, without --show-keys:\n%s", strings.Join(told, "\n"))
	}

	open := p.play(file, "--set", "security.integrity=none")
	out, errs, status := p.run("keys", open.dir)
	if status != 0 || out != "" || !strings.Contains(errs, "no node of this run told of a key: nothing is authenticated with security.integrity none") {
		t.Errorf("of a run without keys: exit status %d\n%s%s", status, out, errs)
	}
}

// attaching is a short run in which a card authenticates its mobile node.
const attaching = `scenario: attaching
topology: eps-trusted
steps:
  - {at: 0s, attach: {node: ue, link: lte}}
  - {at: 1s, move: {node: ue, to: wlan, gap: 50ms}}
  - {at: 3s, stop: all}
expect:
  - {saw: bound, node: ue, link: wlan}
`

func TestNoFileOfARunHasWhatACardOrAServerHasMade(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	file := p.write("attaching.yaml", attaching)
	for method, want := range map[string][]string{
		"mip-options": {"K of ue", "OPc of ue", "MSK", "CK", "IK", "XRES", "MN-HA key of the AAA server"},
		"gba":         {"K of ue", "OPc of ue", "MSK", "CK", "IK", "XRES", "Ks_NAF"},
	} {
		run := p.play(file, "--set", "security.bootstrap="+method)
		run.held(t)
		secrets := secretsOf(t, run.dir)
		for _, what := range want {
			if !slices.ContainsFunc(secrets, func(s secret) bool { return s.what == what }) {
				t.Errorf("%s: there is no %s to look for", method, what)
			}
		}
		run.said += p.must("keys", run.dir)
		if told := run.tells(t, secrets); len(told) > 0 {
			t.Errorf("%s:\n%s", method, strings.Join(told, "\n"))
		}
	}
}
