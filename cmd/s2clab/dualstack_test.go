package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/netns/netnstest"
)

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

const natStory = `scenario: behind-a-nat
topology: two-homes.yaml
steps:
  - {at: 0s, traffic: {from: box, to: cn, kind: bulk, name: download}}
  - {at: 0s, traffic: {from: box, to: cn}}
  - {at: 1s, nat: {node: mine, do: forget}}
  - {at: 2s, nat: {node: mine, do: renumber}}
  - {after: 1s, stop: {traffic: [download, voice]}}
  - {exec: {node: cn, command: "! ping -4 -c 1 -w 2 192.168.2.2"}}
  - {stop: all}
expect:
  - {saw: nat-forgot, node: mine, mappings: 2}
  - {saw: nat-renumbered, node: mine, ports: 33280-65535}
  - {measure: throughput, flow: download, at-least: 1Mbit/s}
  - {measure: lost, flow: voice, at-most: 2}
`

const twoHomes = `topology: two-homes
nodes:
  mine:   {role: nat, inside: [wlan, lan]}
  theirs: {role: nat, inside: cafe}
  box:    {role: cn}
  tv:     {role: cn}
  cn:     {role: cn}
  gw:     {role: router}
links:
  wlan: {ends: [mine, tv], prefix: 192.168.1.0/24}
  lan:  {ends: [mine, box], prefix: 192.168.2.0/24}
  cafe: {ends: [gw, theirs], prefix: 192.168.1.0/24}
  core: {ends: [mine, theirs, cn], prefix: [2001:db8:1::/64, 192.0.2.0/24]}
`

func TestANATIsPartOfAStory(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	p.write("two-homes.yaml", twoHomes)
	p.must("run", "--runs", p.file("runs"), p.write("behind-a-nat.yaml", natStory))
	p.refused([]string{"check", p.write("unasked.yaml", `scenario: unasked
topology: two-homes.yaml
steps:
  - {at: 0s, traffic: {from: cn, to: box}}
  - {at: 0s, traffic: {from: box, to: cn, family: ipv6, name: six}}
  - {at: 0s, nat: {node: gw, do: forget}}
`)}, "no packet gets from cn to box", "no packet gets by ipv6 from box to cn", `"gw" has the role router; want nat`)
}

// Whoever has no root has NATs too.
func TestANATNeedsNoRoot(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newUser(t)
	file := p.write("two-homes.yaml", twoHomes)
	p.must("up", "--name", "two-homes", file)
	t.Cleanup(func() { p.must("down", "two-homes") })
	p.must("exec", "--lab", "two-homes", "box", "--", "getent", "ahostsv4", "cn")
	if out, _, status := p.run("exec", "--lab", "two-homes", "cn", "--", "getent", "hosts", "box"); status == 0 {
		t.Errorf("what is behind a NAT has a name outside: %s", out)
	}
	udp := `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.connect(("cn", 9)); s.send(b"x"); s.recv(1)`
	if _, errs, status := p.run("exec", "--lab", "two-homes", "box", "--", "python3", "-c", udp); status == 0 || !strings.Contains(errs, "ConnectionRefused") {
		t.Errorf("exit status %d, want what cn says by ICMP, through the NAT:\n%s", status, errs)
	}
}

const foundByName = `topology: found-by-name
nodes:
  ue:  {role: mn}
  pgw: {role: ha}
  aaa: {role: aaa}
  gw:  {role: router}
  ns:  {role: dns}
links:
  wlan: {ends: [ue, gw], prefix: [2001:db8:200::/64, 192.0.2.0/25], home-agent-info: pgw}
  core: {ends: [pgw, aaa, gw, ns], prefix: [2001:db8:1::/64, 192.0.2.128/25]}
`

// A home agent's name is in no hosts file: DNS answers it, which /etc/resolv.conf
// names in each node, and DHCP on the access.
func TestNamesAndAddressesAreGivenInALab(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	p.must("up", "--name", "found-by-name", p.write("found-by-name.yaml", foundByName))
	t.Cleanup(func() { p.must("down", "found-by-name") })
	in := func(node string, args ...string) string {
		return p.must(append([]string{"exec", "--lab", "found-by-name", node, "--"}, args...)...)
	}
	wantSaid(t, in("aaa", "cat", "/etc/resolv.conf"), "search lab.test", "nameserver 2001:db8:1::4")
	wantSaid(t, in("aaa", "getent", "ahosts", "internet.ha-apn.mnc001.mcc001.pub.3gppnetwork.org"), "2001:db8:1::1", "192.0.2.129")
	wantSaid(t, in("gw", "getent", "ahostsv4", "aaa.lab.test"), "192.0.2.131")

	if _, err := exec.LookPath("udhcpc"); err != nil {
		netnstest.Lacking(t, "udhcpc", err)
	}
	p.must("move", "--lab", "found-by-name", "ue", "wlan")
	script := p.write("given", "#!/bin/sh\n[ \"$1\" = deconfig ] || echo given $ip $dns $domain >&2\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	_, said, status := p.run("exec", "--lab", "found-by-name", "ue", "--", "udhcpc", "-i", "wlan", "-n", "-q", "-f", "-s", script)
	if status != 0 {
		t.Fatalf("udhcpc: exit status %d\n%s", status, said)
	}
	wantSaid(t, said, "given 192.0.2.", " 192.0.2.132 lab.test")
}

// A mobile node that comes behind a NAT is given a private address, and reaches
// what is outside by it.
func TestAPrivateAddressLeadsOutside(t *testing.T) {
	needLabs(t)
	t.Parallel()
	turn(t)
	p := newPerson(t)
	lab := p.up("dual-stack")
	p.must("move", "--lab", lab, "ue", "home")
	private := regexp.MustCompile(`inet (192\.168\.1\.\d+)/`)
	var given []string
	for end := time.Now().Add(20 * time.Second); given == nil; {
		if time.Now().After(end) {
			t.Fatal("the mobile node has no private address")
		}
		given = private.FindStringSubmatch(p.must("exec", "--lab", lab, "ue", "--", "ip", "-4", "address", "show", "dev", "home"))
	}
	p.must("exec", "--lab", lab, "ue", "--", "ping", "-4", "-I", given[1], "-c", "1", "-w", "10", "203.0.113.2")
	if _, _, status := p.run("exec", "--lab", lab, "cn", "--", "ping", "-4", "-c", "1", "-w", "1", "192.168.1.1"); status == 0 {
		t.Error("the inside answers the outside")
	}
}
