package topologies

import (
	"net/netip"
	"slices"
	"testing"
)

func TestHomeAgentsAreFoundInTheWaysThatAreWritten(t *testing.T) {
	top := load(t, "discovery")
	for node, want := range map[string][]string{"told": nil, "by-dhaad": {"dhaad"}, "by-turns": {"dns-srv", "dhaad"}} {
		if got := top.Node(node).MobileNode.Discovery; !slices.Equal(got, want) {
			t.Errorf("%s looks by %q, want %q", node, got, want)
		}
	}
	if got := load(t, "eps-s2c", "nodes.ue.discovery=static").Node("ue").MobileNode.Discovery; got != nil {
		t.Errorf("who is told looks by %q", got)
	}
	for _, name := range []string{"pgw-1", "pgw-2"} {
		if got := top.Node(name).HomeAgent.Discovered; list(got) != "2001:db8:100::/64, 2001:db8:100:1::/64" {
			t.Errorf("%s is asked at %s", name, list(got))
		}
	}
	if a := top.Node("pgw-2").Interface("lte").Advertise; a.Preference != 10 || list(a.DNS) != "2001:db8:1::6" {
		t.Errorf("pgw-2 advertises %+v", a)
	}
	if a := top.Node("wlan-gw").Interface("wlan").Advertise; a.Preference != 0 || list(a.DNS) != "2001:db8:1::6" || !a.Other {
		t.Errorf("wlan-gw advertises %+v", a)
	}
	i := slices.IndexFunc(top.Node("ns").DNS.Records, func(r Record) bool { return r.Name == "_mip6._ipv6.mnc001.mcc001.pub.3gppnetwork.org" })
	want := []string{"pgw-2.ha-apn.mnc001.mcc001.pub.3gppnetwork.org", "pgw-1.ha-apn.mnc001.mcc001.pub.3gppnetwork.org"}
	if got := top.Node("ns").DNS.Records[i].Targets; !slices.Equal(got, want) {
		t.Errorf("the service is given by %q, want the preferred one first", got)
	}
}

func TestNameServersByHandNeedNoNode(t *testing.T) {
	top := parse(t, `
topology: t
nodes:
  ue:  {role: mn, discovery: [dns, static], name-servers: [2001:db8:53::53, 192.0.2.53]}
  pgw: {role: ha}
  aaa: {role: aaa}
  gw:  {role: router}
links: {wlan: {ends: [ue, gw]}, core: {ends: [pgw, aaa, gw]}}
`)
	want := []netip.Addr{addr("2001:db8:53::53"), addr("192.0.2.53")}
	if got := top.Node("ue").MobileNode.NameServers; !slices.Equal(got, want) {
		t.Errorf("asks %v, want %v", got, want)
	}
}
