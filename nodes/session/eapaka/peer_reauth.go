package eapaka

import "s2clab/nodes/wire/eap"

// reauthenticate answers AKA-Reauthentication: RFC 4187, sections 5.4 and 5.5.
func (p *Peer) reauthenticate(octets []byte, m *eap.Message) {
	c := p.resumed
	if c == nil || p.challenged || c.Method != p.method || p.identity != c.Identity {
		p.refuse(octets, "unexpected-subtype")
		return
	}
	p.challenged = true
	if !c.genuine(octets, nil) {
		p.refuse(octets, "mac-invalid")
		return
	}
	hidden, err := c.open(m)
	switch {
	case err != nil:
		p.refuse(octets, reasonOf(err))
		return
	case p.code.wrong(m):
		p.refuse(octets, "checkcode-invalid")
		return
	}
	nonceS := [16]byte(eap.Find(hidden, eap.ATNONCES).Value)
	counter := eap.Find(hidden, eap.ATCOUNTER).Number()
	back := []eap.Attribute{eap.Number(eap.ATCOUNTER, counter)}
	answer := p.answer(octets, eap.Reauthentication)
	if counter < c.Counter { // a full authentication follows
		p.addIndications(answer, &eap.Message{})
		back = append(back, eap.Attribute{Type: eap.ATCOUNTERTOOSMALL})
		p.send(octets, c.seal(p.o.Rand, answer, back, nonceS[:]))
		return
	}
	p.addIndications(answer, m)
	p.takeNext(hidden)
	p.stage, p.fast, p.context, p.counter = satisfied, true, c, counter
	p.keys = c.again(p.identity, counter, nonceS)
	p.send(octets, c.seal(p.o.Rand, answer, back, nonceS[:]))
}
