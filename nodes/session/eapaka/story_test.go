package eapaka

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/eap"
)

var (
	onlyAKA   = []eap.Type{eap.TypeAKA}
	onlyPrime = []eap.Type{eap.TypeAKAPrime}
)

func TestAFullAuthenticationByEAPAKAPrimeTakesTwoRounds(t *testing.T) {
	s := newStory()
	done := s.succeeds(t, "-> Identity", "<- Challenge'", "-> Challenge'", "<- Success")
	if done.Method != eap.TypeAKAPrime || done.Fast || done.Network != network || done.Identity != "6"+imsi+"@"+realm || done.RAND == [16]byte{} {
		t.Errorf("%+v", done)
	}
	if len(s.wants) != 1 || s.wants[0].IMSI != imsi || s.wants[0].Network != network || s.wants[0].Method != eap.TypeAKAPrime {
		t.Errorf("vectors asked for: %+v", s.wants)
	}
	if !s.server.Over() || !s.ue.Over() {
		t.Error("it is not over")
	}
}

func TestAFullAuthenticationByEAPAKATakesTwoRounds(t *testing.T) {
	s := newStory()
	s.peer.Methods, s.policy.Methods = onlyAKA, onlyAKA
	done := s.succeeds(t, "-> Identity", "<- Challenge", "-> Challenge", "<- Success")
	if done.Method != eap.TypeAKA || done.Network != "" || done.Identity != "0"+imsi+"@"+realm || s.wants[0].Network != "" {
		t.Errorf("%+v", done)
	}
}

func TestAServerMayAskForTheIdentityItself(t *testing.T) {
	for _, methods := range [][]eap.Type{onlyAKA, onlyPrime} {
		s := newStory()
		s.policy.Methods, s.peer.Methods, s.policy.AskIdentity = methods, methods, true
		prime := ""
		if methods[0] == eap.TypeAKAPrime {
			prime = "'"
		}
		s.succeeds(t, "-> Identity", "<- Identity"+prime+" AT_ANY_ID_REQ", "-> Identity"+prime, "<- Challenge"+prime, "-> Challenge"+prime, "<- Success")
	}
}

func TestAServerMayBeginWithoutAPassThrough(t *testing.T) {
	s := newStory()
	s.server, s.ue = NewServer(s.policy, s.network), NewPeer(s.peer)
	s.fromServer(s.server.Step(Start{}))
	for s.step() {
	}
	if s.ueEnds == nil || s.said[0] != "<- Identity" {
		t.Errorf("%q", s.said)
	}
	if got := s.server.Step(Start{}); len(got) != 1 || got[0] != (Ignored{"already-started"}) {
		t.Errorf("a second start: %v", got)
	}
}

func TestAServerAsksOnlyForIdentitiesThatAreOfUse(t *testing.T) {
	for _, c := range []struct {
		pseudonyms bool
		reauths    uint16
		want       string
	}{{true, 1, "AT_ANY_ID_REQ"}, {true, 0, "AT_FULLAUTH_ID_REQ"}, {false, 0, "AT_PERMANENT_ID_REQ"}} {
		s := newStory()
		s.policy.AskIdentity, s.policy.Pseudonyms, s.policy.Reauths = true, c.pseudonyms, c.reauths
		s.succeeds(t)
		if s.said[1] != "<- Identity' "+c.want {
			t.Errorf("%s, want %s", s.said[1], c.want)
		}
	}
}

func TestOneWhoIsKnownGoesByPseudonymAndFastReauthentication(t *testing.T) {
	for _, methods := range [][]eap.Type{onlyAKA, onlyPrime} {
		for _, asks := range []bool{false, true} {
			s := newStory()
			s.policy.Methods, s.peer.Methods, s.policy.AskIdentity = methods, methods, asks
			first := s.succeeds(t)
			if s.peer.Identities.Pseudonym == "" || strings.Contains(s.peer.Identities.Pseudonym, imsi[5:]) {
				t.Fatalf("pseudonym %q", s.peer.Identities.Pseudonym)
			}
			seen := map[[64]byte]bool{first.Keys.MSK: true}
			for round := uint16(1); round <= 3; round++ {
				fast := s.succeeds(t)
				if !fast.Fast || fast.Counter != round || len(s.wants) != 0 || ParseIdentity(fast.Identity).Kind != Reauthentication {
					t.Fatalf("round %d: %+v, %d vectors", round, fast, len(s.wants))
				}
				if seen[fast.Keys.MSK] || fast.Keys.aut != first.Keys.aut {
					t.Fatalf("round %d: the MSK again, or another K_aut", round)
				}
				seen[fast.Keys.MSK] = true
			}
			full := s.succeeds(t) // the server's limit
			if full.Fast || ParseIdentity(full.Identity).Kind != Pseudonym || full.Keys.aut == first.Keys.aut {
				t.Fatalf("after the limit: %+v", full)
			}
		}
	}
}

func TestWithoutPseudonymsThePermanentIdentityIsUsedAgain(t *testing.T) {
	s := newStory()
	s.policy.Aliases = nil
	s.succeeds(t)
	if again := s.succeeds(t); again.Fast || ParseIdentity(again.Identity).Kind != Permanent || *s.peer.Identities != (Identities{}) {
		t.Errorf("%+v, remembered %+v", again, s.peer.Identities)
	}
}

