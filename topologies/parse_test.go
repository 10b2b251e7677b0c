package topologies

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/topologies/strict"
)

func load(t *testing.T, name string, set ...string) *Topology {
	t.Helper()
	var overrides []Override
	for _, s := range set {
		o, err := strict.ParseOverride(s)
		if err != nil {
			t.Fatal(err)
		}
		overrides = append(overrides, o)
	}
	topology, _, err := Load(name, overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return topology
}

func parse(t *testing.T, text string) *Topology {
	t.Helper()
	topology, _, err := Parse("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return topology
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestShippedTopologiesAreInOrder(t *testing.T) {
	names := Shipped()
	if len(names) < 4 {
		t.Fatalf("shipped: %v", names)
	}
	for _, name := range append(names, "line-2", "line-50") {
		topology := load(t, name)
		if topology.Name != name {
			t.Errorf("topology in file %s is called %s", name, topology.Name)
		}
	}
}

func TestTheHomeAgentIsWhereAccessesReachIt(t *testing.T) {
	top := load(t, "eps-s2c")
	if got := top.Node("pgw").HomeAgent.Address; got != addr("2001:db8:1::1") {
		t.Errorf("pgw takes Binding Updates at %v, want its address on core", got)
	}
	if got := load(t, "one-home-agent").Node("ha").HomeAgent.Address; got != addr("2001:db8:0:3::1") {
		t.Errorf("ha takes Binding Updates at %v, want its address on the backbone", got)
	}
}

func TestRoutesFollowTheShortestPathAndHomePrefixesTheHomeAgent(t *testing.T) {
	top := load(t, "eps-s2c")
	want := map[string][]Route{
		"ue":       nil,
		"cn":       {{prefix("::/0"), addr("2001:db8:2::1"), "sgi"}},
		"pgw":      {{prefix("2001:db8:200::/64"), addr("2001:db8:1::2"), "core"}, {prefix("2001:db8:300::/64"), addr("2001:db8:1::3"), "core"}},
		"wimax-gw": {{prefix("2001:db8:200::/64"), addr("2001:db8:1::2"), "core"}, {prefix("2001:db8:2::/64"), addr("2001:db8:1::1"), "core"}, {prefix("2001:db8:100::/48"), addr("2001:db8:1::1"), "core"}},
	}
	for name, routes := range want {
		if diff := cmp.Diff(routes, top.Node(name).Routes, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("routes of %s (-want +got):\n%s", name, diff)
		}
	}
}

// Two home agents of the same home prefixes do not send each other what neither
// knows, and packets come to the one that has them as its own.
func TestSharedHomePrefixesLeadToTheHomeAgentThatHasThem(t *testing.T) {
	for name, homeAgent := range map[string]string{"two-home-agents": "pgw-1", "standby": "pgw"} {
		top := load(t, name)
		first := top.Node(homeAgent).Interface("sgi").Addresses[0].Addr()
		for _, n := range top.Nodes {
			for _, r := range n.Routes {
				if !r.To.Overlaps(prefix("2001:db8:100::/48")) {
					continue
				}
				if n.HomeAgent != nil {
					t.Errorf("%s: %s has a route %+v for what it serves itself", name, n.Name, r)
				}
				if n.Name == "cn" && r.Via != first {
					t.Errorf("%s: cn sends to %v, want %v of %s", name, r.Via, first, homeAgent)
				}
			}
		}
	}
}

// Every node of a line reaches every link, also where its routes are joined.
func TestJoinedRoutesLeadWhereTheSingleOnesLed(t *testing.T) {
	top := load(t, "line-50")
	most := 0
	for i := range top.Nodes {
		n := &top.Nodes[i]
		most = max(most, len(n.Routes))
		for _, l := range top.Links {
			at := n
			for hops := 0; at.Interface(l.Name) == nil; hops++ {
				if hops > 50 {
					t.Fatalf("from %s to %s goes round in circles", n.Name, l.Name)
				}
				r := lookUp(at, l.Prefix.Addr())
				if r == nil {
					t.Fatalf("%s has no route to %s on the way from %s", at.Name, l.Name, n.Name)
				}
				at = top.Node(owner(top, r.Via))
			}
		}
	}
	if most > 16 {
		t.Errorf("a router has %d routes; joined they are fewer", most)
	}
}

func lookUp(n *Node, to netip.Addr) (best *Route) {
	for i, r := range n.Routes {
		if r.To.Contains(to) && (best == nil || r.To.Bits() > best.To.Bits()) {
			best = &n.Routes[i]
		}
	}
	return best
}

func owner(t *Topology, a netip.Addr) string {
	for _, n := range t.Nodes {
		for _, in := range n.Interfaces {
			for _, p := range in.Addresses {
				if p.Addr() == a {
					return n.Name
				}
			}
		}
	}
	return ""
}

func TestOnlyRoutersToMobilesAdvertise(t *testing.T) {
	top := load(t, "eps-s2c", "links.wlan.ra-interval=70ms")
	for _, n := range top.Nodes {
		for _, in := range n.Interfaces {
			advertises := n.Name == "pgw" && in.Link == "lte" || n.Name == "wlan-gw" && in.Link == "wlan" || n.Name == "wimax-gw" && in.Link == "wimax"
			if advertises != (in.Advertise != nil) {
				t.Errorf("%s on %s advertises: %v", n.Name, in.Link, in.Advertise != nil)
			}
		}
	}
	got := top.Node("wlan-gw").Interface("wlan").Advertise
	want := &Advertise{Prefix: prefix("2001:db8:200::/64"), Address: addr("2001:db8:200::1"), MinInterval: 35 * time.Millisecond, MaxInterval: 70 * time.Millisecond, Lifetime: 9 * time.Second}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("wlan-gw advertises %+v, want %+v", got, want)
	}
	if !top.Node("pgw").Interface("lte").Advertise.HomeAgent {
		t.Error("pgw does not say on lte that it is a home agent")
	}
}

func TestACountMakesNodesAlike(t *testing.T) {
	top := load(t, "many-mobiles")
	if len(top.Groups["ue"]) != 20 || len(top.Members("ue")) != 20 || len(top.Members("ue7")) != 1 {
		t.Fatalf("ue stands for %v", top.Members("ue"))
	}
	homes, nais, macs := map[netip.Addr]bool{}, map[string]bool{}, map[[6]byte]bool{}
	for _, name := range top.Groups["ue"] {
		n := top.Node(name)
		homes[n.MobileNode.HomeAddress], nais[n.MobileNode.NAI] = true, true
		for _, in := range n.Interfaces {
			macs[in.MAC] = true
		}
		if from := top.Link("lte").From[name]; from.Delay != 15*time.Millisecond {
			t.Errorf("frames of %s on lte: %+v", name, from)
		}
	}
	if len(homes) != 20 || len(nais) != 20 || len(macs) != 40 {
		t.Errorf("20 mobiles have %d home addresses, %d identifiers and %d MAC addresses", len(homes), len(nais), len(macs))
	}
	if got := top.Node("ue20").MobileNode.NAI; got != "0001010000000120@nai.epc.mnc001.mcc001.3gppnetwork.org" {
		t.Errorf("ue20 is %s", got)
	}
}

func TestImpairmentsOfOneEndStandOverThoseOfAll(t *testing.T) {
	top := parse(t, `
topology: t
nodes: {r1: {role: router}, r2: {role: router}}
links:
  l:
    ends: [r1, r2]
    delay: 15ms
    loss: 1%
    rate: 10Mbit/s
    from: {r1: {delay: 30ms, loss: {good-bad: 1%, bad-good: 25%}}}
`)
	want := map[string]Impairment{
		"r1": {Delay: 30 * time.Millisecond, Rate: 10e6, Loss: Loss{GoodBad: 0.01, BadGood: 0.25, LossBad: 1}},
		"r2": {Delay: 15 * time.Millisecond, Rate: 10e6, Loss: Loss{Rate: 0.01}},
	}
	if diff := cmp.Diff(want, top.Link("l").From); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLongLinkNamesMakeDeviceNamesOfTheirOwn(t *testing.T) {
	top := parse(t, `
topology: t
nodes: {r1: {role: router}, r2: {role: router}}
links:
  wireless-lan-of-the-north: {ends: [r1, r2]}
  wireless-lan-of-the-south: {ends: [r1, r2]}
  wireless-lan-o:            {ends: [r1, r2]}
`)
	var names []string
	for _, in := range top.Node("r1").Interfaces {
		names = append(names, in.Name)
	}
	if want := []string{"wireless-lan-of", "wireless-lan-2", "wireless-lan-o"}; !slices.Equal(names, want) {
		t.Errorf("devices %q, want %q", names, want)
	}
}

func TestTheSubscriberListAndTheMobileShareAKeyUnlessOneIsWrittenAtTheMobile(t *testing.T) {
	top := load(t, "eps-s2c")
	if got := fmt.Sprintf("%x", top.Node("ue").MobileNode.MNAAAKey); got != "404142434445464748494a4b4c4d4e4f" {
		t.Errorf("ue has %s, and the subscriber list another", got)
	}
	wrong := "000102030405060708090a0b0c0d0e0f"
	top = load(t, "eps-s2c", "nodes.ue.mn-aaa-key="+wrong)
	if got := fmt.Sprintf("%x", top.Node("ue").MobileNode.MNAAAKey); got != wrong {
		t.Errorf("ue has %s, want the key written there", got)
	}
	if got := fmt.Sprintf("%x", top.Node("aaa").AAA.Subscribers[0].MNAAAKey); got == wrong {
		t.Error("the AAA server has the key that was written at the mobile only")
	}
}

func TestStaticKeysAreWithTheHomeAgentAndAWrongOneOnlyWithTheMobile(t *testing.T) {
	top := load(t, "one-home-agent")
	mn, a := top.Node("mn").MobileNode, top.Node("ha").HomeAgent.Associations
	if len(a) != 1 || a[0].NAI != mn.NAI || a[0].HomeAddress != mn.HomeAddress || a[0].SPI != mn.MNHASPI || a[0].SPI < 256 || !slices.Equal(a[0].Key, mn.MNHAKey) || len(a[0].Key) != 16 {
		t.Errorf("home agent %+v, mobile %+v", a, mn)
	}
	top = load(t, "one-home-agent", "nodes.mn.mn-ha-key=00000000000000000000000000000bad")
	if slices.Equal(top.Node("mn").MobileNode.MNHAKey, top.Node("ha").HomeAgent.Associations[0].Key) {
		t.Error("the home agent has the wrong key too")
	}
}

func TestWithoutAHomeLinkTheHomePrefixHasNoLink(t *testing.T) {
	top := parse(t, `
topology: t
nodes: {ue: {role: mn}, pgw: {role: ha}, aaa: {role: aaa}, gw: {role: router}}
links: {wlan: {ends: [ue, gw]}, core: {ends: [gw, pgw, aaa]}}
`)
	m := top.Node("ue").MobileNode
	if m.HomePrefix != prefix("2001:db8:100::/64") || m.HomeAddress != addr("2001:db8:100::10") {
		t.Errorf("home %v in %v", m.HomeAddress, m.HomePrefix)
	}
	if got := top.Node("ue").MobileNode.HomeAgent; got != "pgw" {
		t.Errorf("home agent %s", got)
	}
}

// The network knows the address, from whom the mobile is to learn it.
func TestAnAssignedHomeAddressIsTheNetworks(t *testing.T) {
	top := load(t, "eps-s2c", "nodes.ue.home-address=assigned")
	m := top.Node("ue").MobileNode
	if !m.Assigned || m.HomeAddress != addr("2001:db8:100::10") || m.HomePrefix != prefix("2001:db8:100::/64") {
		t.Errorf("%+v", m)
	}
	for _, s := range top.Node("aaa").AAA.Subscribers {
		if want := s.NAI == m.NAI; want != s.HomeAddress.IsValid() || want && s.HomeAddress != m.HomeAddress {
			t.Errorf("%s has %v", s.NAI, s.HomeAddress)
		}
	}
	top = load(t, "one-home-agent", "nodes.mn.home-address=assigned")
	if a := top.Node("ha").HomeAgent.Associations[0]; a.HomeAddress != top.Node("mn").MobileNode.HomeAddress || !a.HomeAddress.IsValid() {
		t.Errorf("%+v", a)
	}
	top = load(t, "many-mobiles", "nodes.ue.home-address=assigned")
	for _, s := range top.Node("aaa").AAA.Subscribers { // who are not written
		if !s.HomeAddress.IsValid() {
			t.Errorf("%s has none", s.NAI)
		}
	}
	top = parse(t, `
topology: t
nodes:
  ue: {role: mn, home-address: assigned}
  b: {role: mn}
  pgw: {role: ha}
  aaa: {role: aaa, subscribers: [{subscriber: "001010000000001", home-address: "2001:db8:100::10"}, {subscriber: "001010000000002"}]}
links: {lte: {ends: [ue, b, pgw], home: true}, core: {ends: [pgw, aaa]}}
`)
	if a, b := top.Node("ue").MobileNode.HomeAddress, top.Node("b").MobileNode; a != addr("2001:db8:100::10") || b.HomeAddress != addr("2001:db8:100::11") || b.Assigned {
		t.Errorf("%v, %+v", a, b)
	}
	if s := top.Node("aaa").AAA.Subscribers; s[1].HomeAddress.IsValid() {
		t.Errorf("%+v: its mobile has chosen", s[1])
	}
}

func TestWhatWasChosenIsTold(t *testing.T) {
	_, choices, err := Load("one-home-agent")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, c := range choices {
		told[c.Path] = c.Value
	}
	for path, want := range map[string]string{
		"links.visited.prefix":       "2001:db8:0:2::/64",
		"links.home.prefix":          "2001:db8:100::/64",
		"nodes.mn.home-agent":        "ha",
		"nodes.mn.home-address":      "2001:db8:100::10",
		"nodes.mn.subscriber":        `"001010000000001"`,
		"nodes.ha.home-prefixes":     "2001:db8:100::/48",
		"links.backbone.addresses.a": "",
		"nodes.mn.mn-ha-key":         "made from its name: for labs only",
	} {
		if told[path] != want {
			t.Errorf("chosen for %s: %q, want %q", path, told[path], want)
		}
	}
}

func TestAnOverrideChangesAnyPath(t *testing.T) {
	top := load(t, "eps-s2c", "security.integrity=none", "nodes.ue.clock-offset=1h", "links.wlan.delay=50ms", "links.wlan.from.ue.loss.good-bad=1%",
		"links.wlan.from.ue.loss.bad-good=50%", "links.lte.rate=", "links.core.ends.4=wlan-gw", "links.core.ends.3=wimax-gw", "nodes.aaa.subscribers=", "nodes.pgw.aaa=[aaa]", "links.wlan.jitter.spread=2ms")
	if top.Security.Integrity != "none" || top.Node("ue").Clock != time.Hour {
		t.Errorf("integrity %s, clock %v", top.Security.Integrity, top.Node("ue").Clock)
	}
	wlan := top.Link("wlan").From
	if wlan["wlan-gw"].Delay != 50*time.Millisecond || wlan["ue"].Loss.GoodBad != 0.01 || wlan["ue"].Delay != 50*time.Millisecond || wlan["ue"].Jitter.Spread != 2*time.Millisecond {
		t.Errorf("wlan: %+v", wlan)
	}
	if top.Link("lte").From["ue"].Rate != 0 {
		t.Error("lte still has a rate")
	}
	if got := top.Link("core").Ends; !slices.Equal(got, []string{"pgw", "aaa", "wimax-gw", "wlan-gw"}) {
		t.Errorf("core joins %v", got)
	}
}

func TestAWrongOverrideIsToldWithWhatWouldBeRight(t *testing.T) {
	for set, want := range map[string]string{
		"security.integrty=none":        `--set security.integrty=none: security has no key "integrty"` + "\n" + `    hint: did you mean "integrity"? keys there: integrity, replay, bootstrap, key-source, profile`,
		"links.wlna.delay=5ms":          `--set links.wlna.delay=5ms: links has no "wlna"` + "\n" + `    hint: did you mean "wlan"? links here: lte, wlan, wimax, core, sgi`,
		"links.wlan.delay=5":            `--set links.wlan.delay=5: links.wlan.delay: 5 has no unit` + "\n" + `    hint: write 5ms or 5s`,
		"links.wlan.delay.x=5ms":        `--set links.wlan.delay.x=5ms: links.wlan.delay is text, which has no "x" in it`,
		"links.core.ends.9=ue":          `--set links.core.ends.9=ue: links.core.ends has no entry "9"` + "\n" + `    hint: it has 4 entries, counted from 1`,
		"nodes.ue.role=mm":              `--set nodes.ue.role=mm: nodes.ue.role: "mm" is not a role` + "\n" + `    hint: did you mean "mn"? words here: mn, ha, aaa, hss, bsf, router, nat, dns, cn`,
		"security={integrity: none":     `--set security={integrity: none: the value "{integrity: none" is not YAML` + "\n" + `    hint: put text with special signs between quotes`,
		"node.ue.role=mn":               `--set node.ue.role=mn: the file has no key "node"` + "\n" + `    hint: did you mean "nodes"? keys there: topology, description, nodes, links, security`,
		"links.wlan.from.cn.delay=5ms":  `--set links.wlan.from.cn.delay=5ms: "cn" is not an end of link "wlan"` + "\n" + `    hint: ends here: ue, wlan-gw`,
		"links.wlan.home=on":            `--set links.wlan.home=on: links.wlan.home: "on" is a word that some YAML readers take for a boolean` + "\n" + `    hint: write true or false`,
		"security.bootstrap=ikev2":      `--set security.bootstrap=ikev2: security.bootstrap: "ikev2" is known, but not in this version` + "\n" + `    hint: available: mip-options, static, gba-rfc3957, gba, partial-gba`,
		"nodes.ue.binding-lifetime=10s": `--set nodes.ue.binding-lifetime=10s: nodes.ue.binding-lifetime: 10s is not a multiple of 4s, in which binding lifetimes are counted (RFC 6275, section 6.1.7)` + "\n" + `    hint: write 8s or 12s`,
	} {
		o, err := strict.ParseOverride(set)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = Load("eps-s2c", o)
		if err == nil {
			t.Errorf("%s: passes", set)
		} else if got := err.Error(); got != want && !strings.HasPrefix(got, want+"\n") {
			t.Errorf("%s: told\n%s\nwant\n%s", set, got, want)
		}
	}
}

func TestFilesAreEnoughToReadTheTopologyJustSoAgain(t *testing.T) {
	o, _ := strict.ParseOverride("nodes.ue.mn-aaa-key=000102030405060708090a0b0c0d0e0f")
	data, err := ReadFile("shipped:/topologies/two-aaa.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := Parse("shipped:/topologies/two-aaa.yaml", data, o)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Files("shipped:/topologies/two-aaa.yaml", data, o)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := Load(filepath.Join(dir, "topology.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Topology{want, got} { // lines may differ
		for i := range x.Nodes {
			x.Nodes[i].Line = 0
		}
		for i := range x.Links {
			x.Links[i].Line = 0
		}
	}
	a, _ := json.Marshal(want)
	b, _ := json.Marshal(got)
	if string(a) != string(b) {
		t.Errorf("read again:\n%s\nwant\n%s", b, a)
	}
}

func TestATopologyCrossesAProcessBorderAsJSON(t *testing.T) {
	want := load(t, "eps-s2c")
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := &Topology{}
	if err := json.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(got)
	if string(again) != string(data) {
		t.Error("it is another one on the other side")
	}
}

func TestOnlyFilesOfASizeThatPeopleWriteAreRead(t *testing.T) {
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge.yaml")
	if err := os.WriteFile(huge, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 100<<20); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		huge:                         "has 104857600 octets, which is more than the 1048576 that are read",
		pipe:                         "is a device or a pipe, not a file",
		"/dev/zero":                  "is a device or a pipe, not a file",
		dir:                          "is a folder",
		filepath.Join(dir, "x.yaml"): "there is no such file",
	} {
		_, err := ReadFile(name)
		if err == nil || !strings.Contains(err.Error(), name+": "+want) || !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if _, _, err := Parse("t.yaml", []byte(strings.Repeat("# a comment\n", 1<<17))); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a long file: %v", err)
	}
}

func TestAnUnknownNameIsToldTheNearestShippedOne(t *testing.T) {
	_, _, err := Load("eps-s2")
	if err == nil || !strings.Contains(err.Error(), `did you mean "eps-s2c"?`) {
		t.Error(err)
	}
}

func TestManyProblemsAreCut(t *testing.T) {
	var b strings.Builder
	b.WriteString("topology: t\nnodes:\n")
	for i := range 20000 {
		fmt.Fprintf(&b, "  N%d: {role: router}\n", i)
	}
	b.WriteString("links: {l: {ends: [a, b]}}\n")
	_, _, err := Parse("t.yaml", []byte(b.String()))
	if err == nil || strings.Count(err.Error(), "\n") > 110 || !strings.HasSuffix(err.Error(), "more") {
		t.Errorf("%.300s", err)
	}
}

func TestTheLargestFilesTakeNoLongTime(t *testing.T) {
	var b strings.Builder
	b.WriteString("topology: t\nnodes: {m: {role: mn, count: 400}, g: {role: cn, count: 500}, pgw: {role: ha}, aaa: {role: aaa}")
	for i := range 90 {
		fmt.Fprintf(&b, ", r%d: {role: router}", i)
	}
	b.WriteString("}\nlinks:\n  core: {ends: [pgw, aaa, g]}\n  l: {ends: [m, pgw], home: true}\n")
	for i := range 900 {
		fmt.Fprintf(&b, "  l%d: {ends: [r%d, r%d, pgw]}\n", i, i%90, (i+1+i/90)%90)
	}
	start := time.Now()
	if _, _, err := Parse("t.yaml", []byte(b.String())); err != nil {
		t.Fatalf("%.500v", err)
	}
	t.Log(time.Since(start))
}

func TestWrongFilesTakeNoLongTimeEither(t *testing.T) {
	const size = 1 << 20
	fill := func(head, each, tail string) []byte {
		return []byte(head + strings.Repeat(each, (size-len(head)-len(tail))/len(each)) + tail)
	}
	ends := make([]byte, 0, size)
	for i := 0; len(ends) < size-1000; i++ {
		ends = fmt.Appendf(ends, "r%dx%d, ", i%977, i)
	}
	for what, data := range map[string][]byte{
		"ends that are not there": []byte("topology: t\nnodes: {r: {role: cn, count: 1000}}\nlinks: {l: {ends: [" + string(ends) + "r1]}}\n"),
		"brackets":                fill("topology: ", "[", ""),
		"braces":                  fill("topology: ", "{a: ", ""),
		"dashes":                  fill("", "- ", "a"),
		"keys without values":     fill("topology: t\n", "?\n", ""),
		"one long word":           fill("topology: ", "x", ""),
		"unknown keys of a link":  fill("topology: t\nnodes: {r1: {role: router}}\nlinks: {l: {ends: [r1]", ", dely: 5ms", "}}"),
		"quotes":                  fill("topology: ", "'", ""),
		"colons":                  fill("topology", ": ", ""),
		"anchors":                 fill("", "&a ", "x"),
		"comments":                fill("topology: t\n", "#\n", ""),
		"indents":                 fill("a:\n", " ", "b"),
	} {
		t.Run(what, func(t *testing.T) {
			start := time.Now()
			_, _, err := Parse("t.yaml", data)
			if err == nil {
				t.Error("passes")
			}
			t.Logf("%v: %.200v", time.Since(start), err)
		})
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.y*ml")
	if err != nil || len(files) < 20 {
		f.Fatalf("seeds: %v, %v", files, err)
	}
	for _, name := range Shipped() {
		data, err := shipped.ReadFile(name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "links.wlan.delay=50ms")
		f.Add(data, "nodes.ue.mn-ha-key=")
		f.Add(data, "security={integrity: none}")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "links.l.ends.1=r2")
	}
	f.Fuzz(func(t *testing.T, data []byte, set string) {
		var overrides []Override
		if o, err := strict.ParseOverride(set); err == nil {
			overrides = append(overrides, o)
		}
		top, _, err := Parse("/nonexistent/t.yaml", data, overrides...)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("%v does not unwrap to ErrInvalid", err)
			}
			return
		}
		// What was read is complete, and is read again from what Set writes.
		for _, n := range top.Nodes {
			if m := n.MobileNode; (n.Role == "mn") != (m != nil) || m != nil && (!m.HomeAddress.IsValid() || !m.HomePrefix.Contains(m.HomeAddress) || top.Node(m.HomeAgent) == nil) {
				t.Fatalf("mobile node %+v", n)
			}
			if a := n.HomeAgent; a != nil && (!a.Address.IsValid() || len(a.HomePrefixes) == 0) {
				t.Fatalf("home agent %+v", a)
			}
		}
		again, err := Set("/nonexistent/t.yaml", data, overrides...)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Parse("/nonexistent/t.yaml", again); err != nil {
			t.Fatalf("what Set writes is refused: %v\n%s", err, again)
		}
	})
}
