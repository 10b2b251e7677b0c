package aaa

import (
	"bytes"
	"slices"
	"strconv"
	"testing"
	"time"

	"s2clab/nodes/hss"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
)

func TestBothSidesOfAnAuthenticationHaveTheSameKeysOnEachInterface(t *testing.T) {
	for _, application := range []diameter.Application{diameter.STa, diameter.SWm, diameter.S6b} {
		for _, method := range []eap.Type{eap.TypeAKA, eap.TypeAKAPrime} {
			n := newNetwork(t, "mip-options", "emsk")
			a := n.attach(newMobile(t), "1", method, func(a *access) { a.application, a.apn = application, "Internet" })
			if r := a.run(); r != diameter.Success || a.success == nil {
				t.Fatalf("%v: %v, told %q", application, r, n.told)
			}
			if a.success.Method != method || !bytes.Equal(a.ended.MSK, a.success.Keys.MSK[:]) || a.ended.User != nai0 {
				t.Errorf("%v, %v: %+v", application, method, a.ended)
			}
			if known := n.m.records.byNAI[nai0]; known.access.EMSK != a.success.Keys.EMSK || known.access.RAND != a.success.RAND {
				t.Error("the EMSK or RAND is another")
			}
			if (a.ended.Trust != nil) != (application == diameter.STa) || len(a.ended.APNs) != 1 || a.ended.APNs[0].Service != "internet" {
				t.Errorf("grant %+v", a.ended.Grant)
			}
			if n.m.Counts().Sessions != 1 || n.left() != 0 {
				t.Errorf("%d sessions, %d left", n.m.Counts().Sessions, n.left())
			}
			if held, err := n.store.Registration(imsi); err != nil || held.Server != "aaa."+realm {
				t.Errorf("registered with %q, %v", held, err)
			}
		}
	}
}

func TestAReauthenticationTakesNoVectorAndKeepsWhatTheFullOneLeft(t *testing.T) { // RFC 4187, section 5
	n := newNetwork(t, "partial-gba", "")
	u := newMobile(t)
	first := n.admitted(u, "1")
	btid, vectors := n.m.records.byNAI[nai0].btid, len(n.asked)
	for i := range 3 {
		again := n.attach(u, "1", eap.TypeAKAPrime)
		if r := again.run(); r != diameter.Success || !again.success.Fast || int(again.success.Counter) != i+1 {
			t.Fatalf("%v, %+v", r, again.success)
		}
		known := n.m.records.byNAI[nai0]
		if known.access.EMSK == first.success.Keys.EMSK || known.access.EMSK != again.success.Keys.EMSK {
			t.Error("the EMSK is not that of this one")
		}
		if known.btid != btid || known.access.CK != first.success.Keys.CK || known.access.RAND != first.success.RAND {
			t.Error("RAND, CK and IK are not those of the full authentication")
		}
	}
	if len(n.asked) != vectors || n.m.Counts().Sessions != 1 {
		t.Errorf("%d requests to the HSS, %d sessions", len(n.asked)-vectors, n.m.Counts().Sessions)
	}
}

// Of a subscriber who was forgotten nothing is known that a fast re-authentication
// could go on from: with zeros for RAND, CK and IK there would be a B-TID whose key
// anybody could make.
func TestAfterADeregistrationTheNextAuthenticationIsAFullOne(t *testing.T) {
	n := newNetwork(t, "partial-gba", "")
	u := newMobile(t)
	n.admitted(u, "1")
	n.deregister()
	zeros := keys.BTID([16]byte{}, "aaa."+realm)
	again := n.attach(u, "2", eap.TypeAKAPrime)
	if r := again.run(); r != diameter.Success || again.success.Fast {
		t.Fatalf("%v, %+v", r, again.success)
	}
	if n.m.records.byBTID[zeros] != nil || len(n.m.records.byBTID) != 1 {
		t.Error("there is a B-TID of zeros")
	}
}

// deregister has the HSS take the subscriber back.
func (n *network) deregister() {
	n.Helper()
	r := n.push(&diameter.RegistrationTerminationRequest{Session: "hss;1;1", Identity: diameter.Identity{Host: "hss." + realm, Realm: realm}, DestinationHost: "aaa." + realm, DestinationRealm: realm, User: imsi, Reason: diameter.PermanentTermination})
	if r != diameter.Success {
		n.Fatal(r)
	}
}

