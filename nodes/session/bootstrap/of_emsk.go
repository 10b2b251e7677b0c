package bootstrap

import (
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

// ofEMSK is an MN-AAA key that both sides make of the EMSK of access authentication:
// the root key of Mobile IP in WiMAX, MIP-RK, all 64 octets of it. That it is this
// one is a decision of this lab.
type ofEMSK struct{}

func (ofEMSK) lacks(h *Held, _ time.Time) Need { return lacksAccess(h) }

func (ofEMSK) key(h *Held) (string, uint32, keys.Derived) {
	return h.Access.Identity, mh.HMACSHA1SPI, rootOfEMSK(h.Access)
}

func (ofEMSK) Root() Root { return OfAccess }

func (ofEMSK) MNAAA(f *Found) (keys.Derived, bool) {
	if f.Access == nil {
		return keys.Derived{}, false
	}
	return rootOfEMSK(f.Access), true
}

func rootOfEMSK(a *keys.Access) keys.Derived {
	key := keys.NewMIPRoot(a.EMSK[:], keys.WiMAXDeployed).Key()
	return keys.Derived{Name: keys.NameMNAAA, Of: []keys.Ancestor{keys.Of(keys.NameEMSK, a.EMSK[:])},
		How: `MIP-RK: HMAC-SHA256(EMSK, "miprk@wimaxforum.org" | ...), twice`, Value: key[:]}
}

// lacksAccess says whether an access has to authenticate the mobile node first.
func lacksAccess(h *Held) Need {
	if h.Access == nil {
		return AccessKeys
	}
	return Nothing
}
