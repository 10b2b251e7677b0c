package eapaka

import (
	"slices"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/eap"
)

// separated is the AMF separation bit in an AUTN: TS 33.102, annex H.
func separated(autn [16]byte) bool { return autn[6]&0x80 != 0 }

// fetched begins a full authentication with a vector.
func (s *Server) fetched(v keys.Vector) {
	if len(v.XRES) < 4 || len(v.XRES) > 16 || s.method == eap.TypeAKAPrime && !separated(v.AUTN) {
		s.fail("unusable-vector")
		return
	}
	s.vector = v
	s.context, s.keys = newContext(s.method, s.imsi, s.network, s.identity, v.CK, v.IK)
	if s.method == eap.TypeAKAPrime && s.kdfs == nil {
		s.kdfs = s.policy.kdfs()
	}
	s.pseudonym, s.reauth = "", ""
	if s.policy.Aliases != nil && s.policy.Pseudonyms {
		s.pseudonym = s.name('2', '7')
	}
	if s.policy.Aliases != nil && s.policy.Reauths > 0 {
		s.reauth = s.reauthIdentity()
	}
	s.challenge()
}

// challenge sends AKA-Challenge: RFC 4187, section 9.3.
func (s *Server) challenge() {
	m := s.message(eap.Challenge, eap.Attribute{Type: eap.ATRAND, Value: s.vector.RAND[:]}, eap.Attribute{Type: eap.ATAUTN, Value: s.vector.AUTN[:]})
	if s.method == eap.TypeAKAPrime {
		for _, f := range s.kdfs {
			m.Attributes = append(m.Attributes, eap.Number(eap.ATKDF, f))
		}
		m.Attributes = append(m.Attributes, eap.Attribute{Type: eap.ATKDFINPUT, Value: []byte(s.network)})
	} else {
		m.Attributes = append(m.Attributes, eap.Number(eap.ATBIDDING, s.bidding()))
	}
	s.addIndications(m)
	var hidden []eap.Attribute
	if s.pseudonym != "" {
		hidden = append(hidden, eap.Attribute{Type: eap.ATNEXTPSEUDONYM, Value: []byte(s.pseudonym)})
	}
	if s.reauth != "" {
		hidden = append(hidden, eap.Attribute{Type: eap.ATNEXTREAUTHID, Value: []byte(s.reauth)})
	}
	s.state = challenging
	s.send(s.context.seal(s.policy.Rand, m, hidden, nil), false)
}

// bidding is the AT_BIDDING of a server that would, or would not, rather have used
// EAP-AKA': RFC 9048, section 4.
func (s *Server) bidding() uint16 {
	all := s.methods()
	prime, plain := slices.Index(all, eap.TypeAKAPrime), slices.Index(all, eap.TypeAKA)
	if prime >= 0 && prime < plain {
		return eap.BiddingPrime
	}
	return 0
}

func (s *Server) addIndications(m *eap.Message) {
	m.Attributes = append(m.Attributes, eap.Attribute{Type: eap.ATCHECKCODE, Value: s.code.sum()})
	if s.policy.ResultInd {
		m.Attributes = append(m.Attributes, eap.Attribute{Type: eap.ATRESULTIND})
	}
}

// indicated takes the attributes that both kinds of round share; true: it failed.
func (s *Server) indicated(m *eap.Message) bool {
	s.result = eap.Find(m.Attributes, eap.ATRESULTIND) != nil
	switch {
	case s.code.wrong(m):
		s.fail("checkcode-invalid")
	case s.result && !s.policy.ResultInd: // RFC 4187, section 6.2: MUST NOT
		s.fail("unexpected-attribute")
	default:
		return false
	}
	return true
}

// negotiate sends the challenge again with the key derivation function that the
// peer has chosen: RFC 9048, section 3.2.
func (s *Server) negotiate(m *eap.Message) {
	chosen := eap.Find(m.Attributes, eap.ATKDF).Number()
	offer := s.policy.kdfs()
	if len(s.kdfs) != len(offer) || chosen == offer[0] || !slices.Contains(offer, chosen) {
		s.fail("kdf-invalid")
		return
	}
	s.kdfs = append([]uint16{chosen}, offer...)
	s.challenge()
}

// synchronize has the network's sequence number put right: RFC 4187, section 6.3.1.
func (s *Server) synchronize(m *eap.Message) {
	if !slices.Equal(eap.Numbers(m.Attributes, eap.ATKDF), s.kdfs) { // RFC 9048, section 3.2
		s.fail("kdf-invalid")
		return
	}
	if s.resyncs++; s.resyncs > mostResyncs {
		s.fail("not-synchronized")
		return
	}
	s.want(&Resync{RAND: s.vector.RAND, AUTS: [14]byte(eap.Find(m.Attributes, eap.ATAUTS).Value)})
}

// tested judges the answer to a challenge.
func (s *Server) tested(packet []byte, m *eap.Message) {
	switch {
	case !s.context.genuine(packet, nil):
		s.fail("mac-invalid")
	case !keys.Equal(eap.Find(m.Attributes, eap.ATRES).Value, s.vector.XRES):
		s.fail("res-invalid")
	case s.indicated(m):
	default:
		s.authenticated()
	}
}

// authenticated goes on after a round that was good.
func (s *Server) authenticated() {
	if s.policy.Authorize {
		s.state = deciding
		s.out = append(s.out, Authenticated{s.imsi, s.identity, s.method, s.fast})
		return
	}
	s.conclude()
}
