package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/mip4"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/mh"
	wire4 "s2clab/nodes/wire/mip4"
	"s2clab/nodes/wire/radius"
)

// The page docs/commonality.md counts what profiles have in common. Its first table is
// made by letting each profile register twice, with the codecs and methods that roles
// use; its second by looking for names in the source.

var profiles = []string{"3gpp", "3gpp2", "wimax", "mipv4"}

const (
	commonNAI   = "0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	commonRealm = "epc.mnc001.mcc001.3gppnetwork.org"
)

var (
	commonStart = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	commonKey   = bytes.Repeat([]byte{0x40}, 16)
	commonAgent = bootstrap.Agent{Address: netip.MustParseAddr("2001:db8:100::1"), Host: "pgw." + commonRealm}
	commonHome  = netip.MustParseAddr("2001:db8:100::10")
	commonCare  = netip.MustParseAddr("2001:db8:200::99")
)

// A conduct is what a profile did.
type conduct struct {
	access          []string // messages on access, with their octets
	first, reply    []string // options or extensions of the first request, and of its reply
	later           []string // of a later request
	mnAAA, mnHA     string   // authenticators: SPI, transform
	root, made      keys.Derived
	protocol        string
	asked, answered string   // messages of the AAA protocol, with their octets
	attributes      []string // of what is asked
}

func octets(name string, b []byte) string { return fmt.Sprintf("%s, %d octets", name, len(b)) }

// conducts has each profile register.
func conducts(t *testing.T) map[string]*conduct {
	t.Helper()
	all := map[string]*conduct{}
	for _, profile := range profiles {
		source := ""
		if profile == "3gpp" {
			source = "static"
		}
		method, err := bootstrap.Of(profile, "mip-options", source)
		if err != nil {
			t.Fatal(err)
		}
		if profile == "mipv4" {
			all[profile] = registered4(t, method)
		} else {
			all[profile] = registered6(t, profile, method)
		}
	}
	return all
}

