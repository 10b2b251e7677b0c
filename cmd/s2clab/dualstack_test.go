package main

import "testing"

const dualStack = `topology: dual-stack
nodes:
  ue:  {role: mn}
  pgw: {role: ha, home-prefixes: [2001:db8:100::/48, 198.51.100.0/24], dad: none}
  aaa: {role: aaa}
  gw:  {role: router}
  cn:  {role: cn}
links:
  lte:  {ends: [ue, pgw], home: true}
  wlan: {ends: [ue, gw], prefix: 192.0.2.0/25}
  core: {ends: [pgw, aaa, gw], prefix: [2001:db8:1::/64, 192.0.2.128/25]}
  sgi:  {ends: [pgw, cn], prefix: [2001:db8:2::/64, 203.0.113.0/24]}
`

func TestIPv4AndIPv6RunBesideOneAnother(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	file := p.write("dual-stack.yaml", dualStack)
	wantSaid(t, p.must("check", "-v", file), "nodes.ue.home-address: 198.51.100.16", "nodes.pgw.address: 192.0.2.129 (where accesses reach it)", "links.lte.prefix: 2001:db8:100::/64, 198.51.100.0/24")
	p.must("up", "--name", "dual-stack", file)
	t.Cleanup(func() { p.must("down", "dual-stack") })
	in := func(node string, args ...string) string {
		return p.must(append([]string{"exec", "--lab", "dual-stack", node, "--"}, args...)...)
	}
	wantSaid(t, in("cn", "getent", "ahostsv4", "ue"), "198.51.100.16")
	wantSaid(t, in("cn", "getent", "ahostsv6", "ue"), "2001:db8:100::10")
	// Over two routers, to a link that has no IPv6.
	in("cn", "ping", "-4", "-c", "1", "-w", "10", "192.0.2.1")
	in("cn", "ping", "-4", "-c", "1", "-w", "10", "aaa")
	in("cn", "ping", "-6", "-c", "1", "-w", "10", "aaa")
	wantSaid(t, p.must("ps"), "198.51.100.16", "192.0.2.1")
}
