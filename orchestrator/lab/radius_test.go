package lab

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"s2clab/nodes/control"
	"s2clab/topologies"
)

// of is a topology with overrides, path before value.
func of(t *testing.T, name string, set ...string) map[string]*control.Config {
	t.Helper()
	var all []topologies.Override
	for i := 0; i < len(set); i += 2 {
		all = append(all, topologies.Override{Path: set[i], Value: set[i+1]})
	}
	top, _, err := topologies.Load(name, all...)
	if err != nil {
		t.Fatal(err)
	}
	return configs(top, 7)
}

func TestHomeAgentsOf3GPP2AndWiMAXAskByRADIUS(t *testing.T) {
	for name, profile := range map[string]string{"two-aaa": "3gpp2", "eps-trusted": "wimax"} {
		all := of(t, name, "security.profile", profile)
		pgw := all["pgw"].HomeAgent
		if len(pgw.RADIUS) == 0 || len(pgw.AAA) != 0 {
			t.Fatalf("%s: asks %d servers by RADIUS and %d by Diameter", name, len(pgw.RADIUS), len(pgw.AAA))
		}
		for _, p := range pgw.RADIUS {
			var server *control.AAA
			for _, cfg := range all {
				if cfg.AAA != nil && cfg.AAA.Host == p.Host {
					server = cfg.AAA
				}
			}
			if server == nil || server.RADIUS == nil || !slices.Contains(server.RADIUS.Listen, p.Address) || p.Address.Port() != 1812 {
				t.Fatalf("%s: nobody listens at %v", name, p.Address)
			}
			c := server.RADIUS.Clients[0]
			if len(server.RADIUS.Clients) != 1 || c.Host != pgw.Host || c.HomeAgent != pgw.Address || !bytes.Equal(c.Secret, p.Secret) || len(c.Secret) < 16 ||
				!slices.ContainsFunc(c.Addresses, func(a netip.Prefix) bool { return a.Contains(pgw.Address) && a.IsSingleIP() }) {
				t.Errorf("%s: the server knows %s at %v for %v", name, c.Host, c.Addresses, c.HomeAgent)
			}
		}
	}
}

func TestOthersAskByDiameter(t *testing.T) {
	for _, set := range [][]string{nil, {"security.profile", "3gpp2", "security.integrity", "none"}} {
		all := of(t, "eps-s2c", set...)
		if pgw, aaa := all["pgw"].HomeAgent, all["aaa"].AAA; len(pgw.RADIUS) != 0 || len(pgw.AAA) != 1 || aaa.RADIUS != nil {
			t.Errorf("%q: asks %d servers by RADIUS", set, len(pgw.RADIUS))
		}
	}
}

func TestAStandbyAsksWithTheSecretOfTheOther(t *testing.T) {
	all := of(t, "standby", "security.profile", "3gpp2")
	pgw, standby := all["pgw"].HomeAgent, all["standby"].HomeAgent
	if !bytes.Equal(pgw.RADIUS[0].Secret, standby.RADIUS[0].Secret) {
		t.Error("the standby has another secret")
	}
	for _, c := range all["aaa"].AAA.RADIUS.Clients {
		if c.HomeAgent != pgw.Address || c.Host != pgw.Host || !bytes.Equal(c.Secret, pgw.RADIUS[0].Secret) {
			t.Errorf("the server knows %s for %v", c.Host, c.HomeAgent)
		}
	}
}

func TestASecretByHandIsOnTheHomeAgentOnly(t *testing.T) {
	const wrong = "00000000000000000000000000000bad"
	right, all := of(t, "eps-s2c", "security.profile", "3gpp2"), of(t, "eps-s2c", "security.profile", "3gpp2", "nodes.pgw.radius-secret", wrong)
	server := all["aaa"].AAA.RADIUS.Clients[0].Secret
	if got := all["pgw"].HomeAgent.RADIUS[0].Secret; bytes.Equal(got, server) || !bytes.Equal(server, right["pgw"].HomeAgent.RADIUS[0].Secret) {
		t.Error("the server has the secret by hand too")
	}
}
