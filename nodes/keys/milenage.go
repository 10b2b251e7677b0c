package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// Milenage is the example set of functions of TS 35.206, on AES with a key of 128
// bits, with the constants c1 to c5 and r1 to r5 that it proposes.
type Milenage struct {
	block cipher.Block // under K
	opc   [16]byte
}

// NewMilenage prepares the functions of a subscriber: its key K, and OPc, which OPc
// makes of the operator's OP.
func NewMilenage(k, opc [16]byte) *Milenage { return &Milenage{block: underK(k), opc: opc} }

// OPc is E_K(OP) xor OP: TS 35.206.
func OPc(k, op [16]byte) (opc [16]byte) {
	underK(k).Encrypt(opc[:], op[:])
	subtle.XORBytes(opc[:], opc[:], op[:])
	return opc
}

func underK(k [16]byte) cipher.Block {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("keys: AES does not take 16 octets: " + err.Error()) // it does
	}
	return block
}

// F1 is the first half of OUT1.
func (m *Milenage) F1(rand [16]byte, sqn [6]byte, amf [2]byte) [8]byte {
	out := m.out1(rand, sqn, amf)
	return [8]byte(out[:8])
}

// F1Star is the second half of OUT1.
func (m *Milenage) F1Star(rand [16]byte, sqn [6]byte, amf [2]byte) [8]byte {
	out := m.out1(rand, sqn, amf)
	return [8]byte(out[8:])
}

// F2345 is OUT2, of which RES has 8 octets and AK 6, OUT3 and OUT4.
func (m *Milenage) F2345(rand [16]byte) Answer {
	temp := m.temp(rand)
	out2 := m.out(temp, 0, 1)
	return Answer{RES: out2[8:], AK: [6]byte(out2[:6]), CK: *m.out(temp, 4, 2), IK: *m.out(temp, 8, 4)}
}

// F5Star is of OUT5.
func (m *Milenage) F5Star(rand [16]byte) [6]byte {
	out5 := m.out(m.temp(rand), 12, 8)
	return [6]byte(out5[:6])
}

// temp is TEMP, which all the others start from.
func (m *Milenage) temp(rand [16]byte) *[16]byte {
	temp := new([16]byte)
	subtle.XORBytes(temp[:], rand[:], m.opc[:])
	m.block.Encrypt(temp[:], temp[:])
	return temp
}

// out1 is OUT1: r1 is 64 bits, c1 is 0.
func (m *Milenage) out1(rand [16]byte, sqn [6]byte, amf [2]byte) *[16]byte {
	var in [16]byte // SQN | AMF | SQN | AMF
	copy(in[:], sqn[:])
	copy(in[6:], amf[:])
	copy(in[8:], in[:8])
	out := m.temp(rand)
	for i := range out {
		j := (i + 8) % 16
		out[i] ^= in[j] ^ m.opc[j]
	}
	return m.sealed(out)
}

// out is OUT2 to OUT5, with r in octets; only the last octet of their c is not 0.
func (m *Milenage) out(temp *[16]byte, r int, c byte) *[16]byte {
	out := new([16]byte)
	for i := range out {
		j := (i + r) % 16
		out[i] = temp[j] ^ m.opc[j]
	}
	out[15] ^= c
	return m.sealed(out)
}

func (m *Milenage) sealed(out *[16]byte) *[16]byte {
	m.block.Encrypt(out[:], out[:])
	subtle.XORBytes(out[:], out[:], m.opc[:])
	return out
}
