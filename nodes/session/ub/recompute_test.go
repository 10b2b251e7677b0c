package ub

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/bootstrap"
)

func TestPythonComputesTheSameDigestsAndKeys(t *testing.T) {
	if err := exec.Command("python3", "--version").Run(); err != nil {
		netnstest.Lacking(t, "python3", err)
	}
	h := newHome(t)
	c, _ := newClient(t)
	done := h.succeeds(c, start)
	const agent = "ha.home.example"
	naf, denied := h.server.NAFKey(start.Add(time.Minute), done.GBA.BTID, NAF{agent, "home.example", bootstrap.NAFID(agent)})
	if denied != "" {
		t.Fatal(denied)
	}
	answer := subscriber.F2345(done.GBA.RAND)
	run := map[string]string{
		"method": h.requests[1].Method, "target": h.requests[1].Target, "challenge": h.answers[0].Challenges[0],
		"authorization": h.requests[1].Authorization, "info": h.answers[1].AuthenticationInfo, "body": hex.EncodeToString(h.answers[1].Body),
		"btid": done.GBA.BTID, "res": hex.EncodeToString(answer.RES), "ck": hex.EncodeToString(answer.CK[:]), "ik": hex.EncodeToString(answer.IK[:]),
		"impi": impi, "fqdn": agent, "ua": hex.EncodeToString(bootstrap.Ua[:]), "ks_naf": hex.EncodeToString(naf.Key.Value),
	}
	recompute := func() string {
		t.Helper()
		in, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("python3", "testdata/recompute.py")
		cmd.Stdin = bytes.NewReader(in)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	if said := recompute(); said != "" {
		t.Error(said)
	}
	if want := keys.BTID(done.GBA.RAND, bsfHost); run["btid"] != want {
		t.Errorf("B-TID %q, want %q", run["btid"], want)
	}
	run["res"] = "00" + run["res"][2:] // a script that sees nothing would see nothing here
	if said := recompute(); !strings.Contains(said, "response is") || !strings.Contains(said, "rspauth is") {
		t.Errorf("with another RES, Python says %q", said)
	}
}
