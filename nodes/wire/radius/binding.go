package radius

import (
	"crypto/sha1"
	"net/netip"
	"slices"
	"time"
)

// A BindingRequest has a Binding Update authenticated by the home server of
// 3GPP2: an Access-Request whose attributes a home agent takes from the Binding
// Update, which has an MN-AAA option of SPI 3. RFC 5419, section 6.2. It proves
// nothing without a Message-Authenticator, which Guard adds.
type BindingRequest struct {
	NAS                      // the home agent
	User          string     // User-Name: the NAI of the MN-NAI option
	HomeAgent     netip.Addr // MIP6-Home-Agent-Address-From-BU
	CareOf        netip.Addr // MIP6-Care-of-Address
	Home          netip.Addr // MIP6-HOA-Received-From-BU; unspecified: the server assigns one
	Timestamp     []byte     // MIP6-Mesg-ID: RFC 4285, section 6; 8 octets
	Authenticator []byte     // MIP6-Authenticator: data of the MN-AAA option
	MobilityData  []byte     // MIP6-MAC-Mobility-Data: RFC 4285, section 5.2; 20 octets
}

var bindingRequestRules = slices.Concat(nasRules, []rule{
	{UserName, 1, 1, 0},
	{ThreeGPP2MIP6HomeAgentAddressFromBU, 1, 1, 0},
	{ThreeGPP2MIP6CareOfAddress, 1, 1, 0},
	{ThreeGPP2MIP6HOAReceivedFromBU, 1, 1, 0},
	{ThreeGPP2MIP6MesgID, 1, 1, 8},
	{ThreeGPP2MIP6Authenticator, 1, 1, 0},
	{ThreeGPP2MIP6MACMobilityData, 1, 1, sha1.Size},
})

// AppendTo appends the attributes of the request.
func (r *BindingRequest) AppendTo(as []Attribute) ([]Attribute, error) {
	w := &writer{what: "binding request", as: as}
	w.text(UserName, r.User)
	r.NAS.append(w)
	w.address(ThreeGPP2MIP6HomeAgentAddressFromBU, r.HomeAgent)
	w.address(ThreeGPP2MIP6CareOfAddress, r.CareOf)
	w.address(ThreeGPP2MIP6HOAReceivedFromBU, r.Home)
	w.add(ThreeGPP2MIP6MesgID, r.Timestamp)
	w.add(ThreeGPP2MIP6Authenticator, r.Authenticator)
	w.add(ThreeGPP2MIP6MACMobilityData, r.MobilityData)
	return w.end(len(as), bindingRequestRules)
}

// IsBindingRequest says whether a request is one, well-formed or not: whether it
// has the authenticator of a Binding Update.
func IsBindingRequest(as []Attribute) bool { return holds(as, ThreeGPP2MIP6Authenticator) }

// holds says whether there is a value of a type; false of what cannot be unpacked.
func holds(as []Attribute, t Type) bool {
	v, err := Unpack(as)
	return err == nil && values(v).has(t)
}

// ParseBindingRequest reads the attributes of a request. Every error wraps
// ErrMalformed.
func ParseBindingRequest(as []Attribute) (*BindingRequest, error) {
	const what = "binding request"
	v, err := read(what, as, bindingRequestRules)
	if err != nil {
		return nil, err
	}
	nas, err := parseNAS(what, v)
	if err != nil {
		return nil, err
	}
	return &BindingRequest{
		NAS:           nas,
		User:          v.text(UserName),
		HomeAgent:     v.address(ThreeGPP2MIP6HomeAgentAddressFromBU),
		CareOf:        v.address(ThreeGPP2MIP6CareOfAddress),
		Home:          v.address(ThreeGPP2MIP6HOAReceivedFromBU),
		Timestamp:     v.octets(ThreeGPP2MIP6MesgID),
		Authenticator: v.octets(ThreeGPP2MIP6Authenticator),
		MobilityData:  v.octets(ThreeGPP2MIP6MACMobilityData),
	}, nil
}

// A BindingAccept answers a BindingRequest with what the home agent makes an
// MN-HA association of, for SPI 5: RFC 5419, section 6.2.
type BindingAccept struct {
	User       string        // User-Name; empty: not told
	SessionKey []byte        // MIP6-Session-Key, covered
	Lifetime   time.Duration // Session-Timeout: of the key; whole seconds; 0: that of the binding
	Home       netip.Addr    // MIP6-HOA-Received-From-BU, here the home that is granted: our use; not valid: not told
	HomeAgent  netip.Addr    // MIP6-Home-Agent-Address-Attr-B: the one to go to; not valid: not told
}

var bindingAcceptRules = append(optional(UserName, SessionTimeout, ThreeGPP2MIP6HOAReceivedFromBU, ThreeGPP2MIP6HomeAgentAddress),
	rule{ThreeGPP2MIP6SessionKey, 1, 1, 0})

// AppendTo appends the attributes of the answer, whose key c covers.
func (a *BindingAccept) AppendTo(as []Attribute, c *Cover) ([]Attribute, error) {
	w := &writer{what: "binding accept", as: as}
	w.text(UserName, a.User)
	w.seconds(SessionTimeout, a.Lifetime)
	w.key(ThreeGPP2MIP6SessionKey, a.SessionKey, c)
	w.address(ThreeGPP2MIP6HOAReceivedFromBU, a.Home)
	w.address(ThreeGPP2MIP6HomeAgentAddress, a.HomeAgent)
	return w.end(len(as), bindingAcceptRules)
}

// ParseBindingAccept reads the attributes of an answer, whose key c uncovers.
// Every error wraps ErrMalformed.
func ParseBindingAccept(as []Attribute, c *Cover) (*BindingAccept, error) {
	v, err := read("binding accept", as, bindingAcceptRules)
	if err != nil {
		return nil, err
	}
	key, err := v.key(ThreeGPP2MIP6SessionKey, c)
	if err != nil {
		return nil, err
	}
	return &BindingAccept{
		User:       v.text(UserName),
		SessionKey: key,
		Lifetime:   v.seconds(SessionTimeout),
		Home:       v.address(ThreeGPP2MIP6HOAReceivedFromBU),
		HomeAgent:  v.address(ThreeGPP2MIP6HomeAgentAddress),
	}, nil
}
