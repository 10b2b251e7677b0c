package eapaka

import (
	"slices"

	"s2clab/nodes/wire/eap"
)

// identify answers AKA-Identity: RFC 4187, section 4.1.5.
func (p *Peer) identify(octets []byte, m *eap.Message) {
	var asked ask
	for a := askAny; a <= askPermanent; a++ {
		if eap.Find(m.Attributes, asks[a]) != nil {
			asked = a
		}
	}
	p.rounds++
	if p.challenged || p.rounds > 3 || asked <= p.asked { // section 9.1
		p.refuse(octets, "identity-out-of-order")
		return
	}
	if asked == askPermanent && p.o.Conservative && p.o.Identities.Pseudonym != "" {
		p.refuse(octets, "identity-kept-private")
		return
	}
	p.asked = asked
	p.choose(asked, p.method)
	response := plain(p.answer(octets, eap.Identity, eap.Attribute{Type: eap.ATIDENTITY, Value: []byte(p.identity)}))
	p.code.add(p.method, octets, response)
	p.send(octets, response)
}

// choose decides on the identity to send; the method is 0 where none has begun.
func (p *Peer) choose(asked ask, method eap.Type) {
	memory := p.o.Identities
	if asked == askAny {
		if p.resumed == nil && memory.Context != nil && p.wants(memory.Context, method) {
			// RFC 4187, section 4.1.1.8: it is good for one time, whatever comes of it.
			p.resumed, memory.Context = memory.Context, nil
		}
		if p.resumed != nil && p.wants(p.resumed, method) {
			p.identity = p.resumed.Identity
			return
		}
	}
	if memory.Pseudonym != "" && asked != askPermanent {
		p.identity = inRealm(memory.Pseudonym, p.o.Realm)
		return
	}
	if method == 0 {
		method = p.o.Methods[0]
	}
	p.identity = PermanentIdentity(method, p.o.IMSI, p.o.Realm)
}

// wants says whether a context is good for a fast re-authentication here: RFC 9048,
// section 3.3, forbids another network.
func (p *Peer) wants(c *Context, method eap.Type) bool {
	return c.IMSI == p.o.IMSI && (c.Method == method || method == 0 && slices.Contains(p.o.Methods, c.Method)) && (c.Method != eap.TypeAKAPrime || NetworkMatches(p.o.Network, c.Network))
}