func TestAServerThatHasForgottenAsksThreeTimesAtMost(t *testing.T) {
	s := newStory()
	s.succeeds(t)
	s.policy.Aliases, s.policy.AskIdentity = NewAliasTable(10), true
	done := s.succeeds(t, "-> Identity", "<- Identity' AT_ANY_ID_REQ", "-> Identity'", "<- Identity' AT_FULLAUTH_ID_REQ", "-> Identity'",
		"<- Identity' AT_PERMANENT_ID_REQ", "-> Identity'", "<- Challenge'", "-> Challenge'", "<- Success")
	if ParseIdentity(done.Identity).Kind != Permanent {
		t.Errorf("%+v", done)
	}
}

func TestAConservativePeerKeepsItsPermanentIdentityPrivate(t *testing.T) {
	s := newStory()
	s.policy.Reauths = 0
	s.succeeds(t)
	s.policy.Aliases, s.peer.Conservative = NewAliasTable(10), true
	s.fails(t, "client-error-0", "identity-kept-private", "-> Identity", "<- Identity' AT_PERMANENT_ID_REQ", "-> Client-Error'", "<- Failure")
}

func TestADecoratedIdentityIsAskedForAgain(t *testing.T) {
	s := newStory()
	s.pass = func(toPeer bool, packet []byte) [][]byte {
		if p, _ := eap.Parse(packet); p.Type == eap.TypeIdentity {
			p.Data = []byte("home.example!6" + imsi + "@visited.example")
			packet, _ = p.AppendTo(nil)
		}
		return [][]byte{packet}
	}
	s.succeeds(t, "-> Identity", "<- Identity' AT_ANY_ID_REQ", "-> Identity'", "<- Challenge'", "-> Challenge'", "<- Success")
}

func TestAPeerThatNaksIsOfferedTheOtherMethod(t *testing.T) {
	s := newStory()
	s.peer.Methods = onlyAKA
	done := s.succeeds(t, "-> Identity", "<- Challenge'", "-> Nak", "<- Challenge", "-> Challenge", "<- Success")
	if done.Method != eap.TypeAKA || len(s.wants) != 2 {
		t.Errorf("%+v by %d vectors", done, len(s.wants))
	}
	s = newStory()
	s.peer.Methods, s.policy.AskIdentity = onlyAKA, true
	s.succeeds(t, "-> Identity", "<- Identity' AT_ANY_ID_REQ", "-> Nak", "<- Identity AT_ANY_ID_REQ", "-> Identity", "<- Challenge", "-> Challenge", "<- Success")
}

func TestWithoutACommonMethodThereIsNone(t *testing.T) {
	s := newStory()
	s.peer.Methods, s.policy.Methods = onlyAKA, onlyPrime
	s.fails(t, "no-common-method", "refused-by-network", "-> Identity", "<- Challenge'", "-> Nak", "<- Failure")
	s = newStory()
	s.network, s.policy.Methods = "", onlyPrime // EAP-AKA' needs the network's name
	s.fails(t, "no-common-method", "refused-by-network", "-> Identity", "<- Failure")
}

func TestWithoutANetworkNameThereIsOnlyEAPAKA(t *testing.T) {
	s := newStory()
	s.network = ""
	if done := s.succeeds(t); done.Method != eap.TypeAKA {
		t.Errorf("%+v", done)
	}
}

func TestWhoIsBidDownToEAPAKANotices(t *testing.T) {
	s := newStory()
	s.pass = func(toPeer bool, packet []byte) [][]byte {
		// Somebody on the way says Nak for the peer.
		if m, err := eap.ParseMessage(packet); err == nil && toPeer && m.Type == eap.TypeAKAPrime {
			nak, _ := eap.Nak(m.Identifier, eap.TypeAKA).AppendTo(nil)
			s.toServer = append(s.toServer, nak)
			return nil
		}
		return [][]byte{packet}
	}
	s.fails(t, "authentication-rejected", "bid-down")

	s.peer.Methods = []eap.Type{eap.TypeAKA, eap.TypeAKAPrime} // it would rather use EAP-AKA
	s.succeeds(t)
}

func TestASequenceNumberThatIsNotFreshIsPutRight(t *testing.T) {
	for _, methods := range [][]eap.Type{onlyAKA, onlyPrime} {
		s := newStory()
		s.policy.Methods, s.peer.Methods, s.card.sqn = methods, methods, 1000
		s.succeeds(t)
		if s.resynced != 1 || len(s.wants) != 2 || s.wants[1].Resync == nil || s.home.sqn != 1001 {
			t.Errorf("resynchronized %d times, vectors %+v", s.resynced, s.wants)
		}
		if methods[0] == eap.TypeAKA {
			s.wantSaid(t, []string{"-> Identity", "<- Challenge", "-> Synchronization-Failure", "<- Challenge", "-> Challenge", "<- Success"})
		}
	}
}

func TestAHomeThatIsNeverFreshIsGivenUp(t *testing.T) {
	s := newStory()
	s.card.sqn, s.home.stale = 1000, true
	s.fails(t, "not-synchronized", "general-failure")
}

func TestAUTSThatTheHomeDoesNotTakeEndsIt(t *testing.T) {
	s := newStory()
	s.card.sqn = 1000
	s.pass = func(toPeer bool, packet []byte) [][]byte {
		if strings.Contains(name(toPeer, packet), "Synchronization") {
			packet = bytes.Clone(packet)
			packet[12] ^= 1
		}
		return [][]byte{packet}
	}
	s.fails(t, "auts-invalid", "general-failure")
}

func TestACardOfAnotherKeyRejectsTheNetwork(t *testing.T) {
	s := newStory()
	s.card.k = 8
	s.fails(t, "authentication-rejected", "autn-invalid", "-> Identity", "<- Challenge'", "-> Authentication-Reject'", "<- Failure")
}