// push has the HSS ask something of the AAA server.
func (n *network) push(r diampeer.Request) diameter.ResultCode {
	n.Helper()
	m := n.send("hss."+realm, r)
	if m == nil {
		n.Fatal("no answer")
	}
	o, _, err := diameter.ParseError(m)
	if err != nil {
		n.Fatal(err)
	}
	return o.Result
}

func TestACardThatIsAheadIsAuthenticatedAfterOneRoundMore(t *testing.T) { // RFC 4187, section 6.3.1
	n := newNetwork(t, "mip-options", "emsk")
	u := newMobile(t)
	if err := u.card.Restore(slices.Repeat([]uint64{5000}, 32)); err != nil {
		t.Fatal(err)
	}
	a := n.attach(u, "1", eap.TypeAKAPrime)
	if r := a.run(); r != diameter.Success || a.rounds != 3 {
		t.Errorf("%v after %d rounds", r, a.rounds)
	}
}

// The right code on every leg and the mobile told why; no half-made association stays.
func TestFaultsOfAuthentication(t *testing.T) {
	put := func(n *network, change func(s *hss.Machine) ([]hss.Output, error)) {
		if _, err := change(n.hss); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		happens func(n *network, u *mobile, a *access)
		want    diameter.ResultCode
		mobile  string // why it failed, as the mobile knows it
		event   string
	}{
		"a wrong K": {func(n *network, u *mobile, a *access) {
			put(n, func(m *hss.Machine) ([]hss.Output, error) {
				s := subscription()
				s.K[0]++
				return m.Put(s)
			})
		}, diameter.AuthenticationRejected, "autn-invalid", "eap-refused " + nai6 + " authentication-rejected"},
		"an unknown subscriber": {func(n *network, u *mobile, a *access) {
			put(n, func(m *hss.Machine) ([]hss.Output, error) { return m.Remove(imsi) })
		}, diameter.UserUnknown, "general-failure", "hss-failed " + imsi + " vectors user-unknown"},
		"a barred subscriber": {func(n *network, u *mobile, a *access) {
			put(n, func(m *hss.Machine) ([]hss.Output, error) {
				s := subscription()
				s.BarredNon3GPP = true
				return m.Put(s)
			})
		}, diameter.AuthorizationRejected, "temporarily-denied", "eap-refused " + nai6 + " non-3gpp-access-barred"},
		"an APN that is not subscribed": {func(n *network, u *mobile, a *access) { a.apn = "ims" },
			diameter.UserNoAPNSubscription, "not-subscribed", "eap-refused " + nai6 + " no-apn-subscription"},
		"no subscription for such access": {func(n *network, u *mobile, a *access) {
			put(n, func(m *hss.Machine) ([]hss.Output, error) {
				s := subscription()
				s.APNs, s.DefaultAPN = nil, ""
				return m.Put(s)
			})
		}, diameter.UserNoNon3GPPSubscription, "general-failure", ""},
		"an HSS that is gone": {func(n *network, u *mobile, a *access) {
			n.hear(n.m.Step(n.now, diampeer.Closed{Conn: n.from("hss." + realm), Reason: "reset"}))
			n.silent["hss."+realm] = true
		}, diameter.UnableToComply, "general-failure", ""},
		"another AAA server's subscriber": {func(n *network, u *mobile, a *access) {
			n.hss.Assign(hss.AssignmentRequest{Server: "other", IMSI: imsi, Type: diameter.Registration})
		}, diameter.IdentityAlreadyRegistered, "general-failure", ""},
		"a vector for the other method": {func(n *network, u *mobile, a *access) {
			n.spoil = func(request, answer *diameter.Message) *diameter.Message {
				if request.Command == diameter.MultimediaAuth {
					return replace(answer, diameter.SIPAuthDataItem, func(data []byte) []byte {
						return bytes.Replace(data, []byte(diameter.SchemeEAPAKAPrime), []byte("EAP-AKA*"), 1)
					})
				}
				return answer
			}
		}, diameter.UnableToComply, "general-failure", "hss-failed " + imsi + " vectors malformed-answer"},
		"a vector without its item": {func(n *network, u *mobile, a *access) {
			n.spoil = func(_, answer *diameter.Message) *diameter.Message { return without(answer, diameter.SIPAuthDataItem) }
		}, diameter.UnableToComply, "general-failure", "hss-failed " + imsi + " vectors malformed-answer"},
		"a vector that is too long": {func(n *network, u *mobile, a *access) {
			n.spoil = func(_, answer *diameter.Message) *diameter.Message {
				return replace(answer, diameter.SIPAuthDataItem, func(data []byte) []byte { return append(data, make([]byte, 400)...) })
			}
		}, diameter.UnableToComply, "general-failure", ""},
		"an answer without a result": {func(n *network, u *mobile, a *access) {
			n.spoil = func(_, answer *diameter.Message) *diameter.Message { return without(answer, diameter.ResultCodeAVP) }
		}, diameter.UnableToComply, "general-failure", ""},
		"a profile without data": {func(n *network, u *mobile, a *access) {
			n.spoil = func(request, answer *diameter.Message) *diameter.Message {
				if request.Command == diameter.ServerAssignment {
					return without(answer, diameter.Non3GPPUserDataAVP)
				}
				return answer
			}
		}, diameter.UserNoNon3GPPSubscription, "general-failure-after-authentication", "hss-failed " + nai0 + " profile no-profile"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, "mip-options", "emsk")
			u := newMobile(t)
			a := n.attach(u, "1", eap.TypeAKAPrime)
			c.happens(n, u, a)
			for range 6 { // whoever waits for an HSS waits until it is given up
				if !a.turn() {
					before := len(n.to)
					n.pass(10 * time.Second)
					if len(n.to) == before {
						t.Fatal("no answer")
					}
					a.takes(n.to[before])
				}
				if a.ended.Result != diameter.MultiRoundAuth {
					break
				}
			}
			if a.ended.Result != c.want || a.success != nil || a.ended.MSK != nil {
				t.Errorf("result %v, want %v; told %q", a.ended.Result, c.want, n.told)
			}
			if a.failed != c.mobile {
				t.Errorf("the mobile is told %q, want %q", a.failed, c.mobile)
			}
			if c.event != "" {
				n.mustSee(c.event)
			}
			if n.m.Counts().Sessions != 0 || n.left() != 0 || len(n.m.records.byBTID) != 0 {
				t.Errorf("%d sessions, %d conversations and asks, %d B-TIDs stay", n.m.Counts().Sessions, n.left(), len(n.m.records.byBTID))
			}
			if r := n.m.records.byNAI[nai0]; r != nil && r.access != nil {
				t.Error("keys stay")
			}
		})
	}
}

