package mip4

import (
	"bytes"
	"net/netip"

	wire "s2clab/nodes/wire/mip4"
)

// mostAsksName is how many Asks about one mobile node may be out.
const mostAsksName = 4

// An Ask is to have an AAA server look at the MN-AAA extension of a Request. Its owner
// brings what becomes of it as an Answered, once.
type Ask struct {
	ID        uint64
	NAI       string
	Octets    []byte     // of the Request
	Place     wire.Place // of the extension
	Home      netip.Addr // 0.0.0.0: the mobile node has none yet
	HomeAgent netip.Addr // this one
	CareOf    netip.Addr // co-located
	Key       bool       // an MN-HA key is wanted
}

// ask asks, about a Request that is proven by an MN-AAA extension: RFC 4721, section
// 3.4. Whether it is fresh is judged after that: RFC 5944, section 3.8.2.1.
// Proven is the association by which it is proven besides; nil: by none.
func (a *Agent) ask(in RequestReceived, r *wire.RegistrationRequest, p *wire.Place, name string, proven *Association) []AgentOutput {
	before := r.Extensions[:p.Before] // what the extension vouches for
	i, named := wire.Find[wire.Identifier](before)
	key, wanted := wire.Find[wire.KeyGenerationRequest](before)
	switch {
	case !a.o.Asks:
		return discarded(name, "no-aaa")
	case !named:
		return discarded(name, "no-identifier")
	case wanted && (key.Foreign || key.SPI < FirstSPI):
		return discarded(name, "key-request")
	}
	if m := a.mobile[name]; m != nil && m.known != nil && m.known.Association != nil {
		if proven == nil {
			return discarded(name, "has-an-association")
		}
		wanted = false // what was put in beforehand stays
	}
	n := 0
	for _, q := range a.asks {
		if q.name == name {
			n++
			if q.in.From == in.From && bytes.Equal(q.in.Octets, in.Octets) {
				return discarded(name, "asked-already")
			}
		}
	}
	if len(a.asks) >= mostAsks || n >= mostAsksName {
		return discarded(name, "too-many-asks")
	}
	a.asked++
	q := &ask{in: in, request: r, place: *p, name: name, proven: proven}
	if wanted {
		q.spi = key.SPI
	}
	a.asks[a.asked] = q
	return []AgentOutput{Ask{ID: a.asked, NAI: i.NAI, Octets: bytes.Clone(in.Octets), Place: *p, Home: r.Home, HomeAgent: a.o.Address, CareOf: r.CareOf, Key: wanted}}
}