func TestACardThatIsBrokenEndsItWithAClientError(t *testing.T) {
	s := newStory()
	s.card.err = errors.New("no card")
	s.fails(t, "client-error-0", "card-failed")
	s.card.err = usim.ErrSeparation
	s.fails(t, "authentication-rejected", "separation-bit-not-set")
}

func TestAWrongRESIsNotTaken(t *testing.T) {
	s := newStory()
	s.card.spoil = true
	s.fails(t, "res-invalid", "general-failure", "-> Identity", "<- Challenge'", "-> Challenge'", "<- Notification' 16384", "-> Notification'", "<- Failure")
}

// on changes the packets that are so named.
func on(what string, change func([]byte) []byte) func(bool, []byte) [][]byte {
	return func(toPeer bool, packet []byte) [][]byte {
		if name(toPeer, packet) == what {
			packet = change(bytes.Clone(packet))
		}
		return [][]byte{packet}
	}
}

// rewritten parses a message, changes it and writes it, its MAC as it was.
func rewritten(change func(*eap.Message)) func([]byte) []byte {
	return func(packet []byte) []byte {
		m, err := eap.ParseMessage(packet)
		if err != nil {
			panic(err)
		}
		change(m)
		return plain(m)
	}
}

func TestAWrongMACIsNotTaken(t *testing.T) {
	flip := func(b []byte) []byte { eap.MAC(b)[3] ^= 1; return b }
	s := newStory()
	s.pass = on("<- Challenge'", flip)
	s.fails(t, "client-error-0", "mac-invalid", "-> Identity", "<- Challenge'", "-> Client-Error'", "<- Failure")
	s = newStory()
	s.pass = on("-> Challenge'", flip)
	s.fails(t, "mac-invalid", "general-failure")
	for _, c := range []struct{ packet, server, peer string }{
		{"<- Reauthentication'", "client-error-0", "mac-invalid"}, {"-> Reauthentication'", "mac-invalid", "general-failure"},
	} {
		s = newStory()
		s.succeeds(t)
		s.pass = on(c.packet, flip)
		s.fails(t, c.server, c.peer)
	}
}

func TestATamperedIdentityRoundIsFoundOut(t *testing.T) {
	// A skippable attribute in AKA-Identity changes nothing but the checkcode.
	s := newStory()
	s.policy.AskIdentity = true
	s.pass = on("<- Identity' AT_ANY_ID_REQ", rewritten(func(m *eap.Message) {
		m.Attributes = append(m.Attributes, eap.Attribute{Type: 222, Value: []byte{0, 0}})
	}))
	s.fails(t, "client-error-0", "checkcode-invalid")
	s = newStory()
	s.policy.AskIdentity = true
	s.pass = on("-> Identity'", rewritten(func(m *eap.Message) {
		m.Attributes = append(m.Attributes, eap.Attribute{Type: 222, Value: []byte{0, 0}})
	}))
	s.fails(t, "client-error-0", "checkcode-invalid")
}

func TestUnknownAttributesAreSkippedOrNot(t *testing.T) {
	add := func(n eap.AttributeType) func([]byte) []byte {
		return rewritten(func(m *eap.Message) {
			m.Attributes = append(m.Attributes, eap.Attribute{Type: n, Value: []byte{0, 0}})
		})
	}
	s := newStory()
	s.policy.AskIdentity = true
	s.pass = on("<- Identity' AT_ANY_ID_REQ", add(99))
	s.fails(t, "client-error-0", "unknown-attribute")
	s.pass = on("-> Identity'", add(99))
	s.fails(t, "unknown-attribute", "general-failure")
}

func TestWhatIsMalformedEndsIt(t *testing.T) {
	cut := func(b []byte) []byte { b[9] = 0; return b } // an attribute of length 0
	s := newStory()
	s.pass = on("<- Challenge'", cut)
	s.fails(t, "client-error-0", "malformed-message")
	s = newStory()
	s.pass = on("-> Challenge'", cut)
	s.fails(t, "malformed-message", "general-failure")
	s.pass = on("-> Challenge'", rewritten(func(m *eap.Message) { m.Attributes = m.Attributes[1:] }))
	s.fails(t, "missing-attribute", "general-failure")
	s.pass = on("-> Challenge'", rewritten(func(m *eap.Message) { m.Subtype, m.Attributes = eap.Subtype(99), nil }))
	s.fails(t, "unexpected-attribute", "general-failure")
	s.pass = on("-> Challenge'", rewritten(func(m *eap.Message) {
		m.Subtype, m.Attributes = eap.Identity, []eap.Attribute{{Type: eap.ATIDENTITY, Value: []byte("x")}}
	}))
	s.fails(t, "unexpected-subtype", "general-failure")
}

func TestThePeerChecksTheNetworkName(t *testing.T) {
	s := newStory()
	for own, told := range map[string]string{"WLAN": "WLAN", "": "HRPD", "FOO": "FOO:BAR", "FOO:BAR": "FOO"} {
		s.peer.Network, s.network, s.peer.Identities = own, told, &Identities{}
		s.succeeds(t)
	}
	s.peer.Network, s.network = "WLAN", "HRPD"
	s.peer.Identities = &Identities{}
	s.fails(t, "authentication-rejected", "network-name-mismatch")
}

func TestTheSeparationBitHasToBeSet(t *testing.T) {
	s := newStory()
	s.home.autn = func(autn *[16]byte) { autn[6] &^= 0x80 }
	s.fails(t, "unusable-vector", "general-failure")
	s = newStory()
	s.pass = on("<- Challenge'", rewritten(func(m *eap.Message) { m.Attributes[1].Value[6] &^= 0x80 }))
	s.fails(t, "authentication-rejected", "separation-bit-not-set")
}

