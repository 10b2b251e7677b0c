package lab

import (
	"net/netip"
	"testing"

	"s2clab/topologies"
)

func TestAServerOfProfileMIPv4IsToldIPv4Addresses(t *testing.T) {
	top, _, err := topologies.Load("dual-stack", topologies.Override{Path: "security.profile", Value: "mipv4"},
		topologies.Override{Path: "nodes.ue.home-address", Value: "[assigned, 198.51.100.77]"},
		topologies.Override{Path: "nodes.aaa.subscribers", Value: `[{subscriber: "001010000000001", home-agent: pgw}]`})
	if err != nil {
		t.Fatal(err)
	}
	all := configs(top, 7)
	ue, pgw, aaa := all["ue"].MobileNode, all["pgw"].HomeAgent, all["aaa"].AAA
	home := netip.MustParseAddr("198.51.100.77")
	if s := aaa.Subscribers[0]; s.HomeAddress != home || s.HomeAgent != pgw.Address4 || s.MNAAASPI != 256 {
		t.Errorf("aaa is told %+v", s)
	}
	if len(pgw.HomeAddresses4) != 1 || pgw.HomeAddresses4[0].Address4 != home || len(pgw.HomePrefixes4) != 1 || pgw.Security.Profile != "mipv4" {
		t.Errorf("pgw is told %+v", pgw)
	}
	if ue.HomeAgent4 != pgw.Address4 || ue.HomeAddress4.IsValid() || ue.MNAAASPI != 256 || string(ue.MNAAAKey) != string(aaa.Subscribers[0].MNAAAKey) || ue.HomeAgents[0].Address != pgw.Address4 {
		t.Errorf("ue is told %+v", ue)
	}
}
