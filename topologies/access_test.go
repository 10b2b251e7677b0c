package topologies

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

const foundByName = `
topology: t
nodes:
  ue:  {role: mn}
  pgw: {role: ha, home-prefixes: [2001:db8:100::/48, 198.51.100.0/24]}
  aaa: {role: aaa}
  gw:  {role: router}
  nat: {role: nat, inside: home}
  ns:  {role: dns}
  ns2: {role: dns, domain: other.test}
links:
  lte:  {ends: [ue, pgw], home: true}
  wlan: {ends: [ue, gw], prefix: [2001:db8:200::/64, 192.0.2.0/26], configure: dhcpv6, lease: 10m, home-agent-info: pgw, addresses: {gw: [192.0.2.20, 2001:db8:200::1005]}}
  six:  {ends: [ue, gw], prefix: 2001:db8:6::/64}
  home: {ends: [ue, nat], pool: 192.168.4.50-192.168.4.59}
  core: {ends: [pgw, aaa, gw, ns, nat], prefix: [2001:db8:1::/64, 192.0.2.128/26]}
  old:  {ends: [gw, ns2], prefix: 192.0.2.192/26}
`

func TestTheFirstRouterOfAnAccessGivesAddresses(t *testing.T) {
	top := parse(t, foundByName)
	ns, ns4, old := addr("2001:db8:1::5"), addr("192.0.2.133"), addr("192.0.2.194")
	pgw, pgw4 := addr("2001:db8:1::1"), addr("192.0.2.129")
	wlan := top.Node("gw").Interface("wlan")
	want4 := &DHCP4{Address: addr("192.0.2.20"), Prefix: prefix("192.0.2.0/26"), Pool: Range{addr("192.0.2.21"), addr("192.0.2.62")}, DNS: []netip.Addr{ns4, old}, Domain: "lab.test", Lease: 10 * time.Minute}
	if !reflect.DeepEqual(wlan.DHCP4, want4) {
		t.Errorf("on wlan %+v, want %+v", wlan.DHCP4, want4)
	}
	want6 := &DHCP6{Prefix: prefix("2001:db8:200::/64"), Pool: Range{addr("2001:db8:200::1006"), addr("2001:db8:200::1fff")}, DNS: []netip.Addr{ns}, Domain: "lab.test", Lease: 10 * time.Minute,
		Home: &HomeNetwork{Identifier: defaultRealm, Prefixes: []netip.Prefix{prefix("2001:db8:100::/48")}, Agents: []netip.Addr{pgw, pgw4}, Names: []string{"internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org"}}}
	if !reflect.DeepEqual(wlan.DHCP6, want6) {
		t.Errorf("on wlan %+v, want %+v", wlan.DHCP6, want6)
	}
	six := top.Node("gw").Interface("six")
	if six.DHCP4 != nil || six.DHCP6 == nil || six.DHCP6.Pool.IsValid() || len(six.DHCP6.DNS) != 1 {
		t.Errorf("on six %+v and %+v", six.DHCP4, six.DHCP6)
	}
	home := top.Node("nat").Interface("home")
	if home.DHCP4 == nil || home.DHCP4.Pool != (Range{addr("192.168.4.50"), addr("192.168.4.59")}) || home.DHCP6 != nil {
		t.Errorf("at home %+v and %+v", home.DHCP4, home.DHCP6)
	}
	lte, ue := top.Node("pgw").Interface("lte"), top.Node("ue")
	only := &DHCP4{Address: addr("198.51.100.1"), Prefix: prefix("198.51.100.0/24"), Lease: defaultLease, Reserved: []Reservation{{ue.Interface("lte").MAC, ue.MobileNode.HomeAddress4}}}
	if !reflect.DeepEqual(lte.DHCP4, only) || lte.DHCP6 != nil {
		t.Errorf("on the home link %+v and %+v, want %+v", lte.DHCP4, lte.DHCP6, only)
	}
	for link, flags := range map[string][2]bool{"wlan": {true, true}, "six": {false, true}} {
		if a := top.Node("gw").Interface(link).Advertise; a.Managed != flags[0] || a.Other != flags[1] {
			t.Errorf("%s is advertised with M %v and O %v, want %v", link, a.Managed, a.Other, flags)
		}
	}
	if a := load(t, "eps-s2c").Node("wlan-gw").Interface("wlan"); a.DHCP4 != nil || a.DHCP6 != nil || a.Advertise.Other {
		t.Errorf("where nothing is to be given: %+v", a)
	}
}

