package bootstrap

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/mh"
)

// ofGBA is an MN-AAA key that comes of a run of Ub, with the AAA servers of a realm as
// one network application function: Ks_NAF. The mobile node calls itself by its B-TID.
type ofGBA struct{}

func (ofGBA) lacks(h *Held, now time.Time) Need { return lacksGBA(h, now) }

func (ofGBA) key(h *Held) (string, uint32, keys.Derived) {
	return h.GBA.BTID, mh.HMACSHA1SPI, naf(keys.NameMNAAA, h.GBA, ServersOf(h.Realm))
}

func (ofGBA) Root() Root { return OfGBA }

func (ofGBA) MNAAA(f *Found) (keys.Derived, bool) {
	return keys.Derived{Name: keys.NameMNAAA, How: "Ks_NAF, from the BSF", Value: f.NAF}, len(f.NAF) > 0
}

// lacksGBA says whether Ub has to be run first.
func lacksGBA(h *Held, now time.Time) Need {
	if h.GBA == nil || !now.Before(h.GBA.Ends) {
		return GBAKeys
	}
	return Nothing
}

// ServersOf is the FQDN that the AAA servers of a realm have in common as a network
// application function: a mobile node does not know which of them will be asked.
func ServersOf(realm string) string { return "aaa." + realm }

// Ua is the security protocol identifier of RFC 4285's options, in the NAF_Id of
// whoever verifies them. TS 33.220, annex H, has none for it: this one is of the
// octets that it leaves to others, and a decision of this lab.
var Ua = [5]byte{0xff, 0x42, 0x85, 0x00, 0x01}

// NAFID is the NAF_Id of a network application function of that name.
func NAFID(fqdn string) []byte { return keys.NAFID(fqdn, Ua) }

// naf makes Ks_NAF of a bootstrapping, for a network application function.
func naf(name string, g *keys.GBA, fqdn string) keys.Derived {
	key, err := keys.KsNAF(g.Ks, g.RAND, g.IMPI, NAFID(fqdn))
	if err != nil {
		return keys.Derived{Name: name} // no NAI is so long: RFC 4282, section 2.2
	}
	return keys.Derived{Name: name, Of: []keys.Ancestor{keys.Of(keys.NameKs, g.Ks[:])}, How: `Ks_NAF: HMAC-SHA256(Ks, 01 | "gba-me" | RAND | IMPI | NAF_Id of ` + fqdn + ")", Value: key[:]}
}

// gba is TR 33.822, clause 7.3.3: the home agent is a network application function,
// and the MN-HA key is its Ks_NAF, of which 16 octets are used. The first Binding
// Update has an MN-HA option already; the home agent finds whose by the B-TID, and
// asks the BSF.
type gba struct{}

func (gba) Lacks(h *Held, now time.Time) Need { return lacksGBA(h, now) }

func (gba) Prove(h *Held, to Agent) Proof { return proveByNAF(h.GBA, to) }

func (gba) Conclude(_ *Held, p *Proof, _ Acknowledgement) (keys.Derived, error) { return p.Key, nil }

func (gba) Asked() Asked { return BSF }

func (gba) Key(f *Found, _ string, _ Agent) (keys.Derived, uint32, bool) {
	if len(f.NAF) < mnHAKey {
		return keys.Derived{}, 0, false
	}
	return keys.Derived{Name: keys.NameMNHA, How: "First128(Ks_NAF), from the BSF", Value: f.NAF[:mnHAKey]}, 0, true
}

// proveByNAF proves by the Ks_NAF of a home agent.
func proveByNAF(g *keys.GBA, to Agent) Proof {
	key := naf(keys.NameMNHA, g, to.Host)
	key.How, key.Value = "First128("+key.How+")", key.Value[:mnHAKey]
	return Proof{Identifier: g.BTID, Subtype: mh.MNHA, SPI: spiOf(g.BTID, to), Key: key}
}

// spiOf is the SPI of an association that the mobile node is the first to speak of: a
// number that depends on the bootstrapping and the home agent, and is not reserved.
func spiOf(btid string, to Agent) uint32 {
	sum := sha256.Sum256([]byte(btid + "\x00" + to.Host))
	return max(binary.BigEndian.Uint32(sum[:]), firstSPI)
}

// partialGBA is TR 33.822, clause 7.3.4: as gba, with CK and IK of the access
// authentication for those of a run of Ub, and the AAA server for the BSF.
type partialGBA struct{}

func (partialGBA) Lacks(h *Held, _ time.Time) Need { return lacksAccess(h) }

func (partialGBA) Prove(h *Held, to Agent) Proof { return proveByNAF(Partial(h.Access, h.Realm), to) }

func (partialGBA) Conclude(_ *Held, p *Proof, _ Acknowledgement) (keys.Derived, error) {
	return p.Key, nil
}

func (partialGBA) Asked() Asked { return AAA }

func (partialGBA) Key(f *Found, _ string, _ Agent) (keys.Derived, uint32, bool) {
	return gba{}.Key(f, "", Agent{})
}

// Partial is the bootstrapping that an access authentication stands for.
func Partial(a *keys.Access, realm string) *keys.GBA {
	return &keys.GBA{Ks: keys.Ks(a.CK, a.IK), RAND: a.RAND, IMPI: a.Identity, BTID: keys.BTID(a.RAND, ServersOf(realm))}
}

// Delivered is the MN-HA key as whoever has the bootstrapping knows it to come of the
// Ks_NAF that it gives to a home agent of that name.
func Delivered(g *keys.GBA, fqdn string) keys.Derived {
	return proveByNAF(g, Agent{Host: fqdn}).Key
}
