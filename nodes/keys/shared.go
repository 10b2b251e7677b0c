package keys

import "time"

// Access is what an authentication by EAP-AKA or EAP-AKA' leaves with a mobile node
// and with its AAA server.
type Access struct {
	Method   string   // eap-aka, eap-aka-prime
	Identity string   // the permanent one, a NAI
	EMSK     [64]byte // of the last authentication, full or fast
	RAND     [16]byte // of the last full one
	CK, IK   [16]byte // of that one; with EAP-AKA', CK' and IK'
}

// GBA is what a run of Ub leaves with a mobile node and with the BSF: TS 33.220,
// section 4.5.2.
type GBA struct {
	Ks   [32]byte
	RAND [16]byte
	IMPI string // the mobile node's private identity, a NAI
	BTID string // by which it is known to network application functions
	Ends time.Time
}
