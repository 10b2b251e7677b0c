package diameter

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// golden reads octets written in hexadecimal, with comments.
func golden(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		tb.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return b
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

const (
	nai   = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	realm = "epc.mnc001.mcc001.3gppnetwork.org"
)

var (
	pgw     = Identity{Host: "pgw." + realm, Realm: realm, State: 0x65000000}
	server  = Identity{Host: "aaa." + realm, Realm: realm, State: 0x65000001}
	session = pgw.Host + ";3402393600;7"
	home    = netip.MustParseAddr("2001:db8:100::10")
	agent   = netip.MustParseAddr("2001:db8:100::1")
	careOf  = netip.MustParseAddr("2001:db8:200::99")
	stamp   = unhex("cacc680080000000")
)

func stateless(id Identity) Identity { id.State = 0; return id }

// A command is what all structs of messages can do.
type command interface {
	AppendTo([]byte, Header) ([]byte, error)
}

// A sample is what a golden file means: the value that writes it, and its parser.
type sample struct {
	file   string
	header Header // of the request where it is an answer
	value  command
	parse  func(*Message) (any, error)
}

// reading makes a parser one for any command.
func reading[T command](parse func(*Message) (T, error)) func(*Message) (any, error) {
	return func(m *Message) (any, error) { return parse(m) }
}

// samples are all of them.
func samples() []sample { return slices.Concat(typed, tgppTyped, eapTyped, gbaTyped, mip4Typed) }

var typed = []sample{
	{"capabilities-exchange-request", Header{HopByHop: 1, EndToEnd: 2},
		&CapabilitiesExchangeRequest{Capabilities{Identity: pgw, Addresses: []netip.Addr{agent}, Product: "s2clab", Auth: []Application{MIP6A}}},
		reading(ParseCapabilitiesExchangeRequest)},
	{"capabilities-exchange-answer", Header{Flags: Request, Command: CapabilitiesExchange, HopByHop: 1, EndToEnd: 2},
		&CapabilitiesExchangeAnswer{Outcome{Result: Success}, Capabilities{Identity: server, Addresses: []netip.Addr{netip.MustParseAddr("2001:db8:300::2")}, Product: "s2clab", Auth: []Application{MIP6A}}},
		reading(ParseCapabilitiesExchangeAnswer)},
	{"device-watchdog-request", Header{HopByHop: 3, EndToEnd: 4}, &DeviceWatchdogRequest{pgw},
		reading(ParseDeviceWatchdogRequest)},
	{"device-watchdog-answer", Header{Flags: Request, Command: DeviceWatchdog, HopByHop: 3, EndToEnd: 4}, &DeviceWatchdogAnswer{Outcome{Result: Success}, server},
		reading(ParseDeviceWatchdogAnswer)},
	{"disconnect-peer-request", Header{HopByHop: 5, EndToEnd: 6}, &DisconnectPeerRequest{stateless(server), Rebooting},
		reading(ParseDisconnectPeerRequest)},
	{"disconnect-peer-answer", Header{Flags: Request, Command: DisconnectPeer, HopByHop: 5, EndToEnd: 6}, &DisconnectPeerAnswer{Outcome{Result: Success}, stateless(pgw)},
		reading(ParseDisconnectPeerAnswer)},
	{"abort-session-request", Header{HopByHop: 9, EndToEnd: 10},
		&AbortSessionRequest{Application: MIP6A, Session: session, Identity: server, DestinationRealm: realm, DestinationHost: pgw.Host, User: nai},
		reading(ParseAbortSessionRequest)},
	{"abort-session-answer", Header{Flags: Request | Proxiable, Command: AbortSession, Application: MIP6A, HopByHop: 9, EndToEnd: 10},
		&AbortSessionAnswer{Session: session, Outcome: Outcome{Result: Success}, Identity: pgw},
		reading(ParseAbortSessionAnswer)},
	{"session-termination-request", Header{HopByHop: 7, EndToEnd: 8},
		&SessionTerminationRequest{Application: MIP6A, Session: session, Identity: pgw, DestinationRealm: "nai." + realm, User: nai, Cause: Logout},
		reading(ParseSessionTerminationRequest)},
	{"session-termination-answer", Header{Flags: Request | Proxiable, Command: SessionTermination, Application: MIP6A, HopByHop: 7, EndToEnd: 8},
		&SessionTerminationAnswer{Session: session, Outcome: Outcome{Result: Success}, Identity: server},
		reading(ParseSessionTerminationAnswer)},
	{"mip6a-request", Header{HopByHop: 0x01020304, EndToEnd: 0xa1b2c3d4}, &MIP6Request{
		Session: session, Identity: pgw, DestinationRealm: "nai." + realm, User: nai, Mode: AuthMNAAA, SPI: 3,
		Home: home, HomeAgent: agent, CareOf: careOf,
		Authenticator: unhex("70a0b95ba9d7b79b3ea32a303685a1fa2f5749c2"),
		MobilityData:  unhex("ffb4957e85aee318d8f0258c031fd18ae5dce807"),
		Timestamp:     stamp, Service: "internet", NoState: true,
		Homes: []netip.Addr{home}, Type: AuthorizeAuthenticate,
	}, reading(ParseMIP6Request)},
	{"mip6a-answer", Header{Flags: Request | Proxiable, Command: MIP6, Application: MIP6A, HopByHop: 0x01020304, EndToEnd: 0xa1b2c3d4}, &MIP6Answer{
		Session: session, Outcome: Outcome{Result: Success}, Identity: server, User: nai, Homes: []netip.Addr{home},
		MSA:       &MSA{Key: unhex("eccf27d643b747f26256f01328d8a6a3"), Lifetime: time.Hour, SPI: 256, Algorithm: HMACSHA1, Replay: ReplayTimestamp},
		Timestamp: stamp, Service: "internet", State: NoStateMaintained,
	}, reading(ParseMIP6Answer)},
	{"mip6a-answer-rejected", Header{Flags: Request | Proxiable, Command: MIP6, Application: MIP6A, HopByHop: 0x01020304, EndToEnd: 0xa1b2c3d4}, &MIP6Answer{
		Session: session, Outcome: Outcome{Result: AuthenticationRejected, Text: "the MN-AAA authenticator is not right"}, Identity: server, User: nai, State: NoStateMaintained,
	}, reading(ParseMIP6Answer)},
	{"mip6a-request-aka", Header{HopByHop: 0x41, EndToEnd: 0x42}, &MIP6Request{
		Session: session, Identity: pgw, DestinationRealm: "nai." + realm, User: nai, Mode: AuthAKA,
		Home: home, HomeAgent: agent, CareOf: careOf, Answer: vector.RAND[:], Timestamp: stamp,
		Homes: []netip.Addr{home}, Type: AuthorizeAuthenticate,
	}, reading(ParseMIP6Request)},
	{"mip6a-answer-challenge", asked(MIP6, MIP6A, 0x43, 0x44), &MIP6Answer{
		Session: session, Outcome: Outcome{Result: MultiRoundAuth}, Identity: server, User: nai, Challenge: &Challenge{RAND: vector.RAND, AUTN: vector.AUTN},
		State: NoStateMaintained,
	}, reading(ParseMIP6Answer)},
	{"mip6a-answer-nonce", asked(MIP6, MIP6A, 0x45, 0x46), &MIP6Answer{
		Session: session, Outcome: Outcome{Result: Success}, Identity: server, User: nai, Homes: []netip.Addr{home},
		MSA: &MSA{Key: unhex("eccf27d643b747f26256f01328d8a6a3"), Lifetime: time.Hour, SPI: 256, Algorithm: HMACSHA1, Replay: ReplayTimestamp,
			Nonce: unhex("000102030405060708090a0b0c0d0e0f")},
	}, reading(ParseMIP6Answer)},
}

var values = cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})}

