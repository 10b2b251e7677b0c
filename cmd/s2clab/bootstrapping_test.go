package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"s2clab/orchestrator/journal"
)

// authenticated is short: a mobile goes home, WLAN, WiMAX, home.
const authenticated = `scenario: authenticated
topology: eps-trusted
seed: 7
steps:
  - {at: 0s, attach: {node: ue, link: lte}}
  - {at: 200ms, traffic: {from: ue, to: cn, both-ways: true}}
  - {at: 500ms, move: {node: ue, to: wlan, gap: 20ms}}
  - {wait: {for: bound, node: ue, link: wlan}}
  - {after: 300ms, move: {node: ue, to: wimax, gap: 20ms}}
  - {wait: {for: bound, node: ue, link: wimax}}
  - {after: 300ms, move: {node: ue, to: lte, gap: 20ms}}
  - {wait: {for: returned-home, node: ue}}
  - {after: 300ms, stop: all}
expect:
  - {count: access-authenticated, node: ue, equals: 2}
`

// methods are all alternatives of TR 33.822 that need no IPsec, with what else than
// access authentication they show, by message and how often it was sent.
var methods = []struct {
	name     string
	settings []string
	sent     map[string]int
}{
	{"mip-options-static", []string{"security.key-source=static"}, map[string]int{"mip6a-request": 1, "ub-request": 0, "bootstrapping-info-request": 0}},
	{"mip-options-emsk", nil, map[string]int{"mip6a-request": 1, "ub-request": 0, "bootstrapping-info-request": 0}},
	{"mip-options-gba", []string{"security.key-source=gba"}, map[string]int{"mip6a-request": 1, "ub-request": 4, "ub-response": 4, "bootstrapping-info-request": 1}}, // Ub: over WLAN and the core
	{"mip-options-aka", []string{"security.key-source=aka"}, map[string]int{"mip6a-request": 2, "mip6a-answer": 2, "ub-request": 0}},
	{"gba-rfc3957", []string{"security.bootstrap=gba-rfc3957"}, map[string]int{"mip6a-request": 1, "ub-request": 4, "bootstrapping-info-request": 1}},
	{"gba", []string{"security.bootstrap=gba"}, map[string]int{"mip6a-request": 0, "ub-request": 4, "bootstrapping-info-request": 1}},
	{"partial-gba", []string{"security.bootstrap=partial-gba"}, map[string]int{"ub-request": 0}},
}

// commands are names of Diameter commands by their codes, as tshark prints them.
var commands = map[string]string{
	"257": "capabilities-exchange", "258": "re-auth", "265": "aa", "268": "diameter-eap", "274": "abort-session", "275": "session-termination", "280": "device-watchdog",
	"282": "disconnect-peer", "301": "server-assignment", "303": "multimedia-auth", "304": "registration-termination", "305": "push-profile", "310": "bootstrapping-info", "325": "mip6a",
}

