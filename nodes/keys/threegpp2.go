package keys

// ThreeGPP2SessionKey is the MN-HA key of the profile 3GPP2, which a home AAA server
// tells a home agent and a mobile node makes itself:
//
//	First(128, HMAC-SHA1(MN-AAA key, "lab MN-HA" | NAI | timestamp))
//
// RFC 5419, section 6.2, says that it is made of the MN-AAA key and the timestamp of
// the Binding Update (the 8 octets of RFC 4285, section 6), and X.S0011 how; that text
// is not at hand, and this form is ours.
func ThreeGPP2SessionKey(mnAAAKey []byte, nai string, timestamp [8]byte) [SessionKeySize]byte {
	data := append([]byte("lab MN-HA"), nai...)
	sum := NewMAC(mnAAAKey).Sum(append(data, timestamp[:]...))
	return [SessionKeySize]byte(sum[:])
}
