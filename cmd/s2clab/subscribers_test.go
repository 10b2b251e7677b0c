package main

import (
	"strings"
	"testing"
)

// TestTheSubscribersOfAnHSSThatRunsAreWrittenOutAndPutIn bars a subscriber who is
// on an access: it is let go of, since the HSS tells the AAA server.
func TestTheSubscribersOfAnHSSThatRunsAreWrittenOutAndPutIn(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	lab := p.up("eps-trusted")
	p.must("move", "--lab", lab, "ue", "wlan")
	export := func(flags ...string) string {
		return p.must(append([]string{"subscribers", "export", "--lab", lab}, flags...)...)
	}
	p.await("the AAA server and the home agent have told the HSS that they serve the subscriber", func() bool {
		return strings.Contains(export(), `apn: "internet", host: "pgw.`)
	})
	plain, keys := export(), export("--show-keys", "--node", "hss")
	if strings.Contains(plain, "    k: ") || !strings.Contains(keys, "    k: ") || !strings.Contains(keys, "    opc: ") {
		t.Errorf("without keys:\n%s\nwith them:\n%s", plain, keys)
	}
	// As it was, it changes nothing.
	file := p.write("subscribers-of-hss.yaml", plain)
	wantSaid(t, p.must("subscribers", "import", file, "--lab", lab), "hss of lab "+lab+" has 1 subscribers of ", "AAA servers are told of 0 changes")

	wrong := p.write("wrong.yaml", strings.Replace(plain, "allowed", "perhaps", 1))
	p.refused([]string{"subscribers", "import", wrong, "--lab", lab}, "s2clab: "+wrong+":8: non-3gpp-access cannot be \"perhaps\"", "hint: words here: allowed, barred")
	p.refused([]string{"subscribers", "export", "--lab", lab, "--node", "aaa"}, `node "aaa" has role aaa: only an HSS has a store`, "hint: HSSs here: hss")
	p.refused([]string{"subscribers", "export", "--lab", lab, "--node", "hhs"}, `hint: did you mean "hss"?`)

	barred := p.write("barred.yaml", strings.Replace(plain, "non-3gpp-access: allowed", "non-3gpp-access: barred", 1))
	wantSaid(t, p.must("subscribers", "import", barred, "--lab", lab), "AAA servers are told of 1 changes")
	p.await("the access has let the barred subscriber go", func() bool {
		return strings.Contains(p.must("logs", "--lab", lab, "wlan-gw"), "use wlan any more: aborted-by-server")
	})
	if after := export(); !strings.Contains(after, "barred") || strings.Contains(after, "registered") {
		t.Errorf("the HSS has\n%s", after)
	}
	for _, secret := range []string{"k", "opc"} {
		_, value, _ := strings.Cut(keys, "\n    "+secret+`: "`)
		value, _, _ = strings.Cut(value, `"`)
		if len(value) != 32 || strings.Contains(p.must("logs", "--lab", lab, "--json"), value) {
			t.Errorf("%q is %s, and stands in what the lab tells", value, secret)
		}
	}
	// A topology without an HSS has nothing to write out.
	other := p.up("one-home-agent")
	p.refused([]string{"subscribers", "export", "--lab", other}, "topology one-home-agent has no HSS", "--store")
}
