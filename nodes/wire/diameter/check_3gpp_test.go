package diameter

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// read parses a golden message after a change.
func read(t *testing.T, file string, change func(m *Message)) *Message {
	t.Helper()
	m, err := Parse(golden(t, file))
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	return m
}

// regroup changes what a Grouped AVP of a message holds.
func regroup(m *Message, c Code, change func(held []AVP) []AVP) {
	group := m.Find(c)
	held, _ := ParseAVPs(group.Data)
	group.Data = appendAll(nil, change(held))
}

func dropped(c Code) func([]AVP) []AVP {
	return func(held []AVP) []AVP { return slices.DeleteFunc(held, func(a AVP) bool { return a.Code == c }) }
}

func set(c Code, data []byte) func([]AVP) []AVP {
	return func(held []AVP) []AVP { find(held, c).Data = data; return held }
}

func TestEachRequestIsRefusedInTheFormOfItsAnswer(t *testing.T) {
	forms := map[grammarKey]bool{}
	for _, s := range samples() {
		m := read(t, s.file, func(*Message) {})
		form := grammarOf(m.Command, m.Application, 0)
		if !m.IsRequest() || m.Application == Base {
			continue
		}
		forms[grammarKey{m.Command, m.Application}] = true
		results := []ResultCode{UnableToComply, MissingAVP, TooBusy}
		if form.allows(ExperimentalResult) {
			results = append(results, UserUnknown)
		}
		for _, result := range results {
			f := &Failure{Result: result, What: "for a test"}
			refused(t, m, f)
			b, err := AppendFailure(nil, m, server, f)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Flags&Error != 0 {
				continue // refused has looked at it
			}
			if form.needs(AuthApplicationID) && number(answer.AVPs, AuthApplicationID) != uint32(m.Application) {
				t.Errorf("%s: Auth-Application-Id is not that of %v", s.file, m.Application)
			}
			if form.needs(VendorSpecificApplicationID) && number(inner(answer.AVPs, VendorSpecificApplicationID), AuthApplicationID) != uint32(m.Application) {
				t.Errorf("%s: Vendor-Specific-Application-Id is not that of %v", s.file, m.Application)
			}
			if form.needs(VendorSpecificApplicationID) && form.allows(UserName) && text(answer.AVPs, UserName) != text(m.AVPs, UserName) {
				t.Errorf("%s: User-Name is not the request's", s.file)
			}
			if form.needs(AuthRequestType) && number(answer.AVPs, AuthRequestType) != number(m.AVPs, AuthRequestType) {
				t.Errorf("%s: Auth-Request-Type is not the request's", s.file)
			}
		}
		if !form.allows(ExperimentalResult) {
			if _, err := AppendFailure(nil, m, server, &Failure{Result: UserUnknown}); err == nil {
				t.Errorf("%s: a vendor's result stands in an answer without a place for it", s.file)
			}
		}
	}
	for _, want := range []grammarKey{
		{MIP6, MIP6A}, {AAMobileNode, MIP4}, {MultimediaAuth, SWx}, {MultimediaAuth, Zh}, {ServerAssignment, SWx}, {RegistrationTermination, SWx}, {PushProfile, SWx},
		{BootstrappingInfo, Zn}, {DiameterEAP, S6b}, {DiameterEAP, STa}, {DiameterEAP, EAP}, {AA, S6b}, {ReAuth, S6b}, {AbortSession, S6b}, {SessionTermination, SWm},
	} {
		if !forms[want] {
			t.Errorf("there is no sample of %v over %v", want.command, want.application)
		}
	}
}

type grammarKey struct {
	command     Command
	application Application
}

func TestAVendorsFailureOfAMessageWithoutASessionHasAResultCodeToo(t *testing.T) { // RFC 6733, section 7.2
	m := read(t, "server-assignment-request", func(m *Message) { without(m, SessionID) })
	b, err := AppendFailure(nil, m, hss, &Failure{Result: UserUnknown, What: "who is that"})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	o, _, err := ParseError(answer)
	if err != nil || answer.Flags&Error == 0 || o.Result != UnableToComply || answer.Find(ExperimentalResult) == nil {
		t.Errorf("%+v, %v, flags %x", o, err, answer.Flags)
	}
}