func TestAnotherKDFIsAgreedOn(t *testing.T) {
	s := newStory()
	s.policy.KDFs = []uint16{9, 8, KDFPrime}
	s.succeeds(t, "-> Identity", "<- Challenge'", "-> Challenge' KDF 1", "<- Challenge'", "-> Challenge'", "<- Success")
	if len(s.wants) != 1 || s.card.sqn != 1 {
		t.Errorf("%d vectors, the card has seen %d", len(s.wants), s.card.sqn)
	}
	s = newStory()
	s.policy.KDFs, s.card.sqn = []uint16{9, KDFPrime}, 1000
	s.succeeds(t, "-> Identity", "<- Challenge'", "-> Challenge' KDF 1", "<- Challenge'", "-> Synchronization-Failure'", "<- Challenge'", "-> Challenge'", "<- Success")
}

func TestAKDFThatNobodyKnowsEndsIt(t *testing.T) {
	s := newStory()
	s.policy.KDFs = []uint16{9}
	s.fails(t, "authentication-rejected", "kdf-unknown")
	s.policy.KDFs = []uint16{9, 9, KDFPrime}
	s.fails(t, "authentication-rejected", "kdf-repeated")
	s.policy.KDFs = []uint16{9, KDFPrime}
	s.pass = on("-> Challenge' KDF 1", rewritten(func(m *eap.Message) { m.Attributes[0] = eap.Number(eap.ATKDF, 9) }))
	s.fails(t, "kdf-invalid", "general-failure")
	s.pass = on("-> Challenge' KDF 1", rewritten(func(m *eap.Message) { m.Attributes[0] = eap.Number(eap.ATKDF, 77) }))
	s.fails(t, "kdf-invalid", "general-failure")
}

func TestAListOfKDFsThatChangesIsNotTaken(t *testing.T) {
	drop := func(t eap.AttributeType) func([]byte) []byte {
		return rewritten(func(m *eap.Message) {
			var kept []eap.Attribute
			for _, a := range m.Attributes {
				if a.Type != t {
					kept = append(kept, a)
				}
			}
			m.Attributes = kept
		})
	}
	s := newStory()
	s.pass = on("<- Challenge'", drop(eap.ATKDF))
	s.fails(t, "authentication-rejected", "kdf-missing")
	s.pass = on("<- Challenge'", drop(eap.ATKDFINPUT))
	s.fails(t, "authentication-rejected", "network-name-missing")

	s.policy.KDFs = []uint16{9, KDFPrime}
	seen := 0
	s.pass = on("<- Challenge'", func(b []byte) []byte {
		if seen++; seen == 2 { // what was asked for is not there
			b = rewritten(func(m *eap.Message) { m.Attributes[2] = eap.Number(eap.ATKDF, 7) })(b)
		}
		return b
	})
	s.fails(t, "client-error-0", "kdf-changed")

	s = newStory()
	s.card.sqn, seen = 1000, 0
	s.pass = on("<- Challenge'", func(b []byte) []byte {
		if seen++; seen == 2 { // after the synchronization failure
			b = rewritten(func(m *eap.Message) { m.Attributes = append(m.Attributes, eap.Number(eap.ATKDF, 7)) })(b)
		}
		return b
	})
	s.fails(t, "client-error-0", "kdf-changed")

	s = newStory()
	s.card.sqn = 1000
	s.pass = on("-> Synchronization-Failure'", drop(eap.ATKDF))
	s.fails(t, "kdf-invalid", "general-failure")
}

func TestACounterThatIsTooSmallLeadsToAFullAuthentication(t *testing.T) {
	for _, methods := range [][]eap.Type{onlyAKA, onlyPrime} {
		s := newStory()
		s.policy.Methods, s.peer.Methods = methods, methods
		s.succeeds(t)
		s.peer.Identities.Context.Counter = 5
		done := s.succeeds(t)
		if done.Fast || ParseIdentity(done.Identity).Kind != Reauthentication || len(s.wants) != 1 {
			t.Errorf("%+v by %d vectors", done, len(s.wants))
		}
		if methods[0] == eap.TypeAKA {
			s.wantSaid(t, []string{"-> Identity", "<- Reauthentication", "-> Reauthentication", "<- Challenge", "-> Challenge", "<- Success"})
		}
		if next := s.succeeds(t); !next.Fast || next.Counter != 1 {
			t.Errorf("then %+v", next)
		}
	}
}

func TestAContextIsGoodInItsOwnNetworkAlone(t *testing.T) {
	s := newStory()
	s.succeeds(t)
	s.network = "HRPD"
	if done := s.succeeds(t, "-> Identity", "<- Identity' AT_FULLAUTH_ID_REQ", "-> Identity'", "<- Challenge'", "-> Challenge'", "<- Success"); done.Network != "HRPD" {
		t.Errorf("%+v", done)
	}
	s.peer.Network = "WLAN" // the peer knows that it has moved on, and does not try
	s.network = "WLAN"
	if done := s.succeeds(t, "-> Identity", "<- Challenge'", "-> Challenge'", "<- Success"); done.Fast {
		t.Errorf("%+v", done)
	}
}

