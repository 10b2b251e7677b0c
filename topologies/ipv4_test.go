package topologies

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const dualStack = `
topology: t
nodes:
  ue:  {role: mn}
  ue2: {role: mn, ipv4-home-address: false}
  ue3: {role: mn, home-address: 198.51.100.77}
  pgw: {role: ha, home-prefixes: [198.51.100.0/24, 2001:db8:100::/48]}
  aaa: {role: aaa}
  gw:  {role: router}
  cn:  {role: cn}
  old: {role: cn}
links:
  lte:  {ends: [ue, ue2, ue3, pgw], home: true}
  wlan: {ends: [ue, ue2, ue3, gw], prefix: 192.0.2.0/25}
  core: {ends: [pgw, aaa, gw], prefix: [192.0.2.128/25, 2001:db8:1::/64], addresses: {pgw: 192.0.2.200, aaa: [2001:db8:1::a, 192.0.2.201]}}
  sgi:  {ends: [pgw, cn, old], prefix: [2001:db8:2::/64, 203.0.113.0/24]}
`

func TestALinkHasThePrefixesThatItsFileSays(t *testing.T) {
	top := parse(t, dualStack)
	for link, want := range map[string]string{
		"lte":  "2001:db8:100::/64, 198.51.100.0/24", // a home agent with both has home links of both
		"wlan": "192.0.2.0/25",
		"core": "2001:db8:1::/64, 192.0.2.128/25",
	} {
		if got := list(top.Link(link).Prefixes()); got != want {
			t.Errorf("%s has %s, want %s", link, got, want)
		}
	}
	if in := top.Node("gw").Interface("wlan"); in.Advertise != nil || !slices.Equal(in.Addresses, []netip.Prefix{prefix("192.0.2.1/25")}) {
		t.Errorf("gw on a link without IPv6: %+v", in)
	}
	for node, want := range map[string]string{"pgw": "2001:db8:1::1/64, 192.0.2.200/25", "aaa": "2001:db8:1::a/64, 192.0.2.201/25", "gw": "2001:db8:1::2/64, 192.0.2.129/25"} {
		if got := list(top.Node(node).Interface("core").Addresses); got != want {
			t.Errorf("%s on core has %s, want %s", node, got, want)
		}
	}
}

func TestAMobileNodeHasAnIPv4HomeAddressWhereItsHomeAgentHasAPool(t *testing.T) {
	top := parse(t, dualStack)
	for node, want := range map[string]netip.Addr{"ue": addr("198.51.100.16"), "ue2": {}, "ue3": addr("198.51.100.77")} {
		m := top.Node(node).MobileNode
		if m.HomeAddress4 != want || want.IsValid() != m.HomePrefix4.IsValid() || !m.HomeAddress.Is6() {
			t.Errorf("%s has the home addresses %v and %v, want %v", node, m.HomeAddress, m.HomeAddress4, want)
		}
	}
	if ha := top.Node("pgw").HomeAgent; ha.Address != addr("2001:db8:1::1") || ha.Address4 != addr("192.0.2.200") {
		t.Errorf("pgw takes Binding Updates at %v and %v", ha.Address, ha.Address4)
	}
	if m := load(t, "eps-s2c").Node("ue").MobileNode; m.HomeAddress4.IsValid() {
		t.Errorf("ue of a lab without IPv4 has the home address %v", m.HomeAddress4)
	}
}

