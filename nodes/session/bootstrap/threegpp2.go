package bootstrap

import (
	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

// threeGPP2 is the profile 3GPP2: as mipOptions with a key that was put in both, and
// the session key of RFC 5419, section 6.2: of the MN-AAA key and the timestamp. The
// home agent asks by RADIUS. The association is gone with the binding.
type threeGPP2 struct{ mipOptions }

// ThreeGPP2SPI is that of every MN-HA association of 3GPP2: RFC 4285, section 8.
const ThreeGPP2SPI = 5

func (threeGPP2) Conclude(_ *Held, p *Proof, a Acknowledgement) (keys.Derived, error) {
	return threeGPP2Key(p.Key, p.Identifier, a.Freshness), nil
}

func (threeGPP2) Associate(root keys.Derived, r Request) (keys.Derived, []mh.KeyMaterial) {
	return threeGPP2Key(root, r.Identifier, r.Freshness), nil
}

func threeGPP2Key(root keys.Derived, nai string, timestamp [8]byte) keys.Derived {
	key := keys.ThreeGPP2SessionKey(root.Value, nai, timestamp)
	return keys.Derived{Name: keys.NameMNHA, Of: []keys.Ancestor{keys.Of(root.Name, root.Value)}, How: `First128(HMAC-SHA1(MN-AAA key, "lab MN-HA" | NAI | timestamp))`, Value: key[:]}
}
