package keys

// A Vector is a UMTS authentication vector, a quintet: TS 33.102, section 6.3.2.
// Of EAP-AKA', CK and IK are those that are bound to an access network, CK' and
// IK': RFC 9048, section 3.3.
type Vector struct {
	RAND [16]byte
	AUTN [16]byte // SQN xor AK, AMF, MAC
	XRES []byte   // 4 to 16 octets
	CK   [16]byte
	IK   [16]byte
}