// registered6 registers by Mobile IPv6.
func registered6(t *testing.T, profile string, method bootstrap.Method) *conduct {
	t.Helper()
	c := &conduct{}
	access := &keys.Access{Method: "eap-aka", Identity: commonNAI, EMSK: [64]byte{1}}
	held := &bootstrap.Held{NAI: commonNAI, MNAAASPI: mh.HMACSHA1SPI, MNAAAKey: commonKey, Realm: commonRealm, Access: access}
	found := &bootstrap.Found{Provisioned: commonKey, Access: access}
	p := method.Mobile.Prove(held, commonAgent)
	stamp := keys.NTP(commonStart)
	update := &mh.BindingUpdate{Seq: 1, Flags: mh.AckRequested | mh.HomeRegistration, Lifetime: 10 * time.Minute,
		Options: append([]mh.Option{mh.MNIdentifier{Subtype: mh.NAI, Identifier: p.Identifier}, mh.ReplayProtection{Timestamp: stamp}}, p.Options...)}
	var first []byte
	var data [20]byte
	var err error
	if p.Subtype == mh.MNAAA {
		first, data, err = association.SealMNAAA(nil, update, p.SPI, p.Key.Value, commonCare, commonHome, commonCare, commonAgent.Address)
	} else {
		first, err = association.SealMNHA(nil, update, association.New(p.SPI, p.Key.Value), commonCare, commonHome, commonCare, commonAgent.Address)
	}
	if err != nil {
		t.Fatal(err)
	}
	freshness := association.Freshness(update, data)
	spi := p.SPI
	switch {
	case method.Server != nil:
		root, ok := method.Server.MNAAA(found)
		_, mnAAASPI, authenticator, err := association.MobilityData(first, commonCare, commonHome)
		if err != nil || !ok || association.VerifyMNAAA(root.Value, mnAAASPI, data, authenticator) != nil {
			t.Fatalf("%s: the server does not verify: %v", profile, err)
		}
		c.root = root
		c.made, _ = method.Server.Associate(root, bootstrap.Request{Identifier: p.Identifier, HomeAgent: commonAgent, Freshness: freshness, Lifetime: time.Hour, Nonce: make([]byte, 16)})
		c.mnAAA = fmt.Sprintf("SPI %d, HMAC-SHA1, %d octets", mnAAASPI, len(authenticator))
		if spi = 256; profile == "3gpp2" {
			spi = bootstrap.ThreeGPP2SPI
		}
		c.ask(t, profile, authenticator, data, stamp)
	default:
		key, its, ok := method.Keeper.Key(found, p.Identifier, commonAgent)
		if !ok || its != spi {
			t.Fatalf("%s: no key for SPI %d", profile, spi)
		}
		root := keys.NewMIPRoot(access.EMSK[:], keys.WiMAXDeployed).Key()
		c.root = keys.Derived{Name: keys.NameMIPRK, How: "of the EMSK of access authentication", Value: root[:]}
		c.made, c.mnAAA = key, "none"
		c.ask(t, profile, nil, data, stamp)
	}
	mobiles, err := method.Mobile.Conclude(held, &p, bootstrap.Acknowledgement{HomeAgent: commonAgent, SPI: spi, Freshness: freshness})
	if err != nil || !bytes.Equal(mobiles.Value, c.made.Value) {
		t.Fatalf("%s: the mobile node has another key: %v", profile, err)
	}
	shared := association.New(spi, c.made.Value)
	reply, err := association.SealMNHA(nil, &mh.BindingAcknowledgement{Seq: 1, Lifetime: 10 * time.Minute, Options: update.Options[:2]}, shared, commonCare, commonHome, commonAgent.Address, commonCare)
	if err != nil {
		t.Fatal(err)
	}
	update.Options = update.Options[:2]
	later, err := association.SealMNHA(nil, update, shared, commonCare, commonHome, commonCare, commonAgent.Address)
	if err != nil {
		t.Fatal(err)
	}
	c.mnHA = fmt.Sprintf("SPI %s, HMAC-SHA1, 12 octets", spiSource(profile, spi))
	c.access = []string{octets("binding-update", first), octets("binding-acknowledgement", reply)}
	c.first, c.reply, c.later = options(t, first), options(t, reply), options(t, later)
	return c
}

func spiSource(profile string, spi uint32) string {
	switch profile {
	case "3gpp2":
		return fmt.Sprint(spi)
	case "wimax":
		return "of the EMSK"
	}
	return "of the AAA server"
}

// options are those of a Mobility Header, with the subtype of authentication.
func options(t *testing.T, b []byte) (all []string) {
	t.Helper()
	w := mh.WalkOptions(b)
	for w.Next() {
		switch w.Type {
		case mh.OptionPad1, mh.OptionPadN:
		case mh.OptionAuthentication:
			all = append(all, mh.AuthSubtype(w.Data[0]).String())
		default:
			all = append(all, w.Type.String())
		}
	}
	if w.Err() != nil {
		t.Fatal(w.Err())
	}
	return all
}