func TestTsharkReadsAndCountsWhatEachMethodOfBootstrappingSends(t *testing.T) {
	for _, c := range methods {
		t.Run(c.name, func(t *testing.T) {
			needLabs(t)
			t.Parallel()
			turn(t)
			p := newPerson(t)
			words := []string{p.write("authenticated.yaml", authenticated), "--show-keys"}
			for _, s := range c.settings {
				words = append(words, "--set", s)
			}
			run := p.play(words...)
			run.held(t)
			isDescribed(t, filepath.Join(run.dir, "journal.jsonl"), described(t))
			file := filepath.Join(run.dir, "capture.pcapng")
			none(t, file, "_ws.malformed")
			none(t, file, "diameter.avp.unknown")
			none(t, file, "_ws.expert.severity >= 8388608")                                                            // errors
			none(t, file, "(diameter || eap || eapol || http || mip6.mhtype) && _ws.expert.severity >= 6291456")       // warnings
			none(t, file, "tcp.port == 3868 && tcp.len > 0 && !diameter")                                              // all of it
			none(t, file, "tcp.port == 80 && tcp.len > 0 && !http")                                                    //
			none(t, file, "eap.type == 23 && !eap.aka.subtype || eap.type == 50 && !eap.aka.subtype || eap.code == 5") // with their attributes

			events, err := journal.Read(filepath.Join(run.dir, "journal.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			keepsItsSecrets(t, file, events)
			told := toldPackets(events)
			if diff := cmp.Diff(seenByTshark(t, file), told); diff != "" {
				t.Errorf("messages that tshark counts are not those of the journal (-tshark +journal):\n%s", diff)
			}
			for name, n := range c.sent {
				if told[name] != n {
					t.Errorf("%d of %s, want %d", told[name], name, n)
				}
			}
		})
	}
}

// keepsItsSecrets holds that nothing of the packets of a journal is a key, even where
// nodes were asked to show theirs, or an answer to a challenge.
func keepsItsSecrets(t *testing.T, file string, events []journal.Event) {
	t.Helper()
	secrets := map[string]string{}
	for _, e := range events {
		if value, _ := e.Fields["value"].(string); e.Name == "key-made" {
			secrets[value] = e.Fields["key"].(string)
		}
	}
	if secrets[""] != "" || len(secrets) < 8 {
		t.Fatalf("%d keys shown, one without value: %q", len(secrets), secrets[""])
	}
	vectors := tshark(t, file, "diameter.cmd.code == 303 && diameter.flags.request == 0", "diameter.3GPP-SIP-Authenticate", "diameter.3GPP-SIP-Authorization")
	for _, line := range vectors {
		f := strings.Split(line, "\t")
		secrets[f[1][32:64]], secrets[f[2]] = "AUTN", "XRES"
	}
	if len(vectors) == 0 {
		t.Fatal("no vectors in the capture")
	}
	for _, e := range events {
		if e.Name != "packet" {
			continue
		}
		fields, err := json.Marshal(e.Fields)
		if err != nil {
			t.Fatal(err)
		}
		for secret, name := range secrets {
			if raw, err := hex.DecodeString(secret); err != nil || strings.Contains(string(fields), secret) || strings.Contains(string(fields), base64.StdEncoding.EncodeToString(raw)) {
				t.Errorf("%s of %v tells the %s, or its value is not in hexadecimal digits (%v)", e.Fields["message"], e.Node, name, err)
			}
		}
	}
}

// toldPackets counts the packets of a journal by message, of those that tshark can count.
func toldPackets(events []journal.Event) map[string]int {
	told := map[string]int{}
	countable := slices.Collect(maps.Values(commands))
	for _, e := range events {
		name, _ := e.Fields["message"].(string)
		root := strings.TrimSuffix(strings.TrimSuffix(name, "-request"), "-answer")
		if e.Name == "packet" && (slices.Contains(countable, root) || strings.HasPrefix(name, "eap") || strings.HasPrefix(name, "ub-") ||
			name == "binding-update" || name == "binding-acknowledgement") {
			told[name]++
		}
	}
	return told
}

// seenByTshark counts what entered links. What was lost for want of a carrier is there
// once more, on an interface of its own.
func seenByTshark(t *testing.T, file string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	lines := tshark(t, file, "frame.packet_flags_direction == 2 && !(frame.interface_name contains \":lost\") && (eapol || diameter || http || mip6.mhtype)",
		"eapol.type", "eap.code", "diameter.cmd.code", "diameter.flags.request", "http.request.method", "http.response.code", "mip6.mhtype")
	for _, line := range lines {
		f := strings.Split(line, "\t")[1:]
		switch {
		case f[2] != "":
			requests := strings.Split(f[3], ",")
			for i, code := range strings.Split(f[2], ",") {
				suffix := "-answer"
				if requests[i] == "1" {
					suffix = "-request"
				}
				seen[commands[code]+suffix]++
			}
		case f[0] == "0":
			seen["eap-"+map[string]string{"1": "request", "2": "response", "3": "success", "4": "failure"}[f[1]]]++
		case f[0] == "1":
			seen["eapol-start"]++
		case f[0] == "2":
			seen["eapol-logoff"]++
		case f[4] != "":
			seen["ub-request"]++
		case f[5] != "":
			seen["ub-response"]++
		case f[6] == "5":
			seen["binding-update"]++
		case f[6] == "6":
			seen["binding-acknowledgement"]++
		}
	}
	return seen
}
