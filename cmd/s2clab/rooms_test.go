package main

import (
	"bytes"
	"encoding/json"
	"go/format"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// arrows say which room may use which, and why. A room that is not named on the
// left uses nothing of ours; a name ending in /... stands for the rooms below it
// too.
var arrows = []struct {
	from string
	to   []string
	why  string
}{
	{"cmd/s2clab", []string{"orchestrator/cli", "nodes/mn", "nodes/ha", "nodes/aaa", "nodes/hss", "nodes/bsf", "nodes/router", "nodes/nat", "nodes/dns", "nodes/cn", "nodes/traffic"}, "main hands the command line the table of roles"},
	{"orchestrator/cli", []string{"orchestrator/supervise", "orchestrator/door", "orchestrator/play", "orchestrator/report/...", "orchestrator/journal", "orchestrator/lab", "orchestrator/link", "orchestrator/web", "scenarios", "topologies/...", "nodes/control", "nodes/hss/store"}, "a verb asks the rooms that know; of a store of subscribers that no node has open, the store itself"},
	{"orchestrator/supervise", []string{"orchestrator/door", "orchestrator/lab", "orchestrator/play", "orchestrator/capture", "orchestrator/journal", "orchestrator/link", "nodes/netns", "nodes/translate", "nodes/control", "topologies/...", "scenarios"}, "init of a lab's namespaces answers what comes through the door"},
	{"orchestrator/play", []string{"orchestrator/lab", "orchestrator/journal", "orchestrator/capture", "orchestrator/link", "orchestrator/report/...", "nodes/control", "scenarios", "topologies"}, "a scenario is played on a lab and judged by the measures of the report"},
	{"orchestrator/lab", []string{"orchestrator/launch", "orchestrator/link", "orchestrator/capture", "orchestrator/journal", "nodes/netns", "nodes/control", "topologies/..."}, "a lab is made of spaces, links and processes"},
	{"orchestrator/launch", []string{"nodes/netns", "nodes/control"}, "a process starts in a space and is told its configuration"},
	{"orchestrator/link", []string{"topologies", "nodes/netns", "nodes/control"}, "a link carries frames between ports as the topology says"},
	{"orchestrator/capture", []string{"orchestrator/journal", "orchestrator/link", "nodes/netns", "nodes/wire/...", "nodes/control", "topologies"}, "frames of links are written and, decoded, told to the journal"},
	{"orchestrator/journal", []string{"nodes/control"}, "events of nodes become events of a run"},
	{"orchestrator/report/...", []string{"orchestrator/journal", "orchestrator/report/...", "nodes/control", "nodes/wire/...", "topologies", "scenarios"}, "a report is a reading of the journal"},
	{"scenarios", []string{"topologies/..."}, "a scenario happens in a topology"},
	{"topologies/...", []string{"topologies/..."}, "what there is knows nothing of how it runs"},
	{"nodes/mn", roleMay, "a role is its machine and the hands that run it, never another role"},
	{"nodes/ha", roleMay, "a role is its machine and the hands that run it, never another role"},
	{"nodes/aaa", roleMay, "a role is its machine and the hands that run it, never another role"},
	{"nodes/bsf", roleMay, "a role is its machine and the hands that run it, never another role"},
	{"nodes/router", roleMay, "a role is its machine and the hands that run it, never another role"},
	{"nodes/nat", append([]string{"nodes/translate"}, roleMay...), "a role is its machine and the hands that run it; the kernel's NAT is this one's"},
	{"nodes/translate", nil, "the kernel's NAT knows nothing of nodes"},
	{"nodes/dns", roleMay, "a role is its machine and the hands that run it, never another role"},
	{"nodes/cn", roleMay, "a role is its machine and the hands that run it, never another role"},
	{"nodes/traffic", roleMay, "a role is its machine and the hands that run it, never another role"},
	{"nodes/hss", append([]string{"nodes/hss/store"}, roleMay...), "a role is its machine and the hands that run it; what it keeps is a room of its own"},
	{"nodes/hss/store", []string{"nodes/keys", "nodes/session/usim"}, "what an HSS keeps knows no message, but how sequence numbers follow one another"},
	{"nodes/session/...", []string{"nodes/session/...", "nodes/keys", "nodes/wire/..."}, "exchanges are pure: no sockets, no kernel"},
	{"nodes/host", []string{"nodes/rtnetlink", "nodes/control", "nodes/wire/...", "nodes/session/..."}, "the node's hands know formats and run machines, but no role"},
	{"nodes/serve", []string{"nodes/session/...", "nodes/control", "nodes/wire/..."}, "servers are run alike, whatever their machine decides"},
	{"nodes/rtnetlink", nil, "the frame of the kernel's messages means nothing by itself"},
	{"nodes/netns", []string{"nodes/rtnetlink"}, "a place for a node knows nothing of nodes"},
	{"orchestrator/door", nil, "the door does not know what is asked"},
	{"orchestrator/lab/bare", []string{"nodes/netns", "topologies"}, "the floor for bring-up is made by the same rtnetlink"},
	{"nodes/wire/...", []string{"nodes/wire/..."}, "a format may carry another"},
}

var roleMay = []string{"nodes/session/...", "nodes/serve", "nodes/host", "nodes/control", "nodes/keys", "nodes/wire/..."}

func within(room, pattern string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return room == base || strings.HasPrefix(room, base+"/")
	}
	return room == pattern
}

// packages lists those of this module.
func packages(t *testing.T) (all []struct {
	ImportPath, Name, Doc string
	Imports               []string
}) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Name,Doc,Imports", "s2clab/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Name, Doc string
			Imports               []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestRoomsUseOnlyTheRoomsTheyMay(t *testing.T) {
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, "s2clab/")
		if strings.HasSuffix(room, "test") {
			continue // helpers of tests
		}
		why, may := "it is not in the table of arrows", []string(nil)
		for _, a := range arrows {
			if within(room, a.from) {
				why, may = a.why, a.to
			}
		}
		for _, used := range p.Imports {
			used, ours := strings.CutPrefix(used, "s2clab/")
			allowed := !ours
			for _, pattern := range may {
				allowed = allowed || within(used, pattern)
			}
			if !allowed {
				t.Errorf("%s uses %s, and may use %v: %s", room, used, may, why)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("package %s has no comment", p.ImportPath)
		}
	}
}

func TestEveryFileIsAsGofmtLeavesIt(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if want, err := format.Source(text); err != nil || !bytes.Equal(text, want) {
			t.Errorf("%s is not as gofmt leaves it (%v)", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