// ask makes what a home agent asks and is answered of a Binding Update.
func (c *conduct) ask(t *testing.T, profile string, authenticator []byte, data [20]byte, stamp uint64) {
	t.Helper()
	s := timestamp(stamp)
	if profile == "3gpp" {
		id := diameter.Identity{Host: commonAgent.Host, Realm: commonRealm}
		c.diameter(t, &diameter.MIP6Request{Session: commonAgent.Host + ";1;1", Identity: id, DestinationRealm: commonRealm, User: commonNAI, Mode: diameter.AuthMNAAA, SPI: mh.HMACSHA1SPI,
			Home: commonHome, HomeAgent: commonAgent.Address, CareOf: commonCare, Authenticator: authenticator, MobilityData: data[:], Timestamp: s},
			&diameter.MIP6Answer{Session: commonAgent.Host + ";1;1", Outcome: diameter.Outcome{Result: diameter.Success}, Identity: diameter.Identity{Host: "aaa." + commonRealm, Realm: commonRealm}, User: commonNAI,
				Homes: []netip.Addr{commonHome}, MSA: &diameter.MSA{Key: c.made.Value, Lifetime: time.Hour, SPI: 256, Algorithm: diameter.HMACSHA1, Replay: diameter.ReplayTimestamp}})
		return
	}
	c.protocol = "RADIUS"
	secret := radius.Secret("a shared secret!")
	cover := &radius.Cover{Secret: secret}
	nas := radius.NAS{Identifier: commonAgent.Host}
	var request, answer []radius.Attribute
	var err, err2 error
	if profile == "3gpp2" {
		request, err = (&radius.BindingRequest{NAS: nas, User: commonNAI, HomeAgent: commonAgent.Address, CareOf: commonCare, Home: commonHome, Timestamp: s, Authenticator: authenticator, MobilityData: data[:]}).AppendTo(nil)
		answer, err2 = (&radius.BindingAccept{User: commonNAI, SessionKey: c.made.Value, Lifetime: time.Hour}).AppendTo(nil, cover)
	} else {
		request, err = (&radius.KeyRequest{NAS: nas, User: commonNAI, HomeAgent: commonAgent.Address, SPI: 1000}).AppendTo(nil)
		answer, err2 = (&radius.KeyAccept{User: commonNAI, Key: c.made.Value, SPI: 1000, Lifetime: time.Hour}).AppendTo(nil, cover)
	}
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	b, err := (&radius.Packet{Code: radius.AccessRequest, Attributes: radius.Guard(request)}).AppendRequest(nil, secret)
	if err != nil {
		t.Fatal(err)
	}
	c.asked = octets(radius.AccessRequest.String(), b)
	if b, err = (&radius.Packet{Code: radius.AccessAccept, Attributes: radius.Guard(answer)}).AppendResponse(nil, secret, radius.Authenticator{}); err != nil {
		t.Fatal(err)
	}
	c.answered = octets(radius.AccessAccept.String(), b)
	unpacked, err := radius.Unpack(request)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range unpacked {
		c.attributes = append(c.attributes, a.Type.String())
	}
}

func timestamp(stamp uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(stamp >> (56 - 8*i))
	}
	return b
}

// An appender is a message of Diameter.
type appender interface {
	AppendTo(b []byte, h diameter.Header) ([]byte, error)
}