func TestAReauthenticationIdentityIsGoodForOneTime(t *testing.T) {
	s := newStory()
	s.succeeds(t)
	used := s.peer.Identities.Context.Identity
	s.pass = on("-> Reauthentication'", func(b []byte) []byte { eap.MAC(b)[0] ^= 1; return b })
	s.fails(t, "mac-invalid", "general-failure")
	if s.peer.Identities.Context != nil {
		t.Error("the peer still has it")
	}
	if _, ok := s.policy.Aliases.TakeContext(strings.Split(used, "@")[0]); ok {
		t.Error("the server still has it")
	}
	s.pass = nil
	if done := s.succeeds(t); done.Fast || ParseIdentity(done.Identity).Kind != Pseudonym {
		t.Errorf("%+v", done)
	}
}

func TestARealmThatChangedOnTheWayLeavesNoOtherKeys(t *testing.T) {
	// Keys of a fast re-authentication depend on the identity, its MACs do not.
	for _, methods := range [][]eap.Type{onlyAKA, onlyPrime} {
		s := newStory()
		s.policy.Methods, s.peer.Methods = methods, methods
		s.succeeds(t)
		s.pass = on("-> Identity", func(b []byte) []byte {
			if b[4] == byte(eap.TypeIdentity) {
				b[len(b)-1] ^= 1
			}
			return b
		})
		if done := s.succeeds(t); !done.Fast || !strings.HasSuffix(s.said[1], "AT_ANY_ID_REQ") {
			t.Errorf("%+v after %q", done, s.said)
		}
		s.pass = nil
		s.policy.AskIdentity = true
		change := func(toPeer bool, packet []byte) [][]byte {
			if m, err := eap.ParseMessage(packet); err == nil && !toPeer && m.Subtype == eap.Identity {
				packet = bytes.Clone(packet)
				packet[8+4+40] ^= 1 // in the realm
			}
			return [][]byte{packet}
		}
		s.pass = change
		s.fails(t, "client-error-0", "checkcode-invalid")
	}
}

func TestAFastReauthenticationKeepsToItsMethod(t *testing.T) {
	s := newStory()
	s.policy.Methods, s.peer.Methods = onlyAKA, nil
	s.succeeds(t)
	s.policy.Methods = nil // it would rather use EAP-AKA' now
	if done := s.succeeds(t, "-> Identity", "<- Reauthentication", "-> Reauthentication", "<- Success"); done.Method != eap.TypeAKA {
		t.Errorf("%+v", done)
	}
	s.policy.AskIdentity = true // and asks in EAP-AKA', where the context is of no use
	if done := s.succeeds(t); done.Fast || done.Method != eap.TypeAKAPrime {
		t.Errorf("%+v", done)
	}
}

func TestASubscriberWithoutVectorsIsToldOfAFailure(t *testing.T) {
	s := newStory()
	s.home.refuse = "user-unknown"
	s.fails(t, "user-unknown", "general-failure", "-> Identity", "<- Notification' 16384", "-> Notification'", "<- Failure")
}

func TestAnIdentityOfNoKindIsGivenUp(t *testing.T) {
	s := newStory()
	s.peer.IMSI = "not-an-imsi"
	s.fails(t, "identity-unknown", "general-failure", "-> Identity", "<- Identity' AT_ANY_ID_REQ", "-> Identity'", "<- Identity' AT_FULLAUTH_ID_REQ", "-> Identity'",
		"<- Identity' AT_PERMANENT_ID_REQ", "-> Identity'", "<- Notification' 16384", "-> Notification'", "<- Failure")
}

func TestWhoMayNotIsToldUnderProtection(t *testing.T) {
	for code, reason := range map[uint16]string{
		eap.TemporarilyDenied: "temporarily-denied", eap.NotSubscribed: "not-subscribed", eap.GeneralFailureAfter: "general-failure-after-authentication",
	} {
		for _, methods := range [][]eap.Type{onlyAKA, onlyPrime} {
			s := newStory()
			s.policy.Methods, s.peer.Methods = methods, methods
			s.policy.Authorize, s.decide = true, func(a Authenticated) Input { return Authorized{} }
			s.succeeds(t)
			for _, fast := range []bool{true, false} {
				var asked Authenticated
				s.decide = func(a Authenticated) Input { asked = a; return Denied{code, "apn-barred"} }
				s.fails(t, "apn-barred", reason)
				if asked.Fast != fast || asked.IMSI != imsi {
					t.Errorf("asked of %+v, want fast %v", asked, fast)
				}
			}
		}
	}
}

func TestResultsAreProtectedWhereBothWantIt(t *testing.T) {
	s := newStory()
	s.policy.ResultInd = true
	s.succeeds(t, "-> Identity", "<- Challenge'", "-> Challenge'", "<- Notification' 32768", "-> Notification'", "<- Success")
	s.succeeds(t, "-> Identity", "<- Reauthentication'", "-> Reauthentication'", "<- Notification' 32768", "-> Notification'", "<- Success")
	s.peer.Plain = true
	s.succeeds(t, "-> Identity", "<- Reauthentication'", "-> Reauthentication'", "<- Success")
}

func TestWhateverAnswersAProtectedSuccessItSucceeds(t *testing.T) {
	s := newStory()
	s.policy.ResultInd = true
	s.pass = on("-> Notification'", func(b []byte) []byte { return append(b[:2], 0, 6, b[4], 0) })
	s.succeeds(t)
}

