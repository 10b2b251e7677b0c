package aaa

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mrand "math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/radpeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
	"s2clab/nodes/wire/radius"
)

const (
	secretOfAgent = "secret of the pgw"
	secretOfNAS   = "secret of the nas"
)

var (
	radiusServer = netip.MustParseAddrPort("[2001:db8:1::2]:1812")
	agentAt      = netip.MustParseAddrPort("[2001:db8:1::1]:40000")
	nasAt        = netip.MustParseAddrPort("192.0.2.7:40000")
)

// radiusConfig is config, of a profile, with a home agent and a NAS that ask by RADIUS.
func radiusConfig(profile string) *control.Config {
	cfg := config()
	cfg.AAA.Security = control.Security{Integrity: "auth-options", Profile: profile, Bootstrap: "mip-options"}
	cfg.AAA.RADIUS = &control.RADIUSServer{Clients: []control.RADIUSClient{
		{Host: "pgw." + realm, Addresses: []netip.Prefix{netip.PrefixFrom(agentAt.Addr(), 128)}, Secret: []byte(secretOfAgent), HomeAgent: agent},
		{Host: "nas." + realm, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Secret: []byte(secretOfNAS)},
	}}
	return cfg
}

// A radiusWorld is a Machine that is asked by RADIUS.
type radiusWorld struct {
	t    *testing.T
	m    *Machine
	now  time.Time
	told []string
	keys []map[string]any
}

func newRADIUSWorld(t *testing.T, profile string) *radiusWorld {
	t.Helper()
	w := &radiusWorld{t: t, now: start}
	w.restart(profile)
	return w
}

func (w *radiusWorld) restart(profile string) {
	m, err := New(radiusConfig(profile), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.m = m
}

// A caller is a client of the world, with the secret that it thinks is right.
type caller struct {
	*radiusWorld
	from    netip.AddrPort
	secret  string
	client  *radpeer.Client
	request []byte // sent last
	answers [][]byte
}

func (w *radiusWorld) caller(from netip.AddrPort, secret string) *caller {
	c, err := radpeer.NewClient(radpeer.ClientOptions{Servers: []radpeer.Remote{{Address: radiusServer, Secret: radius.Secret(secret), Guarded: true}},
		Tries: 1, Jitter: mrand.New(mrand.NewPCG(1, 2)), Random: rand.Reader})
	if err != nil {
		w.t.Fatal(err)
	}
	return &caller{radiusWorld: w, from: from, secret: secret, client: c}
}

// send has the machine receive octets, and gives what it sends.
func (c *caller) send(octets []byte) (out [][]byte) {
	c.t.Helper()
	_, events := c.m.Received(c.now, radpeer.Received{From: c.from, Octets: octets})
	for _, e := range events {
		b, err := json.Marshal(e.Fields)
		if err != nil {
			c.t.Fatal(err)
		}
		if strings.Contains(string(b), "secret of") {
			c.t.Errorf("%s tells a secret", e.Name)
		}
		if e.Name == "key-made" {
			c.keys = append(c.keys, e.Fields)
			continue
		}
		line := e.Name
		for _, f := range []string{"name", "peer", "reason"} {
			if v, ok := e.Fields[f]; ok {
				line += fmt.Sprintf(" %v", v)
			}
		}
		c.told = append(c.told, line)
	}
	for _, o := range c.m.Datagrams() {
		s := o.(radpeer.Send)
		if s.To != c.from {
			c.t.Errorf("sent to %v", s.To)
		}
		out = append(out, s.Octets)
	}
	return out
}

// ask asks, and gives what became of it.
func (c *caller) ask(as []radius.Attribute, err error) (o radpeer.Outcome) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, out := range c.client.Ask(c.now, radpeer.Ask{ID: 1, Attributes: as}) {
		c.request = slices.Clone(out.(radpeer.Send).Octets)
	}
	c.answers = c.send(c.request)
	for _, a := range c.answers {
		for _, out := range c.client.Received(c.now, radpeer.Received{From: radiusServer, Octets: a}) {
			switch out := out.(type) {
			case radpeer.Done:
				return out.Outcome
			case radpeer.Ignored:
				c.t.Errorf("the client ignores the answer: %s", out.Reason)
			}
		}
	}
	for _, out := range c.client.Tick(c.client.Deadline()) {
		if done, ok := out.(radpeer.Done); ok {
			return done.Outcome
		}
	}
	c.t.Fatal("nothing became of the question")
	return o
}

