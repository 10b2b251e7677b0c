package bootstrap

import (
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

// wimax is the profile WiMAX: the MN-HA key is MN-HA-CMIP6, which both sides make of
// the EMSK of access authentication by way of MIP-RK, and its SPI comes of that too.
// The first Binding Update has an MN-HA option already; the home agent asks the AAA
// server for the key. RFC 4285 has keys of 16 octets: all 20 of this are used.
type wimax struct{}

func (wimax) Lacks(h *Held, _ time.Time) Need { return lacksAccess(h) }

func (wimax) Prove(h *Held, to Agent) Proof {
	key, spi := cmip6(h.Access, to)
	return Proof{Identifier: h.Access.Identity, Subtype: mh.MNHA, SPI: spi, Key: key}
}

func (wimax) Conclude(_ *Held, p *Proof, _ Acknowledgement) (keys.Derived, error) { return p.Key, nil }

func (wimax) Asked() Asked { return AAA }

func (wimax) Key(f *Found, _ string, to Agent) (keys.Derived, uint32, bool) {
	if f.Access == nil {
		return keys.Derived{}, 0, false
	}
	key, spi := cmip6(f.Access, to)
	return key, spi, true
}

func cmip6(a *keys.Access, to Agent) (keys.Derived, uint32) {
	key := keys.NewMIPRoot(a.EMSK[:], keys.WiMAXDeployed).CMIP6(to.Address, a.Identity)
	return keys.Derived{Name: keys.NameMNHA, Of: []keys.Ancestor{keys.Of(keys.NameEMSK, a.EMSK[:])},
		How: `MN-HA-CMIP6: HMAC-SHA1(MIP-RK of the EMSK, "CMIP6 MN HA" | home agent | NAI)`, Value: key.Key[:]}, key.SPI
}
