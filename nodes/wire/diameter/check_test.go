package diameter

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// edit gives the golden MIP6-Request after a change.
func edit(t *testing.T, change func(m *Message)) *Message {
	t.Helper()
	m, err := Parse(golden(t, "mip6a-request"))
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	return m
}

func without(m *Message, c Code) {
	m.AVPs = slices.DeleteFunc(m.AVPs, func(a AVP) bool { return a.Code == c })
}

func TestEachFaultHasItsResultCodeAndFailedAVP(t *testing.T) {
	u32 := func(v byte) []byte { return []byte{0, 0, 0, v} }
	tests := map[string]struct {
		change func(m *Message)
		want   ResultCode
		failed string // the AVP in Failed-AVP; empty: none
		data   []byte // of it; nil: whatever
	}{
		"nothing wrong":            {func(m *Message) {}, 0, "", nil},
		"an unknown AVP without M": {func(m *Message) { m.AVPs = append(m.AVPs, AVP{Code: 9999}) }, 0, "", nil},
		"a vendor's AVP without M": {func(m *Message) { m.AVPs = append(m.AVPs, AVP{Code: tgpp | 1, Flags: Vendor}) }, 0, "", nil},
		"no M where it should be":  {func(m *Message) { m.Find(UserName).Flags = 0 }, 0, "", nil},
		"T":                        {func(m *Message) { m.Flags |= Retransmitted }, 0, "", nil},
		"a reserved command flag":  {func(m *Message) { m.Flags |= 1 }, 0, "", nil},
		"an unknown command":       {func(m *Message) { m.Command = 272 }, CommandUnsupported, "", nil},
		"an unknown application":   {func(m *Message) { m.Application = 16777251 }, ApplicationUnsupported, "", nil},
		"R and E":                  {func(m *Message) { m.Flags |= Error }, InvalidHeaderBits, "", nil},
		"no P":                     {func(m *Message) { m.Flags &^= Proxiable }, InvalidHeaderBits, "", nil},
		"an unknown AVP with M":    {func(m *Message) { m.AVPs = append(m.AVPs, AVP{Code: 9999, Flags: Mandatory, Data: []byte("x")}) }, AVPUnsupported, "AVP 9999", []byte("x")},
		"a vendor's AVP with M":    {func(m *Message) { m.AVPs = append(m.AVPs, AVP{Code: tgpp | 1, Flags: Mandatory | Vendor}) }, AVPUnsupported, "AVP 10415/1", nil},
		"an AVP that has no place, with M": {func(m *Message) {
			m.AVPs = append(m.AVPs, AVP{Code: RedirectHost, Flags: Mandatory, Data: []byte("aaa://x")})
		}, AVPUnsupported, "Redirect-Host", nil},
		"an unknown AVP with M in a group": {func(m *Message) {
			a := m.Find(MIP6AgentInfo)
			a.Data = (&AVP{Code: 9999, Flags: Mandatory}).append(a.Data)
		}, AVPUnsupported, "MIP6-Agent-Info", (&AVP{Code: 9999, Flags: Mandatory}).append(nil)},
		"a forbidden AVP": {func(m *Message) { m.AVPs = append(m.AVPs, AVP{Code: MIPMSALifetime, Flags: Mandatory, Data: u32(1)}) }, AVPNotAllowed, "MIP-MSA-Lifetime", u32(1)},
		"an AVP twice": {func(m *Message) {
			m.AVPs = append(m.AVPs, AVP{Code: UserName, Flags: Mandatory, Data: []byte("second")})
		}, AVPTooManyTimes, "User-Name", []byte("second")},
		"an AVP missing":                       {func(m *Message) { without(m, MIPCareofAddress) }, MissingAVP, "MIP-Careof-Address", make([]byte, 6)},
		"an AVP missing that the mode needs":   {func(m *Message) { without(m, MIPMNAAASPI) }, MissingAVP, "MIP-MN-AAA-SPI", u32(0)},
		"no home agent's address":              {func(m *Message) { m.Find(MIP6AgentInfo).Data = nil }, MissingAVP, "MIP6-Agent-Info", (&AVP{Code: MIPHomeAgentAddress, Flags: Mandatory, Data: make([]byte, 6)}).append(nil)},
		"a number of 3 octets":                 {func(m *Message) { m.Find(MIP6AuthMode).Data = []byte{0, 0, 1} }, InvalidAVPLength, "MIP6-Auth-Mode", nil},
		"an IPv6 address of 4 octets":          {func(m *Message) { m.Find(MIPCareofAddress).Data = []byte{0, 2, 1, 2, 3, 4} }, InvalidAVPLength, "MIP-Careof-Address", nil},
		"an address of another family":         {func(m *Message) { m.Find(MIPCareofAddress).Data = []byte{0, 8, 1, 2, 3, 4} }, InvalidAVPValue, "MIP-Careof-Address", nil},
		"an empty address":                     {func(m *Message) { m.Find(MIPCareofAddress).Data = nil }, InvalidAVPLength, "MIP-Careof-Address", nil},
		"text that is not UTF-8":               {func(m *Message) { m.Find(UserName).Data = []byte("\xff@x") }, InvalidAVPValue, "User-Name", nil},
		"an identity with a space":             {func(m *Message) { m.Find(OriginHost).Data = []byte("a b") }, InvalidAVPValue, "Origin-Host", nil},
		"an identity of 256 octets":            {func(m *Message) { m.Find(OriginHost).Data = bytes.Repeat([]byte("a"), 256) }, InvalidAVPValue, "Origin-Host", nil},
		"an empty realm":                       {func(m *Message) { m.Find(DestinationRealm).Data = nil }, InvalidAVPLength, "Destination-Realm", nil},
		"another application inside":           {func(m *Message) { m.Find(AuthApplicationID).Data = u32(7) }, InvalidAVPValue, "Auth-Application-Id", u32(7)},
		"a group that ends inside an AVP":      {func(m *Message) { a := m.Find(MIP6AgentInfo); a.Data = a.Data[:len(a.Data)-4] }, InvalidAVPLength, "MIP6-Agent-Info", nil},
		"a request to authorise only":          {func(m *Message) { m.Find(AuthRequestType).Data = u32(2) }, InvalidAVPValue, "Auth-Request-Type", u32(2)},
		"mobility data that is no SHA-1":       {func(m *Message) { m.Find(MIPMACMobilityData).Data = []byte("short") }, InvalidAVPValue, "MIP-MAC-Mobility-Data", []byte("short")},
		"a timestamp of 7 octets":              {func(m *Message) { m.Find(MIPTimestamp).Data = make([]byte, 7) }, InvalidAVPLength, "MIP-Timestamp", make([]byte, 7)},
		"another mode without what ours needs": {func(m *Message) { m.Find(MIP6AuthMode).Data = u32(2); without(m, MIPAuthenticator) }, 0, "", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := edit(t, tt.change)
			_, err := ParseMIP6Request(m)
			if tt.want == 0 {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var f *Failure
			if !errors.As(err, &f) || f.Result != tt.want {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if !errors.Is(err, ErrMalformed) {
				t.Error("the failure is not ErrMalformed")
			}
			switch {
			case tt.failed == "" && f.AVP != nil:
				t.Errorf("%v in Failed-AVP, want none", f.AVP.Code)
			case tt.failed != "" && (f.AVP == nil || f.AVP.Code.String() != tt.failed):
				t.Errorf("%+v in Failed-AVP, want %s", f.AVP, tt.failed)
			case tt.data != nil && !bytes.Equal(f.AVP.Data, tt.data):
				t.Errorf("value %x in Failed-AVP, want %x", f.AVP.Data, tt.data)
			}
			refused(t, m, f)
		})
	}
}

// refused holds the answer to a request that failed to what RFC 6733 says of
// such answers in sections 6.2 and 7.
func refused(t *testing.T, request *Message, f *Failure) {
	t.Helper()
	b, err := AppendFailure(nil, request, server, f)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	o, from, err := ParseError(m)
	if err != nil {
		t.Fatalf("the answer is wrong itself: %v", err)
	}
	if o.Result != f.Result || stateless(from) != stateless(server) || o.Text != f.What {
		t.Errorf("the answer says %v %q from %v", o.Result, o.Text, from)
	}
	id := request.Find(SessionID)
	inForm := m.Application != Base && grammarOf(m.Command, m.Application, 0) != nil && id != nil && SessionID.kind().check(id.Data) == 0
	if eBit := m.Flags&Error != 0; inForm && eBit != f.Result.ProtocolError() {
		t.Errorf("flags %x with %v", m.Flags, f.Result)
	}
	if m.HopByHop != request.HopByHop || m.EndToEnd != request.EndToEnd || m.Command != request.Command ||
		m.Application != request.Application || m.Flags&Proxiable != request.Flags&Proxiable || m.IsRequest() {
		t.Errorf("header %+v answers %+v", m.Header, request.Header)
	}
	// One with the V bit and Vendor-ID 0 is shown as it came, and cannot be read.
	if bad := f.AVP != nil && f.AVP.Flags&Vendor != 0 && f.AVP.Code.Vendor() == 0; !bad && (f.AVP != nil) != (len(o.Failed) == 1) {
		t.Errorf("Failed-AVP %+v for %+v", o.Failed, f.AVP)
	}
}

func TestAWrongLengthOfAnAVPIsAnsweredWithItsHeader(t *testing.T) {
	whole := golden(t, "mip6a-request")
	at := bytes.Index(whole, []byte{0, 0, 1, 0xee, 0x40}) // MIP6-Auth-Mode
	for name, length := range map[string]uint32{"longer than the message": 0xffffff, "just too long": uint32(len(whole) - at + 1), "shorter than its header": 7, "none": 0} {
		t.Run(name, func(t *testing.T) {
			b := slices.Clone(whole)
			b[at+5], b[at+6], b[at+7] = byte(length>>16), byte(length>>8), byte(length)
			m, err := Parse(b)
			var f *Failure
			if !errors.As(err, &f) || f.Result != InvalidAVPLength || f.AVP.Code != MIP6AuthMode || !bytes.Equal(f.AVP.Data, make([]byte, 4)) {
				t.Fatalf("got %+v", err)
			}
			if m == nil || m.Find(SessionID) == nil {
				t.Fatal("what stands before it is lost")
			}
			refused(t, m, f)
		})
	}
	t.Run("an incomplete header", func(t *testing.T) {
		b := append(slices.Clone(whole), 0, 0, 1, 8)
		b[2], b[3] = byte(len(b)>>8), byte(len(b))
		_, err := Parse(b)
		var f *Failure
		if !errors.As(err, &f) || f.Result != InvalidAVPLength || f.AVP.Code != OriginHost {
			t.Fatalf("got %+v", err)
		}
	})
	t.Run("a vendor bit without a vendor", func(t *testing.T) {
		b := slices.Clone(whole)
		b[at+4] |= byte(Vendor)
		b[at+7] += 0
		copy(b[at+8:], []byte{0, 0, 0, 0})
		_, err := Parse(b)
		var f *Failure
		if !errors.As(err, &f) || f.Result != InvalidAVPBits {
			t.Fatalf("got %+v", err)
		}
	})
}

func TestOctetsThatAreNoDiameterAreTold(t *testing.T) {
	whole := golden(t, "device-watchdog-request")
	for name, change := range map[string]func(b []byte) []byte{
		"empty":                      func(b []byte) []byte { return nil },
		"version 2":                  func(b []byte) []byte { b[0] = 2; return b },
		"a length of 19":             func(b []byte) []byte { b[2], b[3] = 0, 19; return b },
		"a length that is no word's": func(b []byte) []byte { b[3]++; return b },
		"a length of 16 MB":          func(b []byte) []byte { b[1], b[2], b[3] = 0xff, 0xff, 0xfc; return b },
		"cut short":                  func(b []byte) []byte { return b[:len(b)-4] },
		"too long":                   func(b []byte) []byte { return append(b, 0, 0, 0, 0) },
	} {
		if m, err := Parse(change(slices.Clone(whole))); m != nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

func TestAnAnswerMustHoldWhatItsResultPromises(t *testing.T) {
	for name, change := range map[string]func(m *Message){
		"success without a home address": func(m *Message) { without(m, MIPMobileNodeAddress) },
		"an association without SPI": func(m *Message) {
			inner, _ := ParseAVPs(m.Find(MIPMNHAMSA).Data)
			inner = slices.DeleteFunc(inner, func(a AVP) bool { return a.Code == MIPMNHASPI })
			m.Find(MIPMNHAMSA).Data = appendAll(nil, inner)
		},
		"an association without a key": func(m *Message) {
			inner, _ := ParseAVPs(m.Find(MIPMNHAMSA).Data)
			m.Find(MIPMNHAMSA).Data = appendAll(nil, inner[1:])
		},
		"a destination": func(m *Message) {
			m.AVPs = append(m.AVPs, AVP{Code: DestinationHost, Flags: Mandatory, Data: []byte("x")})
		},
		"no result code": func(m *Message) { without(m, ResultCodeAVP) },
	} {
		m, err := Parse(golden(t, "mip6a-answer"))
		if err != nil {
			t.Fatal(err)
		}
		change(m)
		if a, err := ParseMIP6Answer(m); err == nil {
			t.Errorf("%s: read as %+v", name, a)
		}
	}
}

func TestNoReplayModeMeansNoReplayProtection(t *testing.T) { // RFC 5778, section 6.12
	m, err := Parse(golden(t, "mip6a-answer"))
	if err != nil {
		t.Fatal(err)
	}
	inner, _ := ParseAVPs(m.Find(MIPMNHAMSA).Data)
	m.Find(MIPMNHAMSA).Data = appendAll(nil, slices.DeleteFunc(inner, func(a AVP) bool { return a.Code == MIPReplayMode }))
	a, err := ParseMIP6Answer(m)
	if err != nil || a.MSA.Replay != ReplayNone {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestProxyInfoComesBackInOrder(t *testing.T) { // RFC 6733, section 6.2
	proxy := func(host string) AVP {
		return AVP{Code: ProxyInfo, Flags: Mandatory, Data: appendOctets(appendOctets(nil, ProxyHost, host), ProxyState, "state")}
	}
	m := edit(t, func(m *Message) { m.AVPs = append(m.AVPs, proxy("first"), proxy("second")) })
	b, err := AppendFailure(nil, m, server, &Failure{Result: UnableToDeliver})
	if err != nil {
		t.Fatal(err)
	}
	if first, second := bytes.Index(b, []byte("first")), bytes.Index(b, []byte("second")); first < 0 || second < first {
		t.Errorf("at %d and %d", first, second)
	}
}

func TestTheDictionaryIsInOrderAndWhole(t *testing.T) {
	words := slices.Concat(dictionary[:], tgppDictionary[:])
	for i, d := range words {
		if i > 0 && words[i-1].code >= d.code {
			t.Errorf("%s stands out of order", d.name)
		}
		if (d.code.Vendor() != 0) != (d.flags&Vendor != 0) {
			t.Errorf("%s: the V bit goes with a vendor", d.name)
		}
		if found := define(d.code); found == nil || found.name != d.name {
			t.Errorf("%s is not found", d.name)
		}
		if (d.kind == grouped) != (d.group != nil) && !slices.Contains([]Code{FailedAVP, QoSResources, QoSCapability}, d.code) {
			t.Errorf("%s: a group has rules, and nothing else has", d.name)
		}
	}
	all := [][]rule{errorRules[:]}
	for _, g := range grammars {
		all = append(all, g.rules)
	}
	for _, d := range words {
		all = append(all, d.group)
	}
	for _, rules := range all {
		if len(rules) > 48 {
			t.Errorf("%d rules", len(rules))
		}
		for i, r := range rules {
			if define(r.code) == nil {
				t.Errorf("%v is not in the dictionary", r.code)
			}
			if slices.ContainsFunc(rules[:i], func(o rule) bool { return o.code == r.code }) {
				t.Errorf("%v has two rules", r.code)
			}
		}
	}
}

func TestCommonApplicationsAreFoundWhereverTheyStand(t *testing.T) { // RFC 6733, section 5.3
	own := &Capabilities{Auth: []Application{MIP6A}}
	for name, tt := range map[string]struct {
		other Capabilities
		want  bool
	}{
		"the same":            {Capabilities{Auth: []Application{1, MIP6A}}, true},
		"as a vendor's":       {Capabilities{VendorAuth: []Application{MIP6A}}, true},
		"a relay":             {Capabilities{Auth: []Application{Relay}}, true},
		"a relay of accounts": {Capabilities{Acct: []Application{Relay}}, true},
		"another":             {Capabilities{Auth: []Application{MIP6I}}, false},
		"none":                {Capabilities{}, false},
	} {
		if got := own.Common(&tt.other); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestVendorSpecificApplicationsAreRead(t *testing.T) {
	m, err := Parse(golden(t, "capabilities-exchange-request"))
	if err != nil {
		t.Fatal(err)
	}
	m.AVPs = append(m.AVPs, AVP{Code: VendorSpecificApplicationID, Flags: Mandatory, Data: appendUint32(appendUint32(nil, VendorID, TGPP), AuthApplicationID, S6b)})
	c, err := ParseCapabilitiesExchangeRequest(m)
	if err != nil || !slices.Equal(c.VendorAuth, []Application{16777272}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestValuesThatDoNotFitAreRefused(t *testing.T) {
	good := func() *MIP6Answer {
		return &MIP6Answer{Session: session, Identity: server, Outcome: Outcome{Result: Success}, MSA: &MSA{}}
	}
	for name, change := range map[string]func(a *MIP6Answer){
		"a lifetime below 0":        func(a *MIP6Answer) { a.MSA.Lifetime = -1 },
		"a lifetime of 1.5 s":       func(a *MIP6Answer) { a.MSA.Lifetime = 1500e6 },
		"a lifetime of 2^32 s":      func(a *MIP6Answer) { a.MSA.Lifetime = 1 << 32 * 1e9 },
		"a timestamp of 4 octets":   func(a *MIP6Answer) { a.Timestamp = make([]byte, 4) },
		"more than 2^24 octets":     func(a *MIP6Answer) { a.Text = strings.Repeat("x", 1<<24) },
		"an authorization of 1 ns":  func(a *MIP6Answer) { a.Authorized = 1 },
		"a key of 16 million bytes": func(a *MIP6Answer) { a.MSA.Key = make([]byte, 1<<24) },
	} {
		a := good()
		change(a)
		if _, err := a.AppendTo(nil, Header{}); err == nil {
			t.Errorf("%s: appended", name)
		}
	}
	if _, err := (&MIP6Request{}).AppendTo(nil, Header{}); err == nil {
		t.Error("a request without addresses: appended")
	}
}