// code is that of the answer; 0: there is none.
func code(o radpeer.Outcome) radius.Code {
	if o.Packet == nil {
		return 0
	}
	return o.Packet.Code
}

func bindingRequest() *radius.BindingRequest {
	r := request()
	return &radius.BindingRequest{NAS: radius.NAS{Address: agent}, User: r.User, HomeAgent: agent, CareOf: careOf, Home: home,
		Timestamp: r.Timestamp, Authenticator: r.Authenticator, MobilityData: r.MobilityData}
}

func TestAHomeAgentOf3GPP2IsGivenTheSessionKey(t *testing.T) { // RFC 5419, section 6.2
	w := newRADIUSWorld(t, "3gpp2")
	c := w.caller(agentAt, secretOfAgent)
	o := c.ask(bindingRequest().AppendTo(nil))
	if code(o) != radius.AccessAccept {
		t.Fatalf("%+v", o)
	}
	a, err := radius.ParseBindingAccept(o.Packet.Attributes, o.Cover)
	if err != nil {
		t.Fatal(err)
	}
	want := keys.ThreeGPP2SessionKey(unhex("404142434445464748494a4b4c4d4e4f"), nai, [8]byte(unhex("cacc680080000000")))
	if !bytes.Equal(a.SessionKey, want[:]) || a.User != nai || a.Home != home || a.HomeAgent.IsValid() || a.Lifetime != time.Hour {
		t.Errorf("%+v", a)
	}
	if bytes.Contains(c.answers[0], want[:]) {
		t.Error("the key is not covered")
	}
	if want := []string{"request-answered Access-Accept"}; !slices.Equal(w.told, want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
	if len(w.keys) != 2 || w.keys[0]["key"] != keys.NameMNAAA || w.keys[1]["key"] != keys.NameMNHA {
		t.Errorf("keys %v", w.keys)
	}
	if n := w.m.Counts(); n.Requests != 1 || n.Results["Access-Accept"] != 1 || n.Sessions != 0 {
		t.Errorf("%+v", n)
	}
}

func TestARequestThatComesAgainIsAnsweredAsItWas(t *testing.T) { // RFC 5080, section 2.2.2
	w := newRADIUSWorld(t, "3gpp2")
	c := w.caller(agentAt, secretOfAgent)
	c.ask(bindingRequest().AppendTo(nil))
	again := c.send(c.request)
	if len(again) != 1 || !bytes.Equal(again[0], c.answers[0]) {
		t.Errorf("%x, then %x", c.answers, again)
	}
	if n := w.m.Counts(); n.Requests != 1 || n.Duplicates != 1 || len(w.keys) != 2 {
		t.Errorf("%+v, %d keys", n, len(w.keys))
	}
	if last := w.told[len(w.told)-1]; last != "message-ignored pgw."+realm+" duplicate-request" {
		t.Errorf("told %q", w.told)
	}
}

func TestWhatIsNotProvenIsRejected(t *testing.T) {
	w := newRADIUSWorld(t, "3gpp2")
	c := w.caller(agentAt, secretOfAgent)
	for name, change := range map[string]func(r *radius.BindingRequest){
		"an authenticator that is not right": func(r *radius.BindingRequest) { r.Authenticator[0]++ },
		"mobility data that is another's":    func(r *radius.BindingRequest) { r.MobilityData[19]++ },
		"a subscriber who is not known":      func(r *radius.BindingRequest) { r.User = "nobody@home.example" },
		"a subscriber who is barred":         func(r *radius.BindingRequest) { r.User = "barred@home.example" },
		"another's home address":             func(r *radius.BindingRequest) { r.User, r.Home = "fixed@home.example", careOf },
		"another home agent":                 func(r *radius.BindingRequest) { r.HomeAgent = home },
	} {
		r := bindingRequest()
		change(r)
		o := c.ask(r.AppendTo(nil))
		if code(o) != radius.AccessReject || len(o.Packet.All(radius.ReplyMessage)) != 1 {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if len(w.keys) != 0 {
		t.Errorf("keys %v", w.keys)
	}
	nas := w.caller(nasAt, secretOfNAS)
	if o := nas.ask(bindingRequest().AppendTo(nil)); code(o) != radius.AccessReject {
		t.Errorf("a NAS is told a key: %+v", o)
	}
	if o := nas.ask([]radius.Attribute{{Type: radius.UserName, Value: []byte(nai)}}, nil); code(o) != radius.AccessReject {
		t.Errorf("a request without a question: %+v", o)
	}
}

func TestWhoDoesNotProveTheSecretHearsNothing(t *testing.T) { // RFC 2865, section 3
	w := newRADIUSWorld(t, "3gpp2")
	for _, c := range []*caller{w.caller(agentAt, secretOfNAS), w.caller(netip.MustParseAddrPort("[2001:db8:9::9]:1"), secretOfAgent)} {
		if o := c.ask(bindingRequest().AppendTo(nil)); o.Packet != nil || o.Reason != "time-out" {
			t.Errorf("%+v", o)
		}
	}
	if want := []string{"message-ignored pgw." + realm + " unauthenticated", "message-ignored 2001:db8:9::9 unknown-client"}; !slices.Equal(w.told, want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
}

func TestATooBusyServerSaysNothingByRADIUS(t *testing.T) {
	w := newRADIUSWorld(t, "3gpp2")
	w.m.SetBusy(true)
	c := w.caller(agentAt, secretOfAgent)
	if o := c.ask(bindingRequest().AppendTo(nil)); o.Reason != "time-out" {
		t.Errorf("%+v", o)
	}
	w.m.SetBusy(false)
	if o := c.ask(bindingRequest().AppendTo(nil)); code(o) != radius.AccessAccept {
		t.Errorf("%+v", o)
	}
}

// admitted is a subscriber whom an access has authenticated; number makes the EMSK.
func (w *radiusWorld) admitted(number byte) (name string, key keys.MobilityKey) {
	const imsi = "001010000000001"
	a := &keys.Access{Method: "aka", Identity: permanent(imsi, "nai.epc.mnc001.mcc001.3gppnetwork.org"), EMSK: [64]byte{number}, RAND: [16]byte{number}}
	r := w.m.records.of(a.Identity, imsi)
	w.m.records.shared(r, a, realm)
	r.profile = &diameter.Non3GPPUserData{APNs: []diameter.APNConfiguration{{Context: 1, Service: "internet"}}}
	return a.Identity, keys.NewMIPRoot(a.EMSK[:], keys.WiMAXDeployed).CMIP6(agent, a.Identity)
}

func TestAHomeAgentOfWiMAXIsGivenTheKeyOfTheLastAuthentication(t *testing.T) {
	w := newRADIUSWorld(t, "wimax")
	c := w.caller(agentAt, secretOfAgent)
	ask := func(c *caller, user string, spi uint32) radpeer.Outcome {
		return c.ask((&radius.KeyRequest{NAS: radius.NAS{Address: agent}, User: user, HomeAgent: agent, SPI: spi}).AppendTo(nil))
	}
	name, first := w.admitted(1)
	o := ask(c, name, first.SPI)
	a, err := radius.ParseKeyAccept(o.Packet.Attributes, o.Cover)
	if err != nil || code(o) != radius.AccessAccept || !bytes.Equal(a.Key, first.Key[:]) || a.SPI != first.SPI || a.User != name || a.Lifetime != time.Hour {
		t.Errorf("%+v, %v", a, err)
	}
	if len(w.keys) != 1 || w.keys[0]["octets"] != 20 {
		t.Errorf("keys %v", w.keys)
	}

	_, second := w.admitted(2) // by another access
	if o := ask(c, name, first.SPI); code(o) != radius.AccessReject {
		t.Errorf("the key of an authentication that is not the last is told: %+v", o)
	}
	if o := ask(c, name, second.SPI); code(o) != radius.AccessAccept {
		t.Errorf("%+v", o)
	}
	if o := ask(w.caller(nasAt, secretOfNAS), name, second.SPI); code(o) != radius.AccessReject {
		t.Errorf("a NAS is told a key: %+v", o)
	}
	if o := ask(c, nai, second.SPI); code(o) != radius.AccessReject {
		t.Errorf("a stranger: %+v", o)
	}
	w.restart("wimax") // what was in memory is gone
	if o := ask(c, name, second.SPI); code(o) != radius.AccessReject {
		t.Errorf("after a restart: %+v", o)
	}
}

func TestAKeyOfAnotherProfileIsNotTold(t *testing.T) {
	w := newRADIUSWorld(t, "3gpp2")
	name, key := w.admitted(1)
	c := w.caller(agentAt, secretOfAgent)
	if o := c.ask((&radius.KeyRequest{NAS: radius.NAS{Address: agent}, User: name, HomeAgent: agent, SPI: key.SPI}).AppendTo(nil)); code(o) != radius.AccessReject {
		t.Errorf("3gpp2: %+v", o)
	}
	w = newRADIUSWorld(t, "wimax")
	if o := w.caller(agentAt, secretOfAgent).ask(bindingRequest().AppendTo(nil)); code(o) != radius.AccessReject {
		t.Errorf("wimax: %+v", o)
	}
}

func TestAConversationIsFoundByItsState(t *testing.T) { // RFC 3579, section 2
	w := newRADIUSWorld(t, "3gpp2")
	c := w.caller(nasAt, secretOfNAS)
	ask := func(packet, state []byte) radpeer.Outcome {
		return c.ask((&radius.EAPRequest{NAS: radius.NAS{Identifier: "nas"}, User: "someone", EAP: packet, State: state, PortType: radius.PortWireless80211}).AppendTo(nil))
	}
	o := ask(nil, nil) // EAP-Start
	first, err := radius.ParseEAPChallenge(o.Packet.Attributes)
	if err != nil || code(o) != radius.AccessChallenge || len(first.State) != stateSize {
		t.Fatalf("%+v, %v", o, err)
	}
	p, err := eap.Parse(first.EAP)
	if err != nil || p.Code != eap.Request || p.Type != eap.TypeIdentity {
		t.Errorf("%+v, %v", p, err)
	}

	o = ask([]byte{2, p.Identifier + 1, 0, 5, 1}, first.State) // it answers nothing
	again, err := radius.ParseEAPChallenge(o.Packet.Attributes)
	if err != nil || !again.Ignored || !bytes.Equal(again.EAP, first.EAP) || !bytes.Equal(again.State, first.State) {
		t.Errorf("%+v, %v", again, err)
	}

	for name, state := range map[string][]byte{"a State of nobody": []byte("0123456789abcdef"), "no State": nil} {
		o = ask([]byte{2, 9, 0, 6, 3, 50}, state)
		r, err := radius.ParseEAPReject(o.Packet.Attributes)
		if err != nil || code(o) != radius.AccessReject || !bytes.Equal(r.EAP, []byte{4, 9, 0, 4}) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	other := w.caller(agentAt, secretOfAgent)
	stolen := other.ask((&radius.EAPRequest{NAS: radius.NAS{Identifier: "pgw"}, EAP: []byte{2, p.Identifier, 0, 5, 1}, State: first.State}).AppendTo(nil))
	if code(stolen) != radius.AccessReject {
		t.Errorf("another NAS goes on with a conversation: %+v", stolen)
	}
}

// FuzzRADIUS holds that octets from anywhere, and requests of a client that may hold
// anything, cause no panic, and at most one answer that the client believes.
func FuzzRADIUS(f *testing.F) {
	as, err := bindingRequest().AppendTo(nil)
	if err != nil {
		f.Fatal(err)
	}
	body := func(as []radius.Attribute) []byte {
		b, err := (&radius.Packet{Code: radius.AccessRequest, Attributes: as}).AppendTo(nil)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	f.Add(body(as), true)
	f.Add(body(as), false)
	as, _ = (&radius.KeyRequest{NAS: radius.NAS{Address: agent}, User: nai, HomeAgent: agent, SPI: 4098}).AppendTo(nil)
	f.Add(body(as), true)
	as, _ = (&radius.EAPRequest{NAS: radius.NAS{Address: agent}, User: nai, EAP: []byte{2, 1, 0, 6, 1, 'x'}}).AppendTo(nil)
	f.Add(body(as), true)
	f.Fuzz(func(t *testing.T, octets []byte, proven bool) {
		for _, profile := range []string{"3gpp2", "wimax"} {
			w := newRADIUSWorld(t, profile)
			c := w.caller(agentAt, secretOfAgent)
			p, err := radius.Parse(octets)
			if err != nil || !proven {
				if out := c.send(octets); len(out) != 0 {
					t.Errorf("%d answers to octets that prove nothing", len(out))
				}
				continue
			}
			p.Code, p.Attributes = radius.AccessRequest, radius.Guard(p.Attributes)
			b, err := p.AppendRequest(nil, radius.Secret(secretOfAgent))
			if err != nil {
				continue
			}
			for _, answer := range c.send(b) {
				if _, err := radius.VerifyResponse(answer, radius.Secret(secretOfAgent), p.Authenticator); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
