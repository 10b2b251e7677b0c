package main

import "testing"

// What goes wrong between a home agent and its AAA servers by RADIUS, in labs.
var radiusFaults = map[string]string{
	// RFC 2865, section 3: a server discards what is not proven by the secret.
	"another secret": `scenario: another-secret
topology: eps-trusted
set: {security.profile: 3gpp2, nodes.pgw.radius-secret: "00000000000000000000000000000bad"}
steps:
  - {at: 0s, attach: {node: ue, link: wlan}}
  - {at: 6s, stop: all}
expect:
  - {saw: message-ignored, node: aaa, reason: unauthenticated}
  - {saw: aaa-failed, node: pgw, reason: time-out}
  - {saw: peer-suspected, node: pgw}
  - {saw: binding-acknowledgement, link: wlan, to: ue, status: insufficient-resources}
  - {saw: binding-refused, node: ue, status: insufficient-resources}
  - {never: request-answered, node: aaa, command: Access-Request}
  - {never: bound, node: ue}
`,
	"the first of two servers is dead": `scenario: next-server
topology: two-aaa
set: {security.profile: 3gpp2}
steps:
  - {at: 0s, stop: {node: aaa-1, how: kill}}
  - {at: 500ms, attach: {node: ue, link: wlan}}
  - {at: 8s, stop: all}
expect:
  - {saw: peer-suspected, node: pgw}
  - {saw: request-answered, node: aaa-2, command: Access-Request, name: Access-Accept}
  - {saw: association-made, node: pgw, spi: 5}
  - {saw: bound, node: ue, link: wlan}
`,
	"an AAA server and then a home agent forget": `scenario: both-forget
topology: eps-trusted
set: {security.profile: wimax}
steps:
  - {at: 0s, attach: {node: ue, link: wlan}}
  - {at: 3s, stop: {node: aaa, how: kill}}
  - {at: 4s, start: aaa}
  - {at: 5s, stop: {node: pgw, how: kill}}
  - {at: 6s, start: pgw}
  - {at: 12s, move: {node: ue, to: wimax}}
  - {at: 18s, stop: all}
expect:
  - {saw: bound, node: ue, link: wlan, within: 3s}
  - {saw: request-answered, node: aaa, command: Access-Request, name: Access-Reject, after: 12s, within: 6s, note: "nothing is left of the EMSK, unless WiMAX has made another"}
  - {saw: bound, node: ue, link: wimax, after: 12s, within: 6s}
`,
	"a home agent forgets a key of 3GPP2": `scenario: forgets
topology: eps-trusted
set: {security.profile: 3gpp2}
steps:
  - {at: 0s, attach: {node: ue, link: wlan}}
  - {at: 3s, stop: {node: pgw, how: kill}}
  - {at: 4s, start: pgw}
  - {at: 6s, move: {node: ue, to: wimax}}
  - {at: 14s, stop: all}
expect:
  - {saw: bound, node: ue, link: wlan, within: 3s}
  - {saw: association-made, node: pgw, spi: 5, after: 6s, within: 8s}
  - {saw: bound, node: ue, link: wimax, after: 6s, within: 8s}
`,
}

func TestFaultsOfRADIUSAreBorne(t *testing.T) {
	needLabs(t)
	for name, story := range radiusFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			turn(t)
			p := newPerson(t)
			p.play(p.write("story.yaml", story)).held(t)
		})
	}
}