func TestANotificationIsNotTakenOnTrust(t *testing.T) {
	s := newStory()
	s.policy.ResultInd = true
	s.pass = on("<- Notification' 32768", func(b []byte) []byte { eap.MAC(b)[0] ^= 1; return b })
	s.tell(t) // the server has what it needs: RFC 4187, section 6.2
	if s.ueFail != "mac-invalid" || s.ueEnds != nil || s.serverEnd == nil {
		t.Errorf("peer %q %v, server %v", s.ueFail, s.ueEnds, s.serverEnd)
	}
	forged := func(code uint16) []byte {
		return plain(&eap.Message{Code: eap.Request, Identifier: 41, Type: eap.TypeAKAPrime, Subtype: eap.Notification,
			Attributes: []eap.Attribute{eap.Number(eap.ATNOTIFICATION, code)}})
	}
	for _, code := range []uint16{eap.Successful, eap.Successful | eap.NotificationBefore, eap.NotSubscribed} {
		s := newStory()
		s.begin()
		s.fromPeer(s.ue.Step(Received{forged(code)}))
		if s.ueFail != "notification-invalid" {
			t.Errorf("%d before any challenge: %q", code, s.ueFail)
		}
	}
}

func TestSuccessIsBelievedOnlyWhereItIsDue(t *testing.T) {
	s := newStory()
	s.policy.ResultInd = true
	early := 0
	s.pass = func(toPeer bool, packet []byte) [][]byte {
		if !toPeer || packet[0] != byte(eap.Request) {
			return [][]byte{packet}
		}
		early += 2
		// Before each Request, and after it, somebody sends a Success.
		return [][]byte{{3, packet[1] - 1, 0, 4}, packet, {3, packet[1], 0, 4}}
	}
	s.begin()
	for s.step() && s.ueEnds == nil {
	}
	if s.said[len(s.said)-2] != "<- Notification' 32768" {
		t.Errorf("the peer succeeds after %q", s.said)
	}
	ignored := 0
	for _, o := range s.peerIs {
		if i, ok := o.(Ignored); ok && i.Reason == "success-too-early" {
			ignored++
		}
	}
	if ignored < 2 {
		t.Errorf("%d were ignored: %v", ignored, s.peerIs)
	}
}

func TestAFailureInTheMiddleIsNotBelieved(t *testing.T) {
	s := newStory()
	s.card.sqn = 1000 // so that there is a middle
	s.pass = func(toPeer bool, packet []byte) [][]byte {
		if toPeer && packet[0] == byte(eap.Request) {
			return [][]byte{packet, {4, packet[1], 0, 4}}
		}
		return [][]byte{packet}
	}
	s.begin()
	for s.step() && len(s.peerIs) == 0 {
	}
	if s.ueFail != "" || s.peerIs[0] != (Ignored{"failure-out-of-place"}) {
		t.Errorf("%q, %v", s.ueFail, s.peerIs)
	}
}

func TestDuplicatesDoNoHarm(t *testing.T) {
	for _, prepare := range []func(*story){
		func(s *story) {},
		func(s *story) { s.policy.AskIdentity = true },
		func(s *story) { s.policy.ResultInd = true },
		func(s *story) { s.card.sqn = 1000 },
		func(s *story) { s.policy.Methods, s.peer.Methods = onlyAKA, onlyAKA },
		func(s *story) { s.policy.KDFs = []uint16{9, KDFPrime} },
		func(s *story) { s.peer.Methods = onlyAKA },
	} {
		s := newStory()
		prepare(s)
		s.pass = func(_ bool, packet []byte) [][]byte { return [][]byte{packet, packet} }
		s.tell(t)
		if s.ueEnds == nil || s.serverEnd == nil || *s.ueEnds != *s.serverEnd {
			t.Errorf("peer %v %q, server %v %q after\n%s", s.ueEnds, s.ueFail, s.serverEnd, s.serverFail, strings.Join(s.said, "\n"))
		}
		if most := 2; s.home.sqn > 1000+uint64(most) || len(s.wants) > most {
			t.Errorf("%d vectors", len(s.wants))
		}
	}
}

func TestWhatIsLostIsSentAgainByThePassThrough(t *testing.T) {
	s := newStory()
	s.policy.AskIdentity, s.policy.ResultInd = true, true
	times := map[string]int{}
	s.pass = func(toPeer bool, packet []byte) [][]byte {
		if times[string(packet)]++; times[string(packet)]%2 == 1 && packet[0] <= 2 {
			return nil
		}
		return [][]byte{packet}
	}
	s.begin()
	for range 50 {
		if s.step() {
			continue
		}
		if s.server.Over() {
			break
		}
		again := s.server.Outstanding() // its timer
		if again == nil {
			again = []byte{1, 40, 0, 5, 1}
		}
		s.toPeer = append(s.toPeer, again)
	}
	if s.ueEnds == nil || s.serverEnd == nil || *s.ueEnds != *s.serverEnd {
		t.Errorf("peer %v %q, server %v %q after\n%s", s.ueEnds, s.ueFail, s.serverEnd, s.serverFail, strings.Join(s.said, "\n"))
	}
}

func TestAnAnswerToAnotherRequestIsDiscarded(t *testing.T) {
	s := newStory()
	s.begin()
	first := s.toServer[0]
	s.step() // the server's challenge
	for packet, want := range map[string]string{
		string(first):                  "identifier-mismatch",
		"\x02":                         "malformed-packet",
		string([]byte{1, 41, 0, 5, 1}): "not-a-response",
		string([]byte{2, 41, 0, 5, 4}): "type-mismatch",
	} {
		if got := s.server.Step(Received{[]byte(packet)}); len(got) != 1 || got[0] != (Ignored{want}) {
			t.Errorf("%x: %v, want %s", packet, got, want)
		}
	}
	for in, want := range map[Input]string{Authorized{}: "unwanted-authorization", Denied{}: "unwanted-denial", Refused{}: "unwanted-refusal"} {
		if got := s.server.Step(in); len(got) != 1 || got[0] != (Ignored{want}) {
			t.Errorf("%T: %v, want %s", in, got, want)
		}
	}
	for s.step() {
	}
	if s.serverEnd == nil || s.ueEnds == nil {
		t.Error("it did not go on")
	}
}