func TestRoutesOfEachFamilyGoOverTheLinksThatHaveIt(t *testing.T) {
	top := parse(t, dualStack)
	want := map[string][]Route{
		"cn": {
			{prefix("::/0"), addr("2001:db8:2::1"), "sgi"},
			{prefix("0.0.0.0/0"), addr("203.0.113.1"), "sgi"},
		},
		"pgw": {{prefix("192.0.2.0/25"), addr("192.0.2.129"), "core"}},
		"gw": {
			{prefix("::/0"), addr("2001:db8:1::1"), "core"},
			{prefix("0.0.0.0/0"), addr("192.0.2.200"), "core"},
		},
	}
	for name, routes := range want {
		if diff := cmp.Diff(routes, top.Node(name).Routes, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("routes of %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAPathMayBeOfIPv4Only(t *testing.T) {
	top := parse(t, strings.Replace(dualStack, "prefix: [192.0.2.128/25, 2001:db8:1::/64], addresses: {pgw: 192.0.2.200, aaa: [2001:db8:1::a, 192.0.2.201]}", "prefix: 192.0.2.128/25", 1))
	if got := top.AddressFrom("pgw", "aaa"); got != addr("192.0.2.131") {
		t.Errorf("pgw reaches aaa at %v", got)
	}
	if got := top.AddressFrom("cn", "pgw"); got != addr("2001:db8:2::1") {
		t.Errorf("cn reaches pgw at %v", got)
	}
	// Binding Updates within IPv4 are for an IPv6 address all the same.
	if ha := top.Node("pgw").HomeAgent; ha.Address != addr("2001:db8:2::1") || ha.Address4 != addr("192.0.2.129") {
		t.Errorf("pgw takes Binding Updates at %v and %v", ha.Address, ha.Address4)
	}
}

func TestAPoolOfIPv4HomeAddressesMayBeFull(t *testing.T) {
	_, _, err := Parse("t.yaml", []byte(`
topology: t
nodes:
  ue:  {role: mn, count: 7}
  pgw: {role: ha, home-prefixes: 198.51.100.0/29}
  aaa: {role: aaa}
  gw:  {role: router}
links: {wlan: {ends: [ue, gw]}, core: {ends: [gw, pgw, aaa]}}
`))
	if err == nil || !strings.Contains(err.Error(), "the IPv4 home prefixes of pgw have no address left for ue") {
		t.Errorf("told: %v", err)
	}
}

const twoHomes = `
topology: t
nodes:
  ue:     {role: mn}
  pgw:    {role: ha, home-prefixes: [2001:db8:100::/48, 198.51.100.0/24]}
  aaa:    {role: aaa}
  mine:   {role: nat, inside: [wlan, lan]}
  theirs: {role: nat, inside: cafe}
  deep:   {role: nat, inside: attic}
  box:    {role: cn}
  tv:     {role: cn}
links:
  wlan:  {ends: [ue, mine], prefix: 192.168.1.0/24}
  lan:   {ends: [mine, box, deep]}
  attic: {ends: [deep, tv], prefix: 10.0.0.0/24}
  cafe:  {ends: [ue, theirs], prefix: 192.168.1.0/24}
  core:  {ends: [pgw, aaa, mine, theirs], prefix: [2001:db8:1::/64, 192.0.2.0/24]}
`

func TestBehindANATTheOutsideIsReachedAndNotTheOtherWay(t *testing.T) {
	top := parse(t, twoHomes)
	if got := list(top.Link("lan").Prefixes()); got != "192.168.2.0/24" {
		t.Errorf("the private link has %s", got)
	}
	want := map[string][]Route{
		"box":    {{prefix("0.0.0.0/0"), addr("192.168.2.1"), "lan"}},
		"tv":     {{prefix("0.0.0.0/0"), addr("10.0.0.1"), "attic"}},
		"deep":   {{prefix("0.0.0.0/0"), addr("192.168.2.1"), "lan"}},
		"mine":   {{prefix("198.51.100.0/24"), addr("192.0.2.1"), "core"}}, // and none into deep
		"theirs": {{prefix("198.51.100.0/24"), addr("192.0.2.1"), "core"}},
		"aaa":    {{prefix("198.51.100.0/24"), addr("192.0.2.1"), "core"}},
	}
	for name, routes := range want {
		var four []Route
		for _, r := range top.Node(name).Routes {
			if r.To.Addr().Is4() {
				four = append(four, r)
			}
		}
		if diff := cmp.Diff(routes, four, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("routes of %s (-want +got):\n%s", name, diff)
		}
	}
	if got := top.AddressFrom("tv", "aaa"); got != addr("192.0.2.4") {
		t.Errorf("tv reaches aaa at %v", got)
	}
	for _, far := range []string{"tv", "box"} {
		if got := top.AddressFrom("aaa", far); got.IsValid() {
			t.Errorf("aaa reaches %s behind a NAT at %v", far, got)
		}
	}
	realms := top.Realms()
	for node, sees := range map[string]string{"aaa": "core", "box": "wlan lan core", "tv": "wlan lan attic core", "ue": "wlan lan cafe core", "mine": "wlan lan core", "deep": "wlan lan attic core"} {
		for _, l := range top.Links {
			if want := slices.Contains(strings.Fields(sees), l.Name); realms.Sees(node, l.Name) != want {
				t.Errorf("%s sees %s: %v, want %v", node, l.Name, !want, want)
			}
		}
	}
}

func TestAPrivatePrefixIsUsedAgainOnlyWhereNobodyCouldMeanEither(t *testing.T) {
	for change, want := range map[string]string{
		"10.0.0.0/24":                        "",
		"192.168.9.0/24":                     "",
		"192.168.2.0/23":                     "", // the chosen one gives way
		"192.168.1.0/25":                     `the prefix 192.168.1.0/25 of link "attic" overlaps with the prefix 192.168.1.0/24 of link "wlan"`,
		"192.0.2.128/25":                     `the prefix 192.0.2.0/24 of link "core" overlaps with the prefix 192.0.2.128/25 of link "attic"`,
		"[198.51.100.0/25, 2001:db8:9::/64]": `the prefix 198.51.100.0/25 of link "attic" overlaps with the home prefix 198.51.100.0/24 of pgw`,
	} {
		_, _, err := Parse("t.yaml", []byte(strings.Replace(twoHomes, "10.0.0.0/24", change, 1)))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", change, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: told %v, want %s", change, err, want)
		}
	}
}

func TestAPathIsOfOneFamilyAtBothEnds(t *testing.T) {
	top := parse(t, dualStack)
	for _, c := range []struct{ word, from, to, local, remote string }{
		{"", "cn", "ue", "2001:db8:2::2", "2001:db8:100::10"},
		{"ipv4", "cn", "ue", "203.0.113.2", "198.51.100.16"},
		{"ipv4", "ue", "cn", "198.51.100.16", "203.0.113.2"},
		{"ipv4", "cn", "ue2", "", ""}, // it asks for no IPv4 home address
		{"ipv6", "cn", "aaa", "2001:db8:2::2", "2001:db8:1::a"},
	} {
		got, ok := top.PathOver(c.word, c.from, c.to)
		if c.local == "" {
			if ok {
				t.Errorf("%s by %q to %s: %v, want none", c.from, c.word, c.to, got)
			}
		} else if got != (Path{addr(c.local), addr(c.remote)}) {
			t.Errorf("%s by %q to %s: %v, want %s and %s", c.from, c.word, c.to, got, c.local, c.remote)
		}
	}
	homes := parse(t, twoHomes)
	if got, _ := homes.PathOver("", "tv", "aaa"); got != (Path{addr("10.0.0.2"), addr("192.0.2.4")}) {
		t.Errorf("from behind two NATs: %v", got)
	}
	if got, ok := homes.PathOver("", "aaa", "tv"); ok {
		t.Errorf("to behind two NATs: %v", got)
	}
}
