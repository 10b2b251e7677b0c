package radius

import (
	"net/netip"
	"slices"
	"time"
)

// A KeyRequest is a WiMAX home agent's for the MN-HA key of a Binding Update: an
// Access-Request that names the mobile node, the home agent whose address went
// into the key, and the SPI of the MN-HA option. It proves nothing without a
// Message-Authenticator, which Guard adds.
//
// The NWG's text was not to be had; the attributes are those that the
// dictionaries describe so, and their choice is ours.
type KeyRequest struct {
	NAS                  // the home agent
	User      string     // User-Name: the NAI of the MN-NAI option
	HomeAgent netip.Addr // WiMAX-hHA-IP-MIP6
	SPI       uint32     // WiMAX-MN-hHA-MIP6-SPI
}

var keyRequestRules = slices.Concat(nasRules, []rule{
	{UserName, 1, 1, 0},
	{WiMAXhHAIPMIP6, 1, 1, 0},
	{WiMAXMNhHAMIP6SPI, 1, 1, 0},
})

// AppendTo appends the attributes of the request.
func (r *KeyRequest) AppendTo(as []Attribute) ([]Attribute, error) {
	w := &writer{what: "key request", as: as}
	w.text(UserName, r.User)
	r.NAS.append(w)
	w.address(WiMAXhHAIPMIP6, r.HomeAgent)
	w.number(WiMAXMNhHAMIP6SPI, r.SPI)
	return w.end(len(as), keyRequestRules)
}

// IsKeyRequest says whether a request is one, well-formed or not: whether it has
// the SPI of an MN-HA key.
func IsKeyRequest(as []Attribute) bool { return holds(as, WiMAXMNhHAMIP6SPI) }

// ParseKeyRequest reads the attributes of a request. Every error wraps
// ErrMalformed.
func ParseKeyRequest(as []Attribute) (*KeyRequest, error) {
	const what = "key request"
	v, err := read(what, as, keyRequestRules)
	if err != nil {
		return nil, err
	}
	nas, err := parseNAS(what, v)
	if err != nil {
		return nil, err
	}
	return &KeyRequest{NAS: nas, User: v.text(UserName), HomeAgent: v.address(WiMAXhHAIPMIP6), SPI: v.number(WiMAXMNhHAMIP6SPI)}, nil
}

// A KeyAccept answers a KeyRequest.
type KeyAccept struct {
	User     string        // User-Name; empty: not told
	Key      []byte        // WiMAX-MN-hHA-MIP6-Key, covered
	SPI      uint32        // WiMAX-MN-hHA-MIP6-SPI: of that key
	Lifetime time.Duration // Session-Timeout: of the key; whole seconds; 0: that of the binding
}

var keyAcceptRules = append(optional(UserName, SessionTimeout), rule{WiMAXMNhHAMIP6Key, 1, 1, 0}, rule{WiMAXMNhHAMIP6SPI, 1, 1, 0})

// AppendTo appends the attributes of the answer, whose key c covers.
func (a *KeyAccept) AppendTo(as []Attribute, c *Cover) ([]Attribute, error) {
	w := &writer{what: "key accept", as: as}
	w.text(UserName, a.User)
	w.seconds(SessionTimeout, a.Lifetime)
	w.key(WiMAXMNhHAMIP6Key, a.Key, c)
	w.number(WiMAXMNhHAMIP6SPI, a.SPI)
	return w.end(len(as), keyAcceptRules)
}

// ParseKeyAccept reads the attributes of an answer, whose key c uncovers. Every
// error wraps ErrMalformed.
func ParseKeyAccept(as []Attribute, c *Cover) (*KeyAccept, error) {
	v, err := read("key accept", as, keyAcceptRules)
	if err != nil {
		return nil, err
	}
	key, err := v.key(WiMAXMNhHAMIP6Key, c)
	if err != nil {
		return nil, err
	}
	return &KeyAccept{User: v.text(UserName), Key: key, SPI: v.number(WiMAXMNhHAMIP6SPI), Lifetime: v.seconds(SessionTimeout)}, nil
}