func TestAPeerDoesNotNakOnceItTookPart(t *testing.T) {
	s := newStory()
	s.card.sqn = 1000
	s.begin()
	for s.step() && len(s.said) < 3 { // Identity, Challenge', Synchronization-Failure'
	}
	got := s.ue.Step(Received{plain(&eap.Message{Code: eap.Request, Identifier: 99, Type: eap.TypeAKA, Subtype: eap.Identity,
		Attributes: []eap.Attribute{{Type: eap.ATANYIDREQ}}})})
	if len(got) != 1 || got[0] != (Ignored{"type-mismatch"}) {
		t.Errorf("%v", got)
	}
	nak, _ := eap.Nak(s.toServer[0][1], eap.TypeAKA).AppendTo(nil)
	s.fromServer(s.server.Step(Received{s.toServer[0]})) // the server goes on, and then a Nak comes
	nak[1] = s.server.Outstanding()[1]
	if got := s.server.Step(Received{nak}); len(got) != 1 || got[0] != (Ignored{"type-mismatch"}) {
		t.Errorf("%v", got)
	}
}

func TestTheOrderOfIdentityRequestsIsKept(t *testing.T) {
	ask := func(id byte, a eap.AttributeType) Received {
		return Received{plain(&eap.Message{Code: eap.Request, Identifier: id, Type: eap.TypeAKA, Subtype: eap.Identity, Attributes: []eap.Attribute{{Type: a}}})}
	}
	for _, c := range []struct {
		order []eap.AttributeType
		good  bool
	}{
		{[]eap.AttributeType{eap.ATANYIDREQ, eap.ATFULLAUTHIDREQ, eap.ATPERMANENTIDREQ}, true},
		{[]eap.AttributeType{eap.ATANYIDREQ, eap.ATPERMANENTIDREQ}, true},
		{[]eap.AttributeType{eap.ATANYIDREQ, eap.ATANYIDREQ}, false},
		{[]eap.AttributeType{eap.ATFULLAUTHIDREQ, eap.ATANYIDREQ}, false},
		{[]eap.AttributeType{eap.ATPERMANENTIDREQ, eap.ATFULLAUTHIDREQ}, false},
		{[]eap.AttributeType{eap.ATPERMANENTIDREQ, eap.ATPERMANENTIDREQ}, false},
	} {
		s := newStory()
		p := NewPeer(s.peer)
		failed := ""
		for i, a := range c.order {
			for _, o := range p.Step(ask(byte(i), a)) {
				if f, ok := o.(Failed); ok {
					failed = f.Reason
				}
			}
		}
		if c.good != (failed == "") || failed != "" && failed != "identity-out-of-order" {
			t.Errorf("%v: %q", c.order, failed)
		}
	}
}

func TestAPeerThatIsAskedAgainFromTheBeginningBeginsAgain(t *testing.T) {
	s := newStory()
	s.card.sqn = 1000
	s.begin()
	for s.step() && len(s.said) < 3 {
	}
	s.toPeer, s.toServer = nil, nil
	s.server = NewServer(s.policy, s.network) // the old one is lost
	s.fromPeer(s.ue.Step(Received{[]byte{1, 77, 0, 5, 1}}))
	for s.step() {
	}
	if s.ueEnds == nil || s.serverEnd == nil || *s.ueEnds != *s.serverEnd {
		t.Errorf("peer %v %q, server %v %q", s.ueEnds, s.ueFail, s.serverEnd, s.serverFail)
	}
}

func TestTheSameQuestionUnderAnotherIdentifierHasTheSameAnswer(t *testing.T) {
	s := newStory()
	s.succeeds(t)
	reauth := s.peer.Identities.Context.Identity
	p := NewPeer(s.peer)
	for id := byte(1); id < 3; id++ {
		out := p.Step(Received{[]byte{1, id, 0, 5, 1}})
		if got := string(out[0].(Send).Packet[5:]); got != reauth {
			t.Errorf("the %d. time %q, want %q", id, got, reauth)
		}
	}
}

func TestATextForTheUserIsAcknowledged(t *testing.T) {
	s := newStory()
	out := NewPeer(s.peer).Step(Received{append([]byte{1, 5, 0, 7, 2}, "Hi"...)})
	if len(out) != 2 || out[0] != (Notice{"Hi"}) || !bytes.Equal(out[1].(Send).Packet, []byte{2, 5, 0, 5, 2}) {
		t.Errorf("%v", out)
	}
}

func TestANakToTheFirstMessageOfAFailureIsItsEnd(t *testing.T) {
	s := newStory()
	s.home.refuse, s.peer.Methods = "user-unknown", onlyAKA
	s.fails(t, "user-unknown", "refused-by-network", "-> Identity", "<- Notification' 16384", "-> Nak", "<- Failure")
}

func TestAPeerCannotClaimAnUnaskedForIndication(t *testing.T) {
	s := newStory()
	s.begin()
	s.step()
	s.step()
	m, err := eap.ParseMessage(s.toServer[0])
	if err != nil {
		t.Fatal(err)
	}
	m.Attributes = append(m.Attributes[:len(m.Attributes)-1], eap.Attribute{Type: eap.ATRESULTIND})
	s.toServer[0] = s.ue.context.seal(octets(9), m, nil, nil)
	for s.step() {
	}
	if s.serverFail != "unexpected-attribute" || s.ueFail != "general-failure" {
		t.Errorf("server %q, peer %q", s.serverFail, s.ueFail)
	}
}