func (c *conduct) diameter(t *testing.T, request, answer appender) *diameter.Message {
	t.Helper()
	b, err := request.AppendTo(nil, diameter.Header{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := diameter.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	c.protocol = fmt.Sprintf("Diameter, application %d (%v)", uint32(m.Application), m.Application)
	c.asked = octets(m.Name(), b)
	for _, a := range m.AVPs {
		c.attributes = append(c.attributes, a.Code.String())
	}
	if b, err = answer.AppendTo(nil, m.Header); err != nil {
		t.Fatal(err)
	}
	if m, err = diameter.Parse(b); err != nil {
		t.Fatal(err)
	}
	if err := diameter.Check(m); err != nil {
		t.Fatal(err)
	}
	c.answered = octets(m.Name(), b)
	return m
}

// registered4 registers by Mobile IPv4: the machines do it.
func registered4(t *testing.T, method bootstrap.Method) *conduct {
	t.Helper()
	c := &conduct{}
	here, careOf, home := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.99"), netip.MustParseAddr("192.0.2.10")
	at := bootstrap.Agent{Address: here, Host: commonAgent.Host}
	mobile, err := mip4.NewMobile(mip4.MobileOptions{NAI: commonNAI, Home: netip.IPv4Unspecified(), Agent: at, Lifetime: 10 * time.Minute, Method: method.Mobile,
		Held: &bootstrap.Held{NAI: commonNAI, MNAAASPI: 256, MNAAAKey: commonKey}, Rand: rand.New(rand.NewPCG(1, 1))})
	if err != nil {
		t.Fatal(err)
	}
	agent, err := mip4.NewAgent(mip4.AgentOptions{Address: here, Home: netip.MustParsePrefix("192.0.2.0/24"), Longest: time.Hour, Asks: true, Pool: []netip.Addr{home}})
	if err != nil {
		t.Fatal(err)
	}
	var sent [][]byte
	var mobiles keys.Derived
	now, done := commonStart, 0
	var away func([]mip4.MobileOutput)
	var back func([]mip4.AgentOutput)
	away = func(out []mip4.MobileOutput) {
		for _, o := range out {
			switch o := o.(type) {
			case mip4.Send:
				sent = append(sent, o.Octets)
				back(agent.Step(now, mip4.RequestReceived{From: netip.AddrPortFrom(o.From, 5000), To: o.To.Addr(), Octets: o.Octets}))
			case mip4.Made:
				mobiles = o.Key
			case mip4.Registered:
				done++
			}
		}
	}
	back = func(out []mip4.AgentOutput) {
		for _, o := range out {
			switch o := o.(type) {
			case mip4.Ask:
				r := o.Request(diameter.Identity{Host: commonAgent.Host, Realm: commonRealm})
				r.Session, r.DestinationRealm = commonAgent.Host+";1;1", commonRealm
				root, _ := method.Server.MNAAA(&bootstrap.Found{Provisioned: commonKey})
				if !keys.Equal(keys.HMACMD5.Sum(root.Value, r.Covered()), r.Authenticator()) {
					t.Fatal("the server does not verify")
				}
				nonce := make([]byte, 16)
				c.root = root
				c.made, _ = method.Server.Associate(root, bootstrap.Request{Identifier: commonNAI, HomeAgent: at, Lifetime: time.Hour, Nonce: nonce})
				c.mnAAA = fmt.Sprintf("SPI %d, HMAC-MD5, %d octets", r.SPI, r.Size)
				m := c.diameter(t, r, &diameter.AAMobileNodeAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: diameter.Identity{Host: "aaa." + commonRealm, Realm: commonRealm},
					User: commonNAI, HomeAgent: here, Home: netip.IPv4Unspecified(), MSA: &diameter.MSA{Key: c.made.Value, Lifetime: time.Hour, SPI: 256, Algorithm: diameter.HMACSHA1, Replay: diameter.ReplayTimestamp, Nonce: nonce}})
				back(agent.Step(now, mip4.Answered{ID: o.ID, Answer: mip4.Read(m)}))
			case mip4.Reply:
				sent = append(sent, o.Octets)
				away(mobile.Step(now, mip4.ReplyReceived{From: netip.AddrPortFrom(o.From, wire4.Port), Octets: o.Octets}))
			}
		}
	}
	away(mobile.Step(now, mip4.Attached{CareOf: careOf}))
	now = now.Add(time.Minute)
	away(mobile.Step(now, mip4.Attached{CareOf: netip.MustParseAddr("203.0.113.7")}))
	if done != 2 || len(sent) != 4 || !bytes.Equal(mobiles.Value, c.made.Value) {
		t.Fatalf("%d registrations, %d datagrams", done, len(sent))
	}
	c.mnHA = fmt.Sprintf("SPI of the AAA server, and of the mobile node, HMAC-SHA1, %d octets", len(wire4.Places(sent[2])[0].Authenticator))
	c.access = []string{octets("registration-request", sent[0]), octets("registration-reply", sent[1])}
	c.first, c.reply, c.later = extensions(t, sent[0]), extensions(t, sent[1]), extensions(t, sent[2])
	return c
}

// extensions are those of a registration message, in words of the options that say the
// same.
func extensions(t *testing.T, b []byte) (all []string) {
	t.Helper()
	m, err := wire4.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	var held []wire4.Extension
	switch m := m.(type) {
	case *wire4.RegistrationRequest:
		held = m.Extensions
	case *wire4.RegistrationReply:
		held = m.Extensions
	}
	for _, e := range held {
		switch e := e.(type) {
		case wire4.Identifier:
			all = append(all, "mn-identifier")
		case wire4.KeyGenerationRequest:
			all = append(all, "nonce-request")
		case wire4.KeyGenerationReply:
			all = append(all, "nonce")
		case wire4.Authentication:
			all = append(all, e.Kind.String())
		}
	}
	return all
}

// A part is a piece of code, and by whom it is used: in the file that is named for a
// profile, a name of it stands.
type part struct {
	what string
	in   string // file, below nodes
	name string
	used [4]string // files, below nodes, by profile; empty: none
}

const (
	kMNSec, kHASec = "mn/security.go", "ha/ask.go"
	k4             = "session/mip4/"
)

// parts are what profiles are made of.
var parts = []part{
	{"the seam of all methods", "session/bootstrap/bootstrap.go", "Method", every("session/bootstrap/methods.go")},
	{"an MN-AAA key that was put in both", "session/bootstrap/mip_options.go", "provisioned", [4]string{"session/bootstrap/methods.go", "session/bootstrap/methods.go", "", "session/bootstrap/mipv4.go"}},
	{"a root key of the EMSK", "keys/wimax.go", "NewMIPRoot", [4]string{0: "session/bootstrap/of_emsk.go", 2: "session/bootstrap/wimax.go"}},
	{"MN-HA key of NAI, home agent and timestamp", "keys/keys.go", "SessionKey", [4]string{0: "session/bootstrap/mip_options.go"}},
	{"MN-HA key of NAI and timestamp", "keys/threegpp2.go", "ThreeGPP2SessionKey", [4]string{1: "session/bootstrap/threegpp2.go"}},
	{"MN-HA key of home agent and NAI", "keys/wimax.go", "CMIP6", [4]string{2: "session/bootstrap/wimax.go"}},
	{"MN-HA key of a nonce and NAI", "keys/rfc3957.go", "GeneratedKey", [4]string{"session/bootstrap/gba_rfc3957.go", "", "", "session/bootstrap/mipv4.go"}},
	{"HMAC-SHA1 that keys are made by", "keys/keys.go", "NewMAC", [4]string{"keys/keys.go", "keys/threegpp2.go", "keys/wimax.go", "keys/rfc3957.go"}},
	{"a key that is told of without being told", "keys/derived.go", "Derived", [4]string{"session/bootstrap/mip_options.go", "session/bootstrap/threegpp2.go", "session/bootstrap/wimax.go", "session/bootstrap/mipv4.go"}},
	{"authenticators of RFC 4285", "session/association/association.go", "SealMNHA", bindings(kMNSec)},
	{"authenticators of RFC 5944", "keys/mip4.go", "Transform", [4]string{3: k4 + "association.go"}},
	{"when a timestamp is fresh, and what else is said", "session/association/replay.go", "ReplayGuard", [4]string{kHASec, kHASec, kHASec, k4 + "agent.go"}},
	{"timestamps", "keys/ntp.go", "NTP", [4]string{kMNSec, kMNSec, kMNSec, k4 + "mobile.go"}},
	{"messages on access of Mobile IPv6", "wire/mh/binding_update.go", "BindingUpdate", bindings("mn/registration.go")},
	{"messages on access of Mobile IPv4", "wire/mip4/registration_request.go", "RegistrationRequest", [4]string{3: k4 + "mobile.go"}},
	{"a mobile node's registration by Mobile IPv6", "mn/registration.go", "registration", bindings("mn/machine.go")},
	{"a mobile node's registration by Mobile IPv4", k4 + "mobile.go", "Mobile", [4]string{3: "mn/mip4.go"}},
	{"a mobile node's accesses, and which of them carries it", "mn/access.go", "access", every("mn/machine.go")},
	{"a mobile node's addresses by DHCP", "mn/dhcp.go", "dynamic", every("mn/access.go")},
	{"tunnels", "host/tunnel.go", "Binding", every("mn/kernel.go")},
	{"a home agent's bindings of Mobile IPv6", "ha/binding.go", "binding", bindings("ha/machine.go")},
	{"a home agent's bindings of Mobile IPv4", k4 + "agent.go", "Agent", [4]string{3: "ha/mip4.go"}},
	{"Diameter: messages, AVPs and their rules", "wire/diameter/rules.go", "Check", diameters("wire/diameter/outcome.go", "wire/diameter/outcome.go")},
	{"Diameter: peers", "session/diampeer/server.go", "Server", diameters("aaa/machine.go", "aaa/machine.go")},
	{"the association in an AAA server's answer", "wire/diameter/mip6.go", "MSA", diameters("wire/diameter/mip6.go", "wire/diameter/mip4.go")},
	{"what a home agent asks of a Binding Update", "wire/diameter/mip6.go", "MIP6Request", diameters("ha/asker.go", "")},
	{"what a home agent asks of a registration", "wire/diameter/mip4.go", "AAMobileNodeRequest", diameters("", k4+"diameter.go")},
	{"the AAA server's decision: find, authenticate, authorize, associate", "aaa/authority.go", "find", [4]string{"aaa/authority.go", "aaa/authority.go", "", "aaa/registration.go"}},
	{"the AAA server's question to the HSS", "aaa/records.go", "withProfile", [4]string{"aaa/authority.go", "aaa/authority.go", "aaa/radius.go", "aaa/authority.go"}},
	{"the AAA server's sessions", "aaa/sessions.go", "start", diameters("aaa/authority.go", "aaa/authority.go")},
	{"RADIUS: packets and their rules", "wire/radius/radius.go", "Packet", [4]string{1: "session/radpeer/client.go", 2: "session/radpeer/client.go"}},
	{"RADIUS: what a home agent of 3GPP2 asks", "wire/radius/binding.go", "BindingRequest", [4]string{1: "wire/radius/binding.go"}},
	{"RADIUS: what a home agent of WiMAX asks", "wire/radius/mobilitykey.go", "KeyRequest", [4]string{2: "wire/radius/mobilitykey.go"}},
}

func every(file string) [4]string    { return [4]string{file, file, file, file} }
func bindings(file string) [4]string { return [4]string{file, file, file, ""} }
func diameters(of6, of4 string) [4]string {
	return [4]string{0: of6, 3: of4}
}

// declares says whether a file declares a name, and mentions whether it stands there.
func names(t *testing.T, file, name string) (declares, mentions bool) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../../nodes", file), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			declares = declares || n.Name.Name == name
		case *ast.TypeSpec:
			declares = declares || n.Name.Name == name
		case *ast.Ident:
			mentions = mentions || n.Name == name
		}
		return true
	})
	return declares, mentions
}

