package eapaka

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/eap"
)

// challenge answers AKA-Challenge: RFC 4187, sections 6.3.1 and 9.3.
func (p *Peer) challenge(octets []byte, m *eap.Message) {
	p.challenged = true
	if p.identity == "" {
		p.refuse(octets, "no-identity") // there is none to derive keys from
		return
	}
	network := ""
	if p.method == eap.TypeAKAPrime {
		if !p.settled(octets, m) {
			return
		}
		input := eap.Find(m.Attributes, eap.ATKDFINPUT)
		if input == nil || len(input.Value) == 0 {
			p.reject(octets, "network-name-missing")
			return
		}
		if network = string(input.Value); !NetworkMatches(p.o.Network, network) {
			p.reject(octets, "network-name-mismatch")
			return
		}
	}
	rand, autn := [16]byte(eap.Find(m.Attributes, eap.ATRAND).Value), [16]byte(eap.Find(m.Attributes, eap.ATAUTN).Value)
	if p.method == eap.TypeAKAPrime && !separated(autn) { // RFC 9048, section 3.3
		p.reject(octets, "separation-bit-not-set")
		return
	}
	response, err := p.o.Card.Authenticate(rand, autn)
	if p.carded(octets, err) {
		p.derive(rand, autn, network, response)
		p.prove(octets, m, response.RES)
	}
}

// carded says whether the card had an answer; otherwise what it says is passed on.
func (p *Peer) carded(octets []byte, err error) bool {
	var sync *usim.SyncError
	switch {
	case err == nil:
		return true
	case errors.As(err, &sync): // RFC 4187, section 9.6; RFC 9048, section 3.2
		m := p.answer(octets, eap.SynchronizationFailure, eap.Attribute{Type: eap.ATAUTS, Value: sync.AUTS[:]})
		for _, f := range p.kdfs {
			m.Attributes = append(m.Attributes, eap.Number(eap.ATKDF, f))
		}
		p.send(octets, plain(m))
	case errors.Is(err, usim.ErrMAC):
		p.reject(octets, "autn-invalid")
	case errors.Is(err, usim.ErrSeparation):
		p.reject(octets, "separation-bit-not-set")
	default:
		p.refuse(octets, "card-failed")
	}
	return false
}

// settled decides on the key derivation function: RFC 9048, section 3.2. Where it
// is not settled, the answer is on its way.
func (p *Peer) settled(octets []byte, m *eap.Message) bool {
	list := eap.Numbers(m.Attributes, eap.ATKDF)
	switch {
	case len(list) == 0:
		p.reject(octets, "kdf-missing")
		return false
	case p.wanted != 0: // what was asked for, and nothing else
		if !slices.Equal(list, append([]uint16{p.wanted}, p.offered...)) {
			p.refuse(octets, "kdf-changed")
			return false
		}
		p.wanted = 0
	case p.kdfs != nil: // after a synchronization failure
		if !slices.Equal(list, p.kdfs) {
			p.refuse(octets, "kdf-changed")
			return false
		}
	case repeats(list):
		p.reject(octets, "kdf-repeated")
		return false
	case list[0] == KDFPrime:
	case slices.Contains(list, KDFPrime):
		p.wanted, p.offered = KDFPrime, list
		p.send(octets, plain(p.answer(octets, eap.Challenge, eap.Number(eap.ATKDF, KDFPrime))))
		return false
	default:
		p.reject(octets, "kdf-unknown")
		return false
	}
	p.kdfs = list
	return true
}

func repeats(list []uint16) bool {
	for i, n := range list {
		if slices.Contains(list[:i], n) {
			return true
		}
	}
	return false
}

func (p *Peer) derive(rand, autn [16]byte, network string, r usim.Response) {
	ck, ik := r.CK, r.IK
	if p.method == eap.TypeAKAPrime {
		ck, ik = keys.BindToNetwork(ck, ik, network, [6]byte(autn[:]))
	}
	p.rand = rand
	p.context, p.keys = newContext(p.method, p.o.IMSI, network, p.identity, ck, ik)
}

// prove answers a challenge that the card took, if the rest of it is right too.
func (p *Peer) prove(octets []byte, m *eap.Message, res []byte) {
	if !p.context.genuine(octets, nil) {
		p.refuse(octets, "mac-invalid")
		return
	}
	hidden, err := p.context.open(m)
	switch {
	case err != nil:
		p.refuse(octets, reasonOf(err))
		return
	case p.code.wrong(m):
		p.refuse(octets, "checkcode-invalid")
		return
	case p.bidDown(m): // RFC 9048, section 4
		p.reject(octets, "bid-down")
		return
	case len(res) < 4 || len(res) > 16:
		p.refuse(octets, "card-failed")
		return
	}
	p.fast = false
	p.nextPseudonym, p.nextReauth = "", ""
	if a := eap.Find(hidden, eap.ATNEXTPSEUDONYM); a != nil && usable(a.Value) && !strings.Contains(string(a.Value), "@") {
		p.nextPseudonym = string(a.Value)
	}
	p.takeNext(hidden)
	p.stage = satisfied
	answer := p.answer(octets, eap.Challenge, eap.Attribute{Type: eap.ATRES, Value: res})
	p.addIndications(answer, m)
	p.send(octets, p.context.seal(p.o.Rand, answer, nil, nil))
}

// bidDown says that both would rather have used EAP-AKA'.
func (p *Peer) bidDown(m *eap.Message) bool {
	told := eap.Find(m.Attributes, eap.ATBIDDING)
	if told == nil || told.Number()&eap.BiddingPrime == 0 {
		return false
	}
	prime, plain := slices.Index(p.o.Methods, eap.TypeAKAPrime), slices.Index(p.o.Methods, eap.TypeAKA)
	return prime >= 0 && prime < plain
}

// usable says whether a name can be one: RFC 4187, sections 10.10 and 10.11.
func usable(name []byte) bool {
	return len(name) > 0 && len(name) <= mostIdentity && utf8.Valid(name)
}

func (p *Peer) takeNext(hidden []eap.Attribute) {
	if a := eap.Find(hidden, eap.ATNEXTREAUTHID); a != nil && usable(a.Value) {
		p.nextReauth = string(a.Value)
	}
}

func (p *Peer) addIndications(answer, request *eap.Message) {
	answer.Attributes = append(answer.Attributes, eap.Attribute{Type: eap.ATCHECKCODE, Value: p.code.sum()})
	p.result = !p.o.Plain && eap.Find(request.Attributes, eap.ATRESULTIND) != nil
	if p.result {
		answer.Attributes = append(answer.Attributes, eap.Attribute{Type: eap.ATRESULTIND})
	}
}
