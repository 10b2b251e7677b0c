package topologies

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

// Each way of bootstrapping is one word, on the same topology, and gives each node those
// whom it asks.
func TestAnotherWayOfBootstrappingIsOneWord(t *testing.T) {
	for _, c := range []struct {
		sets              []string
		method            string
		ueBSF, haBSF, aaa string // whom each of them asks by GBA
	}{
		{nil, "mip-options/emsk", "", "", ""},
		{[]string{"security.key-source=static"}, "mip-options/static", "", "", ""},
		{[]string{"security.key-source=gba"}, "mip-options/gba", "bsf", "", "bsf"},
		{[]string{"security.key-source=aka"}, "mip-options/aka", "", "", ""},
		{[]string{"security.bootstrap=gba-rfc3957"}, "gba-rfc3957", "bsf", "", "bsf"},
		{[]string{"security.bootstrap=gba"}, "gba", "bsf", "bsf", ""},
		{[]string{"security.bootstrap=partial-gba"}, "partial-gba", "", "", ""},
		{[]string{"security.bootstrap=static"}, "static", "", "", ""},
	} {
		top := load(t, "eps-trusted", c.sets...)
		ue, ha, aaa := top.Node("ue").MobileNode, top.Node("pgw").HomeAgent, top.Node("aaa").AAA
		if top.Security.method() != c.method || ue.BSF != c.ueBSF || ha.BSF != c.haBSF || aaa.BSF != c.aaa {
			t.Errorf("%q: %s; asked: %q, %q, %q", c.sets, top.Security.method(), ue.BSF, ha.BSF, aaa.BSF)
		}
		if ue.USIM == nil || !slices.Equal(aaa.HSS, []string{"hss"}) || !slices.Equal(top.Node("wlan-gw").Router.AAA, []string{"aaa"}) || !slices.Equal(top.Node("bsf").BSF.HSS, []string{"hss"}) {
			t.Errorf("%q: card %v, AAA asks %q", c.sets, ue.USIM != nil, aaa.HSS)
		}
	}
}

const withHSS = `
topology: t
nodes:
  ue:  {role: mn, subscriber: "001010000000001"}
  ue2: {role: mn, subscriber: "001010000000002", sqn: 96, k: "000102030405060708090a0b0c0d0e0f"}
  ue3: {role: mn, subscriber: "001010000000003"}
  pgw: {role: ha, apn: ims}
  aaa: {role: aaa, hss-timeout: 1s}
  hss:
    role: hss
    watchdog: 7s
    subscribers:
      - {subscriber: "001010000000001", barred: true, op: "cdc202d5123e20f62b6d676ac72cb318", amf: b9b9, sqn: 32}
      - {subscriber: "001010000000002", apns: [{apn: internet}, {apn: mms, barred: true}]}
  wlan-gw: {role: router}
links:
  lte:  {ends: [ue, ue2, ue3, pgw], home: true}
  wlan: {ends: [ue, ue2, ue3, wlan-gw], access-auth: eap-aka}
  core: {ends: [pgw, aaa, hss, wlan-gw]}
`

func TestCardsHaveTheKeysOfTheirSubscriptionsUnlessOthersAreWritten(t *testing.T) {
	top := parse(t, withHSS)
	h := top.Node("hss").HSS
	if len(h.Subscriptions) != 2 || h.Watchdog != 7*time.Second || h.Port != 3868 || top.Node("aaa").AAA.HSSTimeout != time.Second {
		t.Fatalf("%+v", h)
	}
	first, second := h.Subscriptions[0], h.Subscriptions[1]
	if !first.Barred || first.AMF != 0xb9b9 || first.SQN != 32 || len(first.OPc) != 0 || len(first.OP) != 16 || !slices.Equal(first.APNs, []APN{{Name: "ims"}}) {
		t.Errorf("%+v", first)
	}
	if second.Barred || second.AMF != 0x8000 || len(second.OPc) != 16 || !slices.Equal(second.APNs, []APN{{Name: "internet"}, {Name: "mms", Barred: true}}) {
		t.Errorf("%+v", second)
	}
	ue, ue2, ue3 := top.Node("ue").MobileNode.USIM, top.Node("ue2").MobileNode.USIM, top.Node("ue3").MobileNode.USIM
	if ue.IMSI != first.IMSI || !bytes.Equal(ue.K, first.K) || !bytes.Equal(ue.OP, first.OP) || ue.SQN != 32 {
		t.Errorf("%+v", ue)
	}
	if ue2.SQN != 96 || bytes.Equal(ue2.K, second.K) || !bytes.Equal(ue2.OPc, second.OPc) { // a wrong K on purpose
		t.Errorf("%+v", ue2)
	}
	if ue3.IMSI != "001010000000003" || len(ue3.K) != 16 || bytes.Equal(ue3.K, first.K) { // whom no HSS knows
		t.Errorf("%+v", ue3)
	}
	for link, want := range map[string]string{"lte": "none", "wlan": "eap-aka", "core": "none"} {
		if got := top.Link(link).Auth; got != want {
			t.Errorf("%s: %s, want %s", link, got, want)
		}
	}
}

func TestWhatIsChosenForAnHSSIsTold(t *testing.T) {
	_, choices, err := Parse("t.yaml", []byte(withHSS))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, c := range choices {
		told[c.Path] = c.String()
	}
	for path, want := range map[string]string{
		"nodes.hss.port":       "nodes.hss.port: 3868",
		"nodes.aaa.hss":        "nodes.aaa.hss: hss (all there are)",
		"nodes.wlan-gw.aaa":    "nodes.wlan-gw.aaa: aaa (all there are)",
		"nodes.ue3.subscriber": "nodes.ue3.subscriber: 0001010000000003@nai.epc.mnc001.mcc001.3gppnetwork.org (no HSS knows it: it will be refused)",
	} {
		if told[path] != want {
			t.Errorf("told %q, want %q", told[path], want)
		}
	}
	if _, has := told["nodes.hss.watchdog"]; has {
		t.Error("told of what is written")
	}
}

func TestWhereKeysComeFromAccessesTheyAuthenticateUnlessTheFileSaysOtherwise(t *testing.T) {
	const file = `
topology: t
nodes: {ue: {role: mn}, pgw: {role: ha}, aaa: {role: aaa}, hss: {role: hss}, gw: {role: router}, gw2: {role: router}}
links:
  lte:   {ends: [ue, pgw], home: true}
  wlan:  {ends: [ue, gw]}
  wimax: {ends: [ue, gw2], access-auth: none}
  core:  {ends: [pgw, aaa, hss, gw, gw2]}
security: {bootstrap: partial-gba}
`
	top := parse(t, file)
	for link, want := range map[string]string{"lte": "none", "wlan": "eap-aka-prime", "wimax": "none"} {
		if got := top.Link(link).Auth; got != want {
			t.Errorf("%s: %s, want %s", link, got, want)
		}
	}
	if len(top.Node("gw").Router.AAA) != 1 || len(top.Node("gw2").Router.AAA) != 0 {
		t.Error("who does not authenticate asks somebody")
	}
}