func TestTheCountOfWhatProfilesShareIsOfTheCode(t *testing.T) {
	all := conducts(t)
	var page strings.Builder
	page.WriteString(`# What profiles have in common

The paper claims that a network that bootstraps Mobile IPv6 by its options (profile
3gpp) has what cdma2000 (3gpp2), WiMAX and Mobile IPv4 need too: the same home agent,
AAA server and keys. This page counts it. A test makes it, and fails where it is not
what the code does; ` + "`go test ./cmd/s2clab -run ProfilesShare -update`" + ` writes it.

## What they say

Each profile registers twice, with the codecs and methods of this program: 3gpp with
MIP options and a provisioned key. Mobile node and network have made the same key. Octets
are of Mobility Headers, of UDP data, and of Diameter messages and RADIUS packets. Of
extensions of Mobile IPv4 the name is that of the option of Mobile IPv6 that says the
same; its timestamp, in the Identification, is a field of each message.

`)
	fmt.Fprintf(&page, "| | %s |\n|%s\n", strings.Join(profiles, " | "), strings.Repeat("---|", len(profiles)+1))
	row := func(what string, cell func(c *conduct) string) {
		fmt.Fprintf(&page, "| %s |", what)
		for _, p := range profiles {
			fmt.Fprintf(&page, " %s |", cell(all[p]))
		}
		page.WriteString("\n")
	}
	list := func(of func(c *conduct) []string) func(c *conduct) string {
		return func(c *conduct) string { return strings.Join(of(c), ", ") }
	}
	row("first request", func(c *conduct) string { return c.access[0] })
	row("its reply", func(c *conduct) string { return c.access[1] })
	row("says in the first request", list(func(c *conduct) []string { return c.first }))
	row("says in its reply", list(func(c *conduct) []string { return c.reply }))
	row("says in a later request", list(func(c *conduct) []string { return c.later }))
	row("MN-AAA", func(c *conduct) string { return c.mnAAA })
	row("MN-HA", func(c *conduct) string { return c.mnHA })
	row("root", func(c *conduct) string { return c.root.Name + ", " + c.root.How })
	row("MN-HA key", func(c *conduct) string {
		return fmt.Sprintf("%d octets: `%s`", len(c.made.Value), strings.ReplaceAll(c.made.How, "|", "\\|"))
	})
	row("AAA protocol", func(c *conduct) string { return c.protocol })
	row("is asked", func(c *conduct) string { return c.asked })
	row("answers", func(c *conduct) string { return c.answered })
	row("AVPs or attributes that are asked with", func(c *conduct) string { return fmt.Sprint(len(c.attributes)) })
	row("of these, in 3gpp too", func(c *conduct) string {
		n := 0
		for _, a := range c.attributes {
			if slices.Contains(all["3gpp"].attributes, a) {
				n++
			}
		}
		return fmt.Sprint(n)
	})
	page.WriteString(`
## What they are made of

Parts of the program below ` + "`nodes`" + `, with the name in that file by which each is used: the
roles speak all four, in labs (scenarios profile-3gpp2, profile-wimax and profile-mipv4).
3gpp makes a key of a nonce with ` + "`bootstrap: gba-rfc3957`" + `, and one of access authentication
with ` + "`key-source: emsk`" + `.

`)
	fmt.Fprintf(&page, "| part | where | %s |\n|%s\n", strings.Join(profiles, " | "), strings.Repeat("---|", len(profiles)+2))
	var count, shared, only [4]int
	for _, p := range parts {
		if declares, _ := names(t, p.in, p.name); !declares {
			t.Errorf("%s: %s does not declare %s", p.what, p.in, p.name)
		}
		fmt.Fprintf(&page, "| %s | %s: `%s` |", p.what, p.in, p.name)
		users := 0
		for i, file := range p.used {
			mark := ""
			if file != "" {
				if _, mentions := names(t, file, p.name); !mentions {
					t.Errorf("%s, %s: %s does not use %s", p.what, profiles[i], file, p.name)
				}
				mark, users = "x", users+1
				count[i]++
			}
			fmt.Fprintf(&page, " %s |", mark)
		}
		page.WriteString("\n")
		for i, file := range p.used {
			switch {
			case file == "":
			case p.used[0] != "":
				shared[i]++
			case users == 1:
				only[i]++
			}
		}
	}
	total := func(what string, of [4]int) {
		fmt.Fprintf(&page, "| %s | |", what)
		for _, n := range of {
			fmt.Fprintf(&page, " %d |", n)
		}
		page.WriteString("\n")
	}
	total("**parts**", count)
	total("**of these, of 3gpp too**", shared)
	total("**of these, of nobody else**", only)
	const file = "../../docs/commonality.md"
	if *update {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != page.String() {
		t.Errorf("%s is not what the code does; write it with: go test ./cmd/s2clab -run ProfilesShare -update", file)
	}
}
