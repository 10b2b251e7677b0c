package lab

import (
	"net/netip"
	"strings"
	"testing"

	"s2clab/nodes/control"
	"s2clab/topologies"
)

func load(t *testing.T, name string) *topologies.Topology {
	t.Helper()
	top, _, err := topologies.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func TestEveryNodeIsToldItsRoleAndItsEndsOfLinks(t *testing.T) {
	top := load(t, "eps-s2c")
	all := configs(top, 7)
	if len(all) != len(top.Nodes) {
		t.Fatalf("%d configurations for %d nodes", len(all), len(top.Nodes))
	}
	ue, pgw, aaa := all["ue"], all["pgw"], all["aaa"]
	if ue.Role != "mn" || ue.MobileNode == nil || len(ue.Interfaces) != 3 || !ue.Interfaces[0].Home {
		t.Errorf("ue is told %+v", ue)
	}
	if ue.MobileNode.HomeAgent != pgw.HomeAgent.Address || !ue.MobileNode.HomePrefix.Contains(ue.MobileNode.HomeAddress) {
		t.Errorf("ue and pgw do not meet: %+v, %+v", ue.MobileNode, pgw.HomeAgent)
	}
	if pgw.Interfaces[0].Advertise == nil || !pgw.Interfaces[0].Advertise.HomeAgent {
		t.Errorf("pgw does not advertise the home link: %+v", pgw.Interfaces[0])
	}
	if len(pgw.HomeAgent.AAA) != 1 || pgw.HomeAgent.AAA[0].Host != aaa.AAA.Host || !contains(aaa.AAA.Listen, pgw.HomeAgent.AAA[0].Address) {
		t.Errorf("pgw asks %+v, aaa listens on %v as %s", pgw.HomeAgent.AAA, aaa.AAA.Listen, aaa.AAA.Host)
	}
}

func TestWhoAsksThroughARelayIsToldOfTheRelayAlone(t *testing.T) {
	top, _, err := topologies.Load("eps-trusted", topologies.Override{Path: "nodes.cn.realm", Value: "transit.example"},
		topologies.Override{Path: "nodes.pgw.diameter-relay", Value: "cn"}, topologies.Override{Path: "nodes.aaa.diameter-relay", Value: "cn"}, topologies.Override{Path: "nodes.wlan-gw.diameter-relay", Value: "cn"})
	if err != nil {
		t.Fatal(err)
	}
	all := configs(top, 7)
	for node, told := range map[string]struct {
		peers []control.Peer
		realm string
	}{
		"pgw":     {all["pgw"].HomeAgent.AAA, all["aaa"].AAA.Realm},
		"wlan-gw": {all["wlan-gw"].Router.AAA, all["aaa"].AAA.Realm},
		"aaa":     {all["aaa"].AAA.HSS, all["hss"].HSS.Realm},
	} {
		want := control.Peer{Host: "cn.transit.example", Realm: told.realm, Address: netip.AddrPortFrom(top.Node("cn").Address(), 3868)}
		if len(told.peers) != 1 || told.peers[0] != want {
			t.Errorf("%s asks %+v, want %+v alone", node, told.peers, want)
		}
	}
	if direct := all["wimax-gw"].Router.AAA; len(direct) != 1 || direct[0].Host != all["aaa"].AAA.Host {
		t.Errorf("wimax-gw, which has no relay, asks %+v", direct)
	}
}

func contains(all []netip.AddrPort, one netip.AddrPort) bool {
	for _, a := range all {
		if a == one {
			return true
		}
	}
	return false
}

func TestAMobileIsNotToldAnAddressThatItIsAssigned(t *testing.T) {
	top := load(t, "eps-s2c")
	for i := range top.Nodes {
		if m := top.Nodes[i].MobileNode; m != nil {
			m.Assigned = true
		}
	}
	ue := configs(top, 7)["ue"]
	if ue.MobileNode.HomeAddress.IsValid() || ue.MobileNode.HomePrefix.IsValid() || ue.Interfaces[0].Home {
		t.Errorf("%+v, %+v", ue.MobileNode, ue.Interfaces[0])
	}
}

func TestStaticKeysReachBothEnds(t *testing.T) {
	all := configs(load(t, "one-home-agent"), 1)
	for _, cfg := range all {
		if cfg.MobileNode == nil {
			continue
		}
		found := false
		for _, other := range all {
			if other.HomeAgent == nil {
				continue
			}
			for _, a := range other.HomeAgent.Associations {
				found = found || a.NAI == cfg.MobileNode.NAI && a.SPI == cfg.MobileNode.MNHASPI && string(a.Key) == string(cfg.MobileNode.MNHAKey) && len(a.Key) == 16
			}
		}
		if !found {
			t.Errorf("no home agent has the association of %s", cfg.Node)
		}
	}
}

func TestAStandbyIsToldAllOverALinkOfTheirOwn(t *testing.T) {
	top := load(t, "standby")
	for node, isStandby := range map[string]bool{"pgw": false, "standby": true} {
		r := configs(top, 7)[node].HomeAgent.Replication
		if r == nil || r.IsStandby != isStandby {
			t.Fatalf("%s is told %+v", node, r)
		}
		if pair := top.Link("pair").Prefix; !pair.Contains(r.Active.Addr()) || !pair.Contains(r.Standby) {
			t.Errorf("%s: %v and %v meet, want addresses of %v, which is after others in the file", node, r.Active, r.Standby, pair)
		}
	}
	none, _, err := topologies.Load("standby", topologies.Override{Path: "links.pair.ends", Value: "[pgw, standby, aaa]"})
	if err != nil {
		t.Fatal(err)
	}
	if r := configs(none, 7)["pgw"].HomeAgent.Replication; !none.Link("lte").Prefix.Contains(r.Standby) {
		t.Errorf("without such a link the standby is at %v, want the first that they share, lte", r.Standby)
	}
}

func TestSeedsDifferByNodeAndRepeatByRun(t *testing.T) {
	top := load(t, "eps-s2c")
	first, again, other := configs(top, 7), configs(top, 7), configs(top, 8)
	if first["ue"].Seed == first["pgw"].Seed || first["ue"].Seed != again["ue"].Seed || first["ue"].Seed == other["ue"].Seed {
		t.Errorf("seeds %d and %d, again %d, with another run's seed %d", first["ue"].Seed, first["pgw"].Seed, again["ue"].Seed, other["ue"].Seed)
	}
}

func TestHostsNamesEveryNodeByTheAddressOthersUse(t *testing.T) {
	top := load(t, "eps-s2c")
	text := hosts(top)["ue"]
	for _, n := range top.Nodes {
		if want := n.Address().String() + " " + n.Name + "\n"; !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
}