func TestEachFaultOfAnApplicationOfThe3GPPIsTold(t *testing.T) {
	short := make([]byte, 15)
	for name, tt := range map[string]struct {
		file   string
		change func(m *Message)
		want   ResultCode
		failed Code // the AVP in Failed-AVP
	}{
		"no result at all": {"server-assignment-answer", func(m *Message) { without(m, ResultCodeAVP) }, MissingAVP, ResultCodeAVP},
		"two results": {"server-assignment-answer", func(m *Message) {
			m.AVPs = append(m.AVPs, AVP{Code: ExperimentalResult, Flags: Mandatory, Data: appendUint32(appendUint32(nil, VendorID, TGPP), ExperimentalResultCode, UserUnknown.Number())})
		}, ContradictingAVPs, ExperimentalResult},
		"an experimental result without a vendor": {"server-assignment-answer-unknown", func(m *Message) { regroup(m, ExperimentalResult, dropped(VendorID)) }, MissingAVP, ExperimentalResult},
		"another application in the group": {"server-assignment-request", func(m *Message) {
			regroup(m, VendorSpecificApplicationID, set(AuthApplicationID, []byte{1, 0, 0, 0}))
		}, InvalidAVPValue, VendorSpecificApplicationID},
		"no application in the group":      {"server-assignment-request", func(m *Message) { regroup(m, VendorSpecificApplicationID, dropped(AuthApplicationID)) }, MissingAVP, VendorSpecificApplicationID},
		"no application":                   {"server-assignment-request", func(m *Message) { without(m, VendorSpecificApplicationID) }, MissingAVP, VendorSpecificApplicationID},
		"a gateway that is not told":       {"server-assignment-request", func(m *Message) { without(m, MIP6AgentInfo) }, MissingAVP, MIP6AgentInfo},
		"a gateway's APN that is not told": {"server-assignment-request", func(m *Message) { without(m, ServiceSelection) }, MissingAVP, ServiceSelection},
		"vectors of no scheme":             {"multimedia-auth-request", func(m *Message) { regroup(m, SIPAuthDataItem, dropped(SIPAuthenticationScheme)) }, MissingAVP, SIPAuthDataItem},
		"vectors without a count":          {"multimedia-auth-request", func(m *Message) { without(m, SIPNumberAuthItems) }, MissingAVP, SIPNumberAuthItems},
		"AUTS of another length":           {"multimedia-auth-request-resync", func(m *Message) { regroup(m, SIPAuthDataItem, set(SIPAuthorization, short)) }, InvalidAVPValue, SIPAuthDataItem},
		"a vector without CK":              {"multimedia-auth-answer", func(m *Message) { regroup(m, SIPAuthDataItem, dropped(ConfidentialityKey)) }, MissingAVP, SIPAuthDataItem},
		"CK of 15 octets":                  {"multimedia-auth-answer", func(m *Message) { regroup(m, SIPAuthDataItem, set(ConfidentialityKey, short)) }, InvalidAVPLength, SIPAuthDataItem},
		"AUTN of 15 octets":                {"multimedia-auth-answer", func(m *Message) { regroup(m, SIPAuthDataItem, set(SIPAuthenticate, make([]byte, 31))) }, InvalidAVPValue, SIPAuthDataItem},
		"XRES of 3 octets":                 {"multimedia-auth-answer", func(m *Message) { regroup(m, SIPAuthDataItem, set(SIPAuthorization, short[:3])) }, InvalidAVPValue, SIPAuthDataItem},
		"a subscription's APN without its type": {"server-assignment-answer", func(m *Message) {
			regroup(m, Non3GPPUserDataAVP, func(held []AVP) []AVP { find(held, APNConfigurationAVP).Data = nil; return held })
		}, MissingAVP, Non3GPPUserDataAVP},
		"a challenge that says nothing":           {"diameter-eap-answer", func(m *Message) { without(m, EAPPayload) }, MissingAVP, EAPPayload},
		"a key in a request":                      {"diameter-eap-request", func(m *Message) { m.AVPs = append(m.AVPs, AVP{Code: EAPMasterSessionKey, Flags: Mandatory}) }, AVPNotAllowed, EAPMasterSessionKey},
		"no EAP":                                  {"diameter-eap-request", func(m *Message) { without(m, EAPPayload) }, MissingAVP, EAPPayload},
		"a command of another application":        {"diameter-eap-request", func(m *Message) { m.Application = SWx }, CommandUnsupported, 0},
		"a bootstrapping without a key":           {"bootstrapping-info-answer", func(m *Message) { without(m, MEKeyMaterial) }, MissingAVP, MEKeyMaterial},
		"a time of 3 octets":                      {"bootstrapping-info-answer", func(m *Message) { m.Find(KeyExpiryTime).Data = short[:3] }, InvalidAVPLength, KeyExpiryTime},
		"a challenge of AKA that is not there":    {"mip6a-answer-challenge", func(m *Message) { without(m, SIPAuthenticate) }, MissingAVP, SIPAuthenticate},
		"a challenge of AKA of 15 octets":         {"mip6a-answer-challenge", func(m *Message) { m.Find(SIPAuthenticate).Data = short }, InvalidAVPValue, SIPAuthenticate},
		"RES of 3 octets":                         {"mip6a-request-aka", func(m *Message) { m.Find(SIPAuthorization).Data = short[:3] }, InvalidAVPValue, SIPAuthorization},
		"a reason without a code":                 {"registration-termination-request", func(m *Message) { regroup(m, DeregistrationReasonAVP, dropped(ReasonCode)) }, MissingAVP, DeregistrationReasonAVP},
		"a vendor's AVP with M that has no place": {"push-profile-request", func(m *Message) { m.AVPs = append(m.AVPs, AVP{Code: IntegrityKey, Flags: Vendor | Mandatory}) }, AVPUnsupported, IntegrityKey},
	} {
		t.Run(name, func(t *testing.T) {
			m := read(t, tt.file, tt.change)
			at := slices.IndexFunc(samples(), func(s sample) bool { return s.file == tt.file })
			_, err := samples()[at].parse(m)
			var f *Failure
			if !errors.As(err, &f) || f.Result != tt.want {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if tt.failed == 0 != (f.AVP == nil) || f.AVP != nil && f.AVP.Code != tt.failed {
				t.Errorf("%+v in Failed-AVP, want %v", f.AVP, tt.failed)
			}
			if m.IsRequest() {
				refused(t, m, f)
			}
		})
	}
}

func TestAnAnswerMayHavePassedARelay(t *testing.T) { // as freeDiameter marks it
	for _, s := range samples() {
		m := read(t, s.file, func(m *Message) {
			m.AVPs = append(m.AVPs, AVP{Code: RouteRecord, Flags: Mandatory, Data: []byte(hss.Host)})
		})
		if m.IsRequest() || m.Application == Base {
			continue
		}
		if _, err := s.parse(m); err != nil {
			t.Errorf("%s: %v", s.file, err)
		}
	}
	m := read(t, "mip6a-answer-too-busy", func(m *Message) {
		m.AVPs = append(m.AVPs, AVP{Code: RouteRecord, Flags: Mandatory, Data: []byte(hss.Host)})
	})
	if _, _, err := ParseError(m); err != nil {
		t.Errorf("an answer with the E bit: %v", err)
	}
}

func TestNoKeyIsInWhatAFailureSays(t *testing.T) {
	secret := []byte("SECRETSECRETSECRETSECRET")
	for file, change := range map[string]func(m *Message){
		"multimedia-auth-answer":      func(m *Message) { regroup(m, SIPAuthDataItem, set(ConfidentialityKey, secret)) },
		"multimedia-auth-answer-zh":   func(m *Message) { regroup(m, SIPAuthDataItem, set(SIPAuthorization, secret)) },
		"bootstrapping-info-answer":   func(m *Message) { m.Find(MEKeyMaterial).Data = secret; without(m, OriginHost) },
		"diameter-eap-answer-success": func(m *Message) { m.Find(EAPMasterSessionKey).Data = secret; without(m, OriginHost) },
		"mip6a-request-aka":           func(m *Message) { m.Find(SIPAuthorization).Data = secret },
	} {
		at := slices.IndexFunc(samples(), func(s sample) bool { return s.file == file })
		_, err := samples()[at].parse(read(t, file, change))
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestAResultIsNamedWhoeverHasGivenItOut(t *testing.T) {
	for r, want := range map[ResultCode]struct {
		name   string
		vendor uint32
		number uint32
	}{
		UserUnknown:                             {"user-unknown", TGPP, 5001},
		AuthenticationDataUnavailable:           {"authentication-data-unavailable", TGPP, 4181},
		UserNoNon3GPPSubscription:               {"user-no-non-3gpp-subscription", TGPP, 5450},
		ResultCode(TGPP)<<32 | 5999:             {"result-10415-5999", TGPP, 5999},
		AVPUnsupported:                          {"avp-unsupported", 0, 5001},
		ResultCode(5999):                        {"result-5999", 0, 5999},
		ResultCode(9)<<32 | ResultCode(TooBusy): {"result-9-3004", 9, 3004},
	} {
		if r.String() != want.name || r.Vendor() != want.vendor || r.Number() != want.number {
			t.Errorf("%v, vendor %d, %d: want %+v", r, r.Vendor(), r.Number(), want)
		}
	}
	if !(ResultCode(TGPP)<<32 | 2001).Succeeded() || UserUnknown.Succeeded() {
		t.Error("2xxx succeeds, and nothing else")
	}
	if !TooBusy.ProtocolError() || (ResultCode(TGPP)<<32 | 3004).ProtocolError() {
		t.Error("protocol errors are the IETF's")
	}
}

func TestApplicationsOfThe3GPPAreOfferedAsAVendorsAndFoundEitherWay(t *testing.T) {
	own := &CapabilitiesExchangeRequest{Capabilities{Identity: server, Addresses: []netip.Addr{agent}, Auth: []Application{MIP6A, SWx, S6b}}}
	b, err := own.AppendTo(nil, Header{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCapabilitiesExchangeRequest(m)
	if err != nil || !slices.Equal(c.Auth, []Application{MIP6A}) || !slices.Equal(c.VendorAuth, []Application{SWx, S6b}) || !slices.Equal(c.Vendors, []uint32{TGPP}) {
		t.Fatalf("%+v, %v", c, err)
	}
	if !c.Offers(S6b) || !c.Offers(MIP6A) || c.Offers(Zn) {
		t.Errorf("offers %v and %v", c.Auth, c.VendorAuth)
	}
	for name, other := range map[string]Capabilities{"as a vendor's": {VendorAuth: []Application{SWx}}, "as the IETF's": {Auth: []Application{SWx}}} {
		if !c.Common(&other) {
			t.Errorf("SWx is not found %s", name)
		}
	}
	if again, err := c.AppendTo(nil, Header{}); err != nil || !bytes.Equal(again, b) {
		t.Errorf("wrote %x, then %x (%v)", b, again, err)
	}
}

func TestTimesOfBothErasAreRead(t *testing.T) { // RFC 5905, section 6; RFC 6733, section 4.3.1
	for _, tt := range []struct {
		at   time.Time
		want uint32
	}{
		{time.Date(1968, 1, 20, 3, 14, 8, 0, time.UTC), 0x80000000},
		{time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), 0xffffffff},
		{time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC), 0},
		{time.Date(2104, 2, 26, 9, 42, 23, 0, time.UTC), 0x7fffffff},
	} {
		b, err := appendTime(nil, KeyExpiryTime, tt.at)
		if err != nil {
			t.Error(err)
			continue
		}
		avps, _ := ParseAVPs(b)
		if got := number(avps, KeyExpiryTime); got != tt.want {
			t.Errorf("%v is %08x, want %08x", tt.at, got, tt.want)
		}
		if got := instant(avps, KeyExpiryTime); !got.Equal(tt.at) {
			t.Errorf("%08x is %v, want %v", tt.want, got, tt.at)
		}
	}
	for _, at := range []time.Time{time.Date(1968, 1, 20, 3, 14, 7, 0, time.UTC), time.Date(2104, 2, 26, 9, 42, 24, 0, time.UTC), time.Unix(0, 1)} {
		if _, err := appendTime(nil, KeyExpiryTime, at); err == nil {
			t.Errorf("%v: appended", at)
		}
	}
}

func TestWhatHasNoPlaceOnTheWireIsRefused(t *testing.T) {
	three := []netip.Addr{agent, agent, agent}
	for name, v := range map[string]command{
		"three home agents":           &ServerAssignmentRequest{Agent: &AgentInfo{Addresses: three}},
		"a host without a realm":      &ServerAssignmentRequest{Agent: &AgentInfo{Host: "x"}},
		"no address":                  &ServerAssignmentRequest{Agent: &AgentInfo{Addresses: make([]netip.Addr, 1)}},
		"a prefix of IPv4":            &AARequest{Application: S6b, Agent: &AgentInfo{Prefix: netip.MustParsePrefix("192.0.2.0/24")}},
		"three addresses of a node":   &PushProfileRequest{Data: &Non3GPPUserData{APNs: []APNConfiguration{{Addresses: three}}}},
		"a timeout of 1.5 s":          &ServerAssignmentAnswer{Data: &Non3GPPUserData{SessionTimeout: 1500 * time.Millisecond}},
		"XRES of 3 octets":            &MultimediaAuthAnswer{Items: []AuthItem{{XRES: make([]byte, 3)}}},
		"vectors over S6b":            &MultimediaAuthRequest{Application: S6b},
		"EAP over SWx":                &DiameterEAPRequest{Application: SWx},
		"no application":              &DiameterEAPRequest{},
		"a time before all eras":      &BootstrappingInfoAnswer{Expires: time.Unix(-1e10, 0)},
		"answer of 17 octets":         &MIP6Request{Home: home, HomeAgent: agent, CareOf: careOf, Answer: make([]byte, 17)},
		"a vendor's result of MIP6A":  &MIP6Answer{Outcome: Outcome{Result: UserUnknown}},
		"a vendor's result of an STR": &SessionTerminationAnswer{Outcome: Outcome{Result: UserUnknown}},
		"a vendor's result of an ASR": &AbortSessionAnswer{Outcome: Outcome{Result: UserUnknown}},
		"a vendor's result of an RAR": &ReAuthAnswer{Outcome: Outcome{Result: UserUnknown}},
	} {
		h := Header{Application: SWx}
		if _, ok := v.(*MultimediaAuthAnswer); !ok {
			h = Header{}
		}
		if _, err := v.AppendTo(nil, h); err == nil {
			t.Errorf("%s: appended", name)
		}
	}
}