func TestMessagesAreTheOctetsThatTheRFCsSay(t *testing.T) {
	for _, tt := range samples() {
		want := golden(t, tt.file)
		got, err := tt.value.AppendTo([]byte("before"), tt.header)
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		if got = got[len("before"):]; !bytes.Equal(got, want) {
			t.Errorf("%s: appended\n%x\nwant\n%x", tt.file, got, want)
		}
		m, err := Parse(want)
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		if !strings.HasPrefix(tt.file, m.Name()) {
			t.Errorf("%s: is named %s", tt.file, m.Name())
		}
		value, err := tt.parse(m)
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		if diff := cmp.Diff(tt.value, value, values); diff != "" {
			t.Errorf("%s: parsed (-want +got)\n%s", tt.file, diff)
		}
	}
}

func TestAProtocolErrorIsAnsweredWithTheEBit(t *testing.T) {
	request, err := Parse(golden(t, "mip6a-request"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := AppendFailure(nil, request, server, &Failure{Result: TooBusy, What: "too busy"})
	if err != nil {
		t.Fatal(err)
	}
	want := golden(t, "mip6a-answer-too-busy")
	if !bytes.Equal(got, want) {
		t.Fatalf("appended\n%x\nwant\n%x", got, want)
	}
	m, err := Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	o, from, err := ParseError(m)
	if err != nil || o.Result != TooBusy || o.Text != "too busy" || from != server {
		t.Errorf("parsed %+v from %+v, %v", o, from, err)
	}
	if _, err := ParseMIP6Answer(m); err == nil {
		t.Error("an answer with the E bit has the form of a MIP6-Answer")
	}
}

// RFC 6733, section 4.4.1, gives the lengths of a Grouped AVP and its members.
func TestPaddingAndLengthsAreThoseOfTheExampleInRFC6733(t *testing.T) {
	fill := func(n int) []byte { return bytes.Repeat([]byte{0xa5}, n) }
	members := []AVP{
		{Code: OriginHost, Flags: Mandatory, Data: []byte("example.com")},
		{Code: SessionID, Flags: Mandatory, Data: []byte("grump.example.com:33041;23432;893;0AF3B81")},
		{Code: SessionID, Flags: Mandatory, Data: []byte("grump.example.com:33054;23561;2358;0AF3B82")},
		{Code: 8341, Data: fill(223 - 8)},
		{Code: 15930, Data: fill(137 - 8)},
	}
	group := AVP{Code: 999999, Data: appendAll(nil, members)}
	b := group.append(nil)
	if len(b) != 496 {
		t.Errorf("the group has %d octets, want 496", len(b))
	}
	for at, want := range map[int]int{4: 496, 8 + 4: 19, 28 + 4: 49, 80 + 4: 50, 132 + 4: 223, 356 + 4: 137} {
		if got := int(b[at+1])<<16 | int(b[at+2])<<8 | int(b[at+3]); got != want {
			t.Errorf("the AVP at %d has length %d, want %d", at-4, got, want)
		}
	}
	parsed, err := ParseAVPs(b)
	if err != nil || len(parsed) != 1 {
		t.Fatal(parsed, err)
	}
	inner, err := ParseAVPs(parsed[0].Data)
	if diff := cmp.Diff(members, inner); diff != "" || err != nil {
		t.Error(err, diff)
	}
}
