package topologies

import "testing"

const relayed = `
topology: relayed
nodes:
  ue:  {role: mn}
  pgw: {role: ha, diameter-relay: dra}
  gw:  {role: router, diameter-relay: dra}
  aaa: {role: aaa, diameter-relay: far}
  hss: {role: hss}
  dra: {role: cn, realm: transit.example}
  far: {role: cn, host: relay.far.example, port: 3869}
  cn:  {role: cn}
links:
  lte:   {ends: [ue, pgw], home: true}
  wlan:  {ends: [ue, gw], access-auth: eap-aka}
  core:  {ends: [pgw, gw, aaa, dra]}
  inner: {ends: [aaa, far]}
  outer: {ends: [far, hss, cn]}
`

func TestWhoAsksThroughARelayNeedsNoOtherWay(t *testing.T) {
	top := parse(t, relayed) // from aaa there is none to hss
	for node, by := range map[string]string{"pgw": "dra", "gw": "dra", "aaa": "far", "hss": "", "ue": ""} {
		if got := top.Node(node).ByRelay; got != by {
			t.Errorf("%s asks through %q, want %q", node, got, by)
		}
	}
	for node, want := range map[string]*Relay{
		"dra": {Host: "dra.transit.example", Realm: "transit.example", Port: 3868},
		"far": {Host: "relay.far.example", Realm: defaultRealm, Port: 3869},
		"cn":  nil,
	} {
		if got := top.Node(node).Relay; (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("the relay on %s is %+v, want %+v", node, got, want)
		}
	}
}
