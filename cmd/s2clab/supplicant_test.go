package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"s2clab/nodes/host"
	"s2clab/nodes/keys"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/session/usim/usimtest"
)

// operatorOPc is that of every subscriber of testdata/handsets.yaml.
var operatorOPc = [16]byte([]byte("operator's value"))

// newCard is a USIM whose highest sequence number is that.
func newCard(t *testing.T, k string, sqn keys.SQN) *usim.Card {
	t.Helper()
	card, err := usim.New(keys.NewMilenage([16]byte([]byte(k)), operatorOPc), usim.Profile2())
	if err != nil {
		t.Fatal(err)
	}
	accepted := card.Accepted()
	for i := range accepted {
		accepted[i] = uint64(sqn) >> usim.Profile2().INDBits
	}
	if err := card.Restore(accepted); err != nil {
		t.Fatal(err)
	}
	return card
}

// A handset is a host on an access, where wpa_supplicant asks to be let on.
type handset struct {
	p                         *person
	lab, node, link, router   string
	wpa, ours, leading, imsi  string // the method by its names, the first digit of its identities, the subscriber
	key                       string
	supplicant                *usimtest.Supplicant
	process                   *started
	admissions, authenticated int
}

func (h *handset) nai(leading string) string { return leading + h.imsi + "@" + naiRealm }

