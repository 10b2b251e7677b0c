package eapaka

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/eap"
)

// A Context is what a full authentication leaves for fast re-authentications: RFC
// 4187, section 5.1.
type Context struct {
	Method   eap.Type
	IMSI     string
	Network  string // of EAP-AKA': a context is good in no other
	Identity string // the re-authentication identity that was handed out for it; good for one time
	Counter  uint16 // of the next re-authentication: 1 after a full authentication
	KEncr    [16]byte
	KAut     [32]byte // of EAP-AKA the first 16 octets
	Root     [32]byte // MK of EAP-AKA, which is 20 octets, or K_re of EAP-AKA'
}

// Format writes no key.
func (c Context) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{%v %s %q %d}", c.Method, c.IMSI, c.Network, c.Counter)
}

// newContext derives all that a full authentication gives; ck and ik are CK' and
// IK' of EAP-AKA'.
func newContext(method eap.Type, imsi, network, identity string, ck, ik [16]byte) (*Context, *Keys) {
	c := &Context{Method: method, IMSI: imsi, Counter: 1}
	k := &Keys{method: method, CK: ck, IK: ik}
	if method == eap.TypeAKAPrime {
		c.Network = network
		made := keys.NewEAPAKAPrime(identity, ck, ik)
		c.KEncr, c.KAut, c.Root = made.KEncr, made.KAut, made.KRe
		k.MSK, k.EMSK = made.MSK, made.EMSK
	} else {
		made := keys.NewEAPAKA(identity, ck, ik)
		c.KEncr = made.KEncr
		copy(c.KAut[:], made.KAut[:])
		copy(c.Root[:], made.MK[:])
		k.MSK, k.EMSK = made.MSK, made.EMSK
	}
	k.encr, k.aut, k.root = c.KEncr, c.KAut, c.Root
	return c, k
}

// again derives what a fast re-authentication gives.
func (c *Context) again(identity string, counter uint16, nonceS [16]byte) *Keys {
	k := &Keys{method: c.Method, fast: true, encr: c.KEncr, aut: c.KAut, root: c.Root}
	if c.Method == eap.TypeAKAPrime {
		k.MSK, k.EMSK = keys.ReauthEAPAKAPrime(c.Root, identity, counter, nonceS)
	} else {
		k.MSK, k.EMSK = keys.ReauthEAPAKA([20]byte(c.Root[:]), identity, counter, nonceS)
	}
	return k
}

// mac is the AT_MAC of a packet whose own is zeros.
func (c *Context) mac(packet, more []byte) [keys.EAPMACSize]byte {
	if c.Method == eap.TypeAKAPrime {
		return keys.EAPMACPrime(c.KAut, packet, more)
	}
	return keys.EAPMAC([16]byte(c.KAut[:]), packet, more)
}

// A checkcode sums up the AKA-Identity packets of an exchange: RFC 4187, section
// 10.13; RFC 9048, section 3.4.3.
type checkcode struct{ hash hash.Hash }

func (c *checkcode) add(method eap.Type, request, response []byte) {
	if c.hash == nil && method == eap.TypeAKAPrime {
		c.hash = sha256.New()
	} else if c.hash == nil {
		c.hash = sha1.New()
	}
	c.hash.Write(request)
	c.hash.Write(response)
}

// sum is the value of AT_CHECKCODE, which is empty where there were no packets.
func (c *checkcode) sum() []byte {
	if c.hash == nil {
		return nil
	}
	return c.hash.Sum(nil)
}

// wrong says that a message has an AT_CHECKCODE, and not the one of this exchange.
func (c *checkcode) wrong(m *eap.Message) bool {
	told := eap.Find(m.Attributes, eap.ATCHECKCODE)
	return told != nil && !keys.Equal(told.Value, c.sum())
}