const nai6 = "6" + imsi + "@" + naiReal

// without takes the AVPs of a code out of a message.
func without(m *diameter.Message, code diameter.Code) *diameter.Message {
	changed := *m
	changed.AVPs = slices.DeleteFunc(slices.Clone(m.AVPs), func(a diameter.AVP) bool { return a.Code == code })
	return &changed
}

func replace(m *diameter.Message, code diameter.Code, with func([]byte) []byte) *diameter.Message {
	changed := *m
	changed.AVPs = slices.Clone(m.AVPs)
	for i := range changed.AVPs {
		if a := &changed.AVPs[i]; a.Code == code {
			a.Data = with(bytes.Clone(a.Data))
		}
	}
	return &changed
}

func TestAServerThatWasRestartedSaysThatItDoesNotKnowTheConversation(t *testing.T) { // RFC 6733, section 7.1.5
	n := newNetwork(t, "mip-options", "emsk")
	u := newMobile(t)
	a := n.attach(u, "1", eap.TypeAKAPrime)
	if !a.turn() || a.ended.Result != diameter.MultiRoundAuth {
		t.Fatal("no challenge")
	}
	n.now = n.now.Add(time.Second)
	n.restart()
	if !a.turn() || a.ended.Result != diameter.UnknownSessionID || a.ended.EAP != nil || n.left() != 0 || n.m.Counts().Sessions != 0 {
		t.Errorf("%v, %d left", a.ended.Result, n.left())
	}
	n.admitted(u, "2") // and from the beginning it goes well
}

func TestWhatComesTwiceOrOutOfOrderIsAnsweredWithWhatWasSaidLast(t *testing.T) { // RFC 4072, section 2.4
	n := newNetwork(t, "mip-options", "emsk")
	u := newMobile(t)
	a := n.attach(u, "1", eap.TypeAKAPrime)
	identity := a.next
	if !a.turn() {
		t.Fatal("no challenge")
	}
	challenge, response := a.ended.EAP, a.next
	for _, packet := range [][]byte{identity, {2, 9, 0, 4}, {1, 2, 3}, bytes.Repeat([]byte{2}, 300)} {
		late := *a.request()
		late.EAP = packet
		m := n.send(twan, &late)
		got, err := diameter.ParseDiameterEAPAnswer(m)
		if err != nil || got.Result != diameter.MultiRoundAuth || !bytes.Equal(got.Reissued, challenge) || got.EAP != nil {
			t.Errorf("%x: %+v, %v", packet, got, err)
		}
	}
	a.next = response
	if r := a.run(); r != diameter.Success {
		t.Error(r)
	}
	a.next = response
	if a.turn(); a.ended.Result != diameter.UnknownSessionID || n.m.Counts().Sessions != 1 {
		t.Errorf("%v for one that is over", a.ended.Result)
	}
}

