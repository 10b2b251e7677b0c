package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"s2clab/nodes/netns/netnstest"
)

// homeRealm is that of the AAA server and of the HSS; NAIs have the other.
const (
	homeRealm = "epc.mnc001.mcc001.3gppnetwork.org"
	naiRealm  = "nai." + homeRealm
)

// A freeDiameter is a Diameter relay that is not ours: it dials one server, and lets
// those dial it whose identity ends in one of the realms.
type freeDiameter struct {
	host   string         // Diameter identity, in transit.example
	port   uint16         // that it listens at
	server string         // Diameter identity, in homeRealm
	at     netip.AddrPort // where that listens
	guests []string       // realms
}

const freeDiameterExtensions = "/usr/lib/freeDiameter/"

func needFreeDiameter(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("freeDiameterd"); err != nil {
		netnstest.Lacking(t, "freediameter", err)
	}
	if _, err := os.Stat(freeDiameterExtensions + "rt_default.fdx"); err != nil {
		netnstest.Lacking(t, "freediameter", err)
	}
}

// configure writes what freeDiameter reads into a folder, and gives the name of the
// configuration file. It knows EAP and MIP6A, and says of each message what is in it;
// the 3GPP's applications it does not know. Requests to the realm of NAIs go to the
// server, as those to the server's own do.
func (d freeDiameter) configure(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, d.host)
	var text strings.Builder
	fmt.Fprintf(&text, "Identity = %q;\nRealm = \"transit.example\";\nPort = %d;\nSecPort = 0;\nNo_SCTP;\nTwTimer = 6;\nTcTimer = 1;\nAppServThreads = 1;\n", d.host, d.port)
	for _, extension := range []string{"dict_nasreq", "dict_eap", "dict_rfc5777", "dict_mip6i", "dict_mip6a"} {
		fmt.Fprintf(&text, "LoadExtension = %q;\n", freeDiameterExtensions+extension+".fdx")
	}
	for extension, told := range map[string]string{"acl_wl": name + ".guests", "rt_default": name + ".routes", "dbg_msg_dumps": "0x8888"} {
		fmt.Fprintf(&text, "LoadExtension = %q : %q;\n", freeDiameterExtensions+extension+".fdx", told)
	}
	fmt.Fprintf(&text, "ConnectPeer = %q { ConnectTo = %q; Port = %d; No_TLS; No_SCTP; Realm = %q; };\n", d.server, d.at.Addr(), d.at.Port(), homeRealm)
	for suffix, content := range map[string]string{
		".conf":   text.String(),
		".guests": "ALLOW_IPSEC *." + strings.Join(d.guests, " *.") + "\n",
		".routes": fmt.Sprintf("dr=%q : %q += REALM ;\n", naiRealm, d.server),
	} {
		if err := os.WriteFile(name+suffix, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return name + ".conf"
}

// What freeDiameter has against messages of the 3GPP's applications, for it has no
// dictionary with their commands and AVPs. It relays them all the same.
var strange = regexp.MustCompile(`Unsupported AVP: \d+\(not found in dictionary\) vend=10415 |parsedict_do_avp|fd_dict_search \( dict, DICT_COMMAND,`)

// wantNoComplaint wants freeDiameter to have found no other fault than those, and to
// know every AVP but the 3GPP's own. It gives how many AVPs it knew, by application.
func wantNoComplaint(t *testing.T, log string) map[string]int {
	t.Helper()
	known, application := map[string]int{}, ""
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		_, avp, isAVP := strings.Cut(line, " AVP: ")
		switch {
		case strings.Contains(line, "ERROR") || strings.Contains(line, "FATAL"):
			if !strange.MatchString(line) {
				t.Errorf("freeDiameter says: %s", line)
			}
		case strings.Contains(line, "ApplicationId: "):
			_, application, _ = strings.Cut(line, "ApplicationId: ")
		case isAVP && strings.HasPrefix(avp, "'"):
			known[application]++
		case isAVP && strings.Contains(avp, "(not found in dictionary)") && !strings.Contains(avp, "vend=10415 "): // behind a strange one it searches no more
			t.Errorf("freeDiameter does not know an AVP of application %s: %s", application, line)
		}
	}
	return known
}

// The numbers of applications.
const (
	mip6a = "8"
	sta   = "16777250"
	swx   = "16777265"
)

// outline is a log of freeDiameter's without what is in messages.
func outline(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if inMessage := strings.Contains(line, "AVP: '") || strings.Contains(line, "NOTI    ") || strings.HasPrefix(line, "  "); !inMessage || strings.HasSuffix(line, "'\n") {
			b.WriteString(line)
		}
	}
	return b.String()
}