func TestAnAnswerToAReauthenticationHasItsCounter(t *testing.T) {
	s := newStory()
	s.succeeds(t)
	s.begin()
	s.step()
	s.step()
	c := s.server.context
	m := &eap.Message{Code: eap.Response, Identifier: s.toServer[0][1], Type: eap.TypeAKAPrime, Subtype: eap.Reauthentication}
	s.toServer[0] = c.seal(octets(9), m, []eap.Attribute{eap.Number(eap.ATCOUNTER, 9)}, s.server.nonceS[:])
	for s.step() {
	}
	if s.serverFail != "counter-invalid" || s.ueFail != "general-failure" {
		t.Errorf("server %q, peer %q", s.serverFail, s.ueFail)
	}
}

// answered runs a story up to a peer's answer of that name, and has the server get
// another one, in the keys that both have.
func (s *story) answered(t *testing.T, what string, change func(*eap.Message)) {
	t.Helper()
	s.begin()
	for s.said[len(s.said)-1] != what {
		if !s.step() {
			t.Fatalf("no %q in %q", what, s.said)
		}
	}
	m, err := eap.ParseMessage(s.toServer[0])
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	s.toServer[0] = plain(m)
	if c := s.ue.context; c != nil && eap.MAC(s.toServer[0]) != nil {
		clear(eap.MAC(s.toServer[0]))
		mac := c.mac(s.toServer[0], nil)
		copy(eap.MAC(s.toServer[0]), mac[:])
	}
	for s.step() {
	}
}

func TestAServerChecksTheCheckcode(t *testing.T) {
	for _, code := range [][]byte{make([]byte, 32), make([]byte, 20), {}} {
		s := newStory()
		s.policy.AskIdentity = true
		s.answered(t, "-> Challenge'", func(m *eap.Message) { eap.Find(m.Attributes, eap.ATCHECKCODE).Value = code })
		if s.serverFail != "checkcode-invalid" {
			t.Errorf("%d octets: %q", len(code), s.serverFail)
		}
	}
	s := newStory()
	s.policy.AskIdentity = true
	s.answered(t, "-> Challenge'", func(m *eap.Message) { // RFC 4187, section 10.13: a peer MAY
		m.Attributes = []eap.Attribute{*eap.Find(m.Attributes, eap.ATRES), *eap.Find(m.Attributes, eap.ATMAC)}
	})
	if s.serverEnd == nil {
		t.Errorf("without one: %q", s.serverFail)
	}
}

func TestAKDFIsAskedForOnce(t *testing.T) {
	s := newStory()
	s.policy.KDFs = []uint16{9, 8, KDFPrime}
	s.begin()
	for len(s.said) < 4 && s.step() { // Identity, Challenge', KDF 1, Challenge'
	}
	s.fromServer(s.server.Step(Received{plain(&eap.Message{Code: eap.Response, Identifier: s.toPeer[0][1], Type: eap.TypeAKAPrime, Subtype: eap.Challenge,
		Attributes: []eap.Attribute{eap.Number(eap.ATKDF, 8)}})}))
	for s.step() {
	}
	if s.serverFail != "kdf-invalid" {
		t.Errorf("%q after %q", s.serverFail, s.said)
	}
}

func TestAServerMayWantAFullAuthenticationInstead(t *testing.T) {
	s := newStory()
	s.succeeds(t)
	s.succeeds(t)
	s.policy.Reauths = 1 // the next would be the second
	done := s.succeeds(t, "-> Identity", "<- Challenge'", "-> Challenge'", "<- Success")
	if done.Fast || ParseIdentity(done.Identity).Kind != Reauthentication {
		t.Errorf("%+v", done)
	}
}

func TestAContextOfAnotherMethodTellsWhoItIs(t *testing.T) {
	s := newStory()
	s.policy.Methods = onlyAKA
	s.succeeds(t)
	reauth := s.peer.Identities.Context.Identity
	s.policy.Methods, s.policy.AskIdentity = nil, true
	s.answered(t, "-> Identity'", func(m *eap.Message) { m.Attributes[0].Value = []byte(reauth) })
	if len(s.wants) != 1 || s.wants[0].IMSI != imsi || s.wants[0].Method != eap.TypeAKAPrime {
		t.Errorf("vectors asked for: %+v after %q", s.wants, s.said)
	}
}

func TestAContextThatIsNotRenewedIsForgotten(t *testing.T) {
	s := newStory()
	s.succeeds(t)
	s.peer.Network, s.network, s.policy.Reauths = "HRPD", "HRPD", 0 // where it is of no use
	s.succeeds(t)
	if s.peer.Identities.Context != nil { // RFC 4187, section 5.3
		t.Errorf("%+v", s.peer.Identities.Context)
	}
}

func TestAFastReauthenticationIsTriedOnce(t *testing.T) {
	s := newStory()
	s.succeeds(t)
	s.peer.Identities.Context.Counter = 5
	s.begin()
	for len(s.said) < 3 && s.step() { // Identity, Reauthentication', Reauthentication'
	}
	m := &eap.Message{Code: eap.Request, Identifier: 200, Type: eap.TypeAKAPrime, Subtype: eap.Reauthentication}
	again := s.ue.resumed.seal(octets(9), m, []eap.Attribute{eap.Number(eap.ATCOUNTER, 6), {Type: eap.ATNONCES, Value: make([]byte, 16)}}, nil)
	if s.fromPeer(s.ue.Step(Received{again})); s.ueFail != "unexpected-subtype" {
		t.Errorf("%q", s.ueFail)
	}
}