func TestARequestOfASessionThatWaitsForTheHSSIsToldToWait(t *testing.T) {
	n := newNetwork(t, "mip-options", "emsk")
	n.silent["hss."+realm] = true
	a := n.attach(newMobile(t), "1", eap.TypeAKAPrime)
	if a.turn() {
		t.Fatal("answered without a vector")
	}
	identity := a.next
	if a.turn(); a.ended.Result != diameter.TooBusy {
		t.Errorf("%v", a.ended.Result)
	}
	a.next = identity
	before := len(n.to)
	n.serve(0)
	if len(n.to) != before+1 || !a.takes(n.to[before]) || a.ended.Result != diameter.MultiRoundAuth {
		t.Fatal("no challenge")
	}
	n.serve(0) // the HSS says it twice
	n.silent["hss."+realm] = false
	if r := a.run(); r != diameter.Success {
		t.Error(r)
	}
}

func TestAnAnswerOfTheHSSThatIsTooLateHasNoEffect(t *testing.T) {
	n := newNetwork(t, "mip-options", "emsk")
	n.silent["hss."+realm] = true
	a := n.attach(newMobile(t), "1", eap.TypeAKAPrime)
	a.turn()
	n.pass(5 * time.Second)
	if len(n.to) != 1 {
		t.Fatal("no answer after the HSS was given up")
	}
	a.takes(n.to[0])
	n.serve(0)
	if len(n.to) != 1 {
		t.Error("a late answer was passed on")
	}
	a.run()
	if a.ended.Result != diameter.UnableToComply || n.left() != 0 {
		t.Errorf("%v, %d left", a.ended.Result, n.left())
	}
	n.mustSee("hss-failed " + imsi + " vectors time-out")
}

func TestWhoIsBarredMeanwhileLosesAllSessionsWhateverItCallsItself(t *testing.T) { // TS 29.273, section 8.1.2.4
	n := newNetwork(t, "mip-options", "emsk")
	u := newMobile(t)
	n.admitted(u, "1")
	n.attach(u, "2", eap.TypeAKA).run()
	held := n.proof(heldBy(u))
	if _, r := n.proven("3", held.Identifier, held.Key.Value); r != diameter.Success {
		t.Fatal(r)
	}
	other := n.attach(u, "4", eap.TypeAKA, func(a *access) {})
	other.user = "0" + imsi + "@home.example"
	u.identities[eap.TypeAKA].Context, u.identities[eap.TypeAKA].Pseudonym = nil, ""
	if r := other.run(); r != diameter.Success {
		t.Fatal(r)
	}
	n.pass(3 * time.Hour) // a session of an access that has told no end does not end by itself
	n.to = nil
	barred := diameter.Non3GPPBarred
	push := &diameter.PushProfileRequest{Session: "hss;1;2", Identity: diameter.Identity{Host: "hss." + realm, Realm: realm}, DestinationHost: "aaa." + realm, DestinationRealm: realm, User: imsi,
		Data: &diameter.Non3GPPUserData{Access: &barred}}
	if r := n.push(push); r != diameter.Success {
		t.Fatal(r)
	}
	var ended []string
	for _, m := range n.to {
		if r, err := diameter.ParseAbortSessionRequest(m); err == nil {
			ended = append(ended, r.Session)
		}
	}
	if want := []string{twan + ";1;1", twan + ";1;2", twan + ";1;4"}; !slices.Equal(ended, want) {
		t.Errorf("aborted %q, want %q", ended, want)
	}
	if again := n.attach(u, "5", eap.TypeAKAPrime); again.run() != diameter.AuthorizationRejected {
		t.Errorf("%v", again.ended.Result)
	}
}