func TestAPoolHasNoAddressOfANode(t *testing.T) {
	for _, c := range []struct {
		prefix string
		fixed  []string
		want   string
	}{
		{"192.0.2.0/24", nil, "192.0.2.1-192.0.2.254"},
		{"192.0.2.0/24", []string{"192.0.2.1"}, "192.0.2.2-192.0.2.254"},
		{"192.0.2.0/24", []string{"192.0.2.1", "192.0.2.200", "192.0.2.254"}, "192.0.2.2-192.0.2.199"},
		{"192.0.2.0/30", []string{"192.0.2.1", "192.0.2.2"}, ""},
		{"10.0.0.0/8", []string{"10.0.0.1"}, "10.0.0.2-10.0.16.1"},
	} {
		p := prefix(c.prefix)
		var fixed []netip.Addr
		for _, f := range c.fixed {
			fixed = append(fixed, addr(f))
		}
		got, ok := longest(p, 1, identifiers(p), fixed)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%s without %v: %v, %v, want %q", p, fixed, got, ok, c.want)
		}
	}
}

func TestADNSServerKnowsWhatIsSeenFromWhereItIs(t *testing.T) {
	top := parse(t, foundByName)
	names := func(node string) map[string]Record {
		all := map[string]Record{}
		for _, r := range top.Node(node).DNS.Records {
			all[r.Name] = r
		}
		return all
	}
	ns := names("ns")
	for name, want := range map[string][]netip.Addr{
		"ue.lab.test":  {addr("2001:db8:100::10"), addr("198.51.100.16")},
		"nat.lab.test": {addr("2001:db8:1::3"), addr("192.0.2.131")}, // and not its private one
		"internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org": {addr("2001:db8:1::1"), addr("192.0.2.129")},
	} {
		if got := ns[name].Addresses; !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"_mip6._ipv6.lab.test", "_mip6._ipv6.mnc001.mcc001.pub.3gppnetwork.org"} {
		if got := ns[name].Targets; !slices.Equal(got, []string{"internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org"}) {
			t.Errorf("%s is given by %v", name, got)
		}
	}
	if _, ok := names("ns2")["ue.other.test"]; !ok {
		t.Error("the other server has no names in its own domain")
	}
	for node, want := range map[string]string{"aaa": "2001:db8:1::5, 192.0.2.194", "nat": "2001:db8:1::5, 192.0.2.194", "ue": "2001:db8:1::5"} {
		servers, domain := top.Resolver(node)
		if node == "ue" {
			servers = servers[:1]
		}
		if got := list(servers); got != want || domain != "lab.test" {
			t.Errorf("%s asks %s for names in %s, want %s", node, got, domain, want)
		}
	}
	if servers, _ := load(t, "eps-s2c").Resolver("ue"); servers != nil {
		t.Errorf("asks %v", servers)
	}
}

func TestHomeAgentsHaveNamesOfTheirOwn(t *testing.T) {
	top := parse(t, `
topology: t
nodes:
  a:   {role: ha}
  b:   {role: ha, realm: epc.mnc007.mcc310.3gppnetwork.org, apn: ims}
  aaa: {role: aaa}
  ns:  {role: dns}
links: {core: {ends: [a, b, aaa, ns]}}
`)
	for node, want := range map[string]string{"a": "a.ha-apn.mnc001.mcc001.pub.3gppnetwork.org", "b": "ims.ha-apn.mnc007.mcc310.pub.3gppnetwork.org"} {
		if got := top.Node(node).HomeAgent.FQDN(); got != want {
			t.Errorf("%s is %s, want %s", node, got, want)
		}
	}
}

// It has nothing of its own to give, and no name, before it takes over.
func TestAStandbyHasNoNameAndGivesNothing(t *testing.T) {
	top := parse(t, `
topology: t
nodes:
  ue:  {role: mn, home-agent: a}
  b:   {role: ha, standby-for: a}
  a:   {role: ha, dad: none}
  aaa: {role: aaa}
  ns:  {role: dns}
links:
  far:  {ends: [ue, b, a], prefix: [2001:db8:7::/64, 192.0.2.0/24]}
  core: {ends: [b, a, aaa, ns]}
`)
	if b, a := top.Node("b").Interface("far"), top.Node("a").Interface("far"); b.DHCP4 != nil || a.DHCP4 == nil {
		t.Errorf("b gives %+v, a gives %+v", b.DHCP4, a.DHCP4)
	}
	for _, r := range top.Node("ns").DNS.Records {
		if len(r.Targets) > 0 && !slices.Equal(r.Targets, []string{"internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org"}) {
			t.Errorf("%s is given by %v", r.Name, r.Targets)
		}
	}
}