// start starts wpa_supplicant with a card.
func (h *handset) start(card usimtest.Card) {
	t := h.p.t
	t.Helper()
	dir, err := os.MkdirTemp("", "wpa") // short enough for the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	conf, log := filepath.Join(dir, "conf"), filepath.Join(dir, "log")
	if err := os.WriteFile(conf, []byte(usimtest.Configuration(h.wpa, h.nai(h.leading), dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	h.process = h.p.start("exec", "--lab", h.lab, h.node, "--", "wpa_supplicant", "-t", "-d", "-f", log, "-D", "wired", "-i", h.link, "-c", conf)
	process := h.process
	t.Cleanup(func() {
		process.Process.Kill() // where it has not ended; what it has started ends with it
		process.ended()
		if text, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("wpa_supplicant said\n%s", text)
		}
		os.RemoveAll(dir)
	})
	socket := filepath.Join(dir, h.link)
	h.p.await("wpa_supplicant has its control interface", func() bool { _, err := os.Stat(socket); return err == nil })
	h.supplicant = usimtest.Attach(t, socket, card)
}

// stop has wpa_supplicant end.
func (h *handset) stop() {
	h.p.t.Helper()
	h.supplicant.Command("TERMINATE")
	h.supplicant.Wait("CTRL-EVENT-TERMINATING")
	if said, status := h.process.ended(); status != 0 {
		h.p.t.Errorf("wpa_supplicant: exit status %d\n%s", status, said)
	}
}

// wantLink wants the link to carry what the handset sends, or not to.
func (h *handset) wantLink(open bool) {
	h.p.t.Helper()
	within := "1" // s; a ping that is answered ends at once
	if open {
		within = "20"
	}
	_, _, status := h.p.run("exec", "--lab", h.lab, h.node, "--", "ping", "-6", "-n", "-c", "1", "-w", within, h.router)
	if (status == 0) != open {
		h.p.t.Errorf("ping %s from %s: exit status %d, want an open link: %v", h.router, h.node, status, open)
	}
}

// wantAdmitted wants an authentication to end well. Asked is what wpa_supplicant said
// until then; the card is to have answered so.
func (h *handset) wantAdmitted(identity string, fast bool, answers ...string) {
	t := h.p.t
	t.Helper()
	asked := h.supplicant.Wait("CTRL-EVENT-EAP-SUCCESS")
	asked = slices.DeleteFunc(asked, func(s string) bool { return !slices.Contains([]string{"UMTS-AUTH", "UMTS-AUTS", "UMTS-FAIL"}, s) })
	if !slices.Equal(asked, answers) {
		t.Errorf("the card said %q, want %q", asked, answers)
	}
	h.admissions++
	h.p.awaitEvent(h.lab, h.admissions, h.router, "station-admitted", map[string]any{"link": h.link, "nai": h.nai("0"), "method": h.ours, "again": false})
	all := h.p.happened(h.lab, "aaa", "eap-authenticated", map[string]any{"nai": h.nai("0")})
	if len(all) != h.admissions {
		t.Fatalf("the AAA server authenticated %v, want %d times", all, h.admissions)
	}
	if last := all[len(all)-1].Fields; last["identity"] != identity || last["fast"] != fast || last["method"] != h.ours {
		t.Errorf("the AAA server tells %v, want identity %s, fast %v", last, identity, fast)
	}
	h.wantLink(true)
}

// leaves has it take leave of the link.
func (h *handset) leaves() {
	h.p.t.Helper()
	h.supplicant.Command("LOGOFF")
	h.p.awaitEvent(h.lab, h.admissions, h.router, "station-barred", map[string]any{"reason": "logoff"})
	h.p.awaitEvent(h.lab, h.admissions, "aaa", "session-closed", map[string]any{"reason": "terminated", "nai": h.nai("0")})
	h.wantLink(false)
}

// wpa_supplicant, which is not ours, is let onto an access by our router, our AAA
// server and our HSS together: with its permanent identity and a card that is ahead of
// the HSS, with a re-authentication identity, with a pseudonym; and it is kept off
// where its card has another key.
func TestWPASupplicantIsLetOnByRouterAAAServerAndHSS(t *testing.T) {
	needLabs(t)
	for _, program := range []string{"wpa_supplicant", "ping"} {
		if _, err := exec.LookPath(program); err != nil {
			netnstest.Lacking(t, program, err)
		}
	}
	netnstest.In(t, netnstest.New(t), func() error {
		outwards, err := host.ProbeControlledPort()
		if err == nil && !outwards {
			err = errors.New("nftables has no egress hook")
		}
		if err != nil {
			netnstest.Lacking(t, "netdev", err)
		}
		return nil
	})
	t.Parallel()
	turn(t)
	p := newPerson(t)
	topology, err := filepath.Abs("testdata/handsets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lab := p.lab("handsets")
	p.must("up", "--name", lab, topology)
	t.Cleanup(func() { p.must("down", lab) })
	for _, h := range []*handset{
		{node: "phone", link: "wlan", router: "wlan-gw", wpa: "AKA'", ours: "eap-aka-prime", leading: "6", imsi: "001010000000002", key: "subscriber's pho"},
		{node: "tablet", link: "wimax", router: "wimax-gw", wpa: "AKA", ours: "eap-aka", leading: "0", imsi: "001010000000003", key: "subscriber's tao"},
	} {
		t.Run(h.ours, func(t *testing.T) {
			t.Parallel()
			h.p, h.lab = p.with(t), lab
			h.p.awaitEvent(lab, 1, h.router, "peer-up", nil)
			h.p.awaitEvent(lab, 1, "aaa", "peer-up", map[string]any{"peer": "hss." + homeRealm})
			h.wantLink(false)

			h.start(newCard(t, h.key, 1000<<5))
			h.supplicant.Begin()
			h.wantAdmitted("permanent", false, "UMTS-AUTS", "UMTS-AUTH")
			if made := h.p.happened(lab, "hss", "request-answered", map[string]any{"command": "multimedia-auth-request", "nai": h.nai("0")}); len(made) != 2 {
				t.Errorf("the HSS tells of vectors %v, want one that is stale and one after resynchronisation; of all %v", made, h.p.happened(lab, "hss", "request-answered", nil))
			}
			h.leaves()
			h.supplicant.Command("LOGON")
			h.wantAdmitted("re-authentication", true)
			h.leaves()
			h.supplicant.Command("SET fast_reauth 0")
			h.supplicant.Command("DISABLE_NETWORK 0")
			h.supplicant.Begin()
			h.supplicant.Command("LOGON")
			h.wantAdmitted("pseudonym", false, "UMTS-AUTH")
			h.leaves()
			h.stop()

			h.start(newCard(t, "another's key...", 0))
			h.supplicant.Begin()
			if asked := h.supplicant.Wait("CTRL-EVENT-EAP-FAILURE"); !slices.Contains(asked, "UMTS-FAIL") {
				t.Errorf("the card said %q", asked)
			}
			h.p.awaitEvent(lab, 1, h.router, "station-refused", map[string]any{"link": h.link, "reason": "authentication-rejected"})
			h.p.awaitEvent(lab, 1, "aaa", "eap-refused", map[string]any{"nai": h.nai(h.leading), "reason": "authentication-rejected"})
			h.wantLink(false)
			h.stop()
		})
	}
}