func TestARegistrationThatEndsEndsAllSessionsAndWhatIsKnown(t *testing.T) { // TS 29.273, section 8.1.2.3
	n := newNetwork(t, "mip-options", "emsk")
	u := newMobile(t)
	n.admitted(u, "1")
	held := n.proof(heldBy(u))
	if _, r := n.proven("2", held.Identifier, held.Key.Value); r != diameter.Success {
		t.Fatal(r)
	}
	n.to = nil
	n.deregister()
	n.pass(leaveTakes)
	aborted := map[string]bool{}
	for _, session := range n.aborts() {
		aborted[session] = true
	}
	if len(aborted) != 2 || len(n.m.records.byNAI)+len(n.m.records.byIMSI)+len(n.m.records.byBTID)+len(n.m.records.line) != 0 {
		t.Errorf("%v aborted, records %+v", aborted, n.m.records)
	}
	if _, r := n.proven("3", held.Identifier, held.Key.Value); r != diameter.UnknownSessionID {
		t.Errorf("%v with keys of before", r)
	}
	n.mustSee("subscriber-deregistered " + nai0 + " permanent-termination")
	m := n.send("hss."+realm, &diameter.RegistrationTerminationRequest{Session: "hss;1;9", Identity: diameter.Identity{Host: "hss." + realm, Realm: realm}, DestinationHost: "aaa." + realm, DestinationRealm: realm, User: imsi, Reason: diameter.PermanentTermination})
	if o, _, _ := diameter.ParseError(m); o.Result != diameter.UserUnknown {
		t.Errorf("%v for one who is not known", o.Result)
	}
}

func TestAnAuthorizationThatWaitsWhenTheRegistrationEndsIsRefused(t *testing.T) {
	n := newNetwork(t, "mip-options", "emsk")
	u := newMobile(t)
	a := n.attach(u, "1", eap.TypeAKAPrime)
	a.turn()
	n.silent["hss."+realm] = true
	if a.turn() {
		t.Fatal("answered without a profile")
	}
	n.deregister()
	before := len(n.to)
	n.serve(len(n.asked) - 1)
	a.takes(n.to[before])
	if a.run() != diameter.AuthorizationRejected || n.m.Counts().Sessions != 0 {
		t.Errorf("%v, %d sessions", a.ended.Result, n.m.Counts().Sessions)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	n := newNetwork(t, "mip-options", "aka")
	all := newRecords()
	for i := range mostRecords + 10 {
		imsi := strconv.Itoa(1000000 + i)
		r := all.of(permanent(imsi, realm), imsi)
		var a keys.Access
		copy(a.RAND[:], imsi)
		all.shared(r, &a, realm)
	}
	for i := range 5 { // many names are one subscriber
		all.of("01000100@"+strconv.Itoa(i), "1000100")
	}
	if len(all.byIMSI) != mostRecords || len(all.byNAI) != mostRecords || len(all.byBTID) != mostRecords || len(all.line) != mostRecords {
		t.Errorf("%d, %d, %d, %d records", len(all.byIMSI), len(all.byNAI), len(all.byBTID), len(all.line))
	}
	for i := range mostConversations + 10 {
		r := diameter.DiameterEAPRequest{User: "x"}
		c := n.m.eap.begin(n.now, sessionKey{"h", strconv.Itoa(i)}, &r)
		if (c == nil) != (i >= mostConversations) {
			t.Fatalf("conversation %d: %v", i, c)
		}
		if c != nil {
			c.heard = n.now
		}
	}
	n.now = n.now.Add(conversationLasts + time.Second)
	if n.m.eap.begin(n.now, sessionKey{"h", "new"}, &diameter.DiameterEAPRequest{}) == nil || len(n.m.eap.open) != 1 {
		t.Error("the silent make no room")
	}
	for i := range mostChallenges + 10 {
		n.m.authority.challenges.add(&challenge{vector: keys.Vector{RAND: [16]byte{byte(i), byte(i >> 8)}}, sent: n.now})
	}
	if c := &n.m.authority.challenges; len(c.open) > mostChallenges || len(c.line) > mostChallenges {
		t.Errorf("%d challenges", len(c.open))
	}
	for i := range mostLasting + 10 {
		n.m.start(n.now, diameter.STa, strconv.Itoa(i), diameter.Identity{Host: "h" + strconv.Itoa(i), State: uint32(i + 1)}, nai0, 0)
	}
	if s := &n.m.sessions; len(s.open) != mostLasting || len(s.lasting) > 2*mostLasting || len(s.states) > mostStates {
		t.Errorf("%d sessions, %d in line, %d states", len(s.open), len(s.lasting), len(s.states))
	}
}
