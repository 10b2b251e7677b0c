package diameter

import (
	"net/netip"
	"slices"
)

// Capabilities are what two peers tell each other first: RFC 6733, section 5.3.
// An application of a vendor is offered in Vendor-Specific-Application-Id, and
// understood in Auth-Application-Id too, where many peers have it.
type Capabilities struct {
	Identity
	Addresses     []netip.Addr  // Host-IP-Address, one or more
	Vendor        uint32        // Vendor-Id of who made the node; 0: not told
	Product       string        // Product-Name
	Vendors       []uint32      // Supported-Vendor-Id; the 3GPP is added where an application of its own is offered
	Auth          []Application // Auth-Application-Id; those of the 3GPP are written as VendorAuth is
	Acct          []Application
	VendorAuth    []Application // Auth-Application-Id in Vendor-Specific-Application-Id, with the 3GPP as the vendor
	VendorAcct    []Application // Acct-Application-Id in the same
	Security      []uint32      // Inband-Security-Id; 0: none, which absence means too
	FirmwareLevel uint32        // Firmware-Revision; 0: not told
}

// Common says whether a and b have an application in common: RFC 6733, section
// 5.3. A relay has one in common with everybody.
func (c *Capabilities) Common(other *Capabilities) bool {
	mine, theirs := c.applications(), other.applications()
	if slices.Contains(mine, Relay) || slices.Contains(theirs, Relay) {
		return true
	}
	return slices.ContainsFunc(mine, func(a Application) bool { return slices.Contains(theirs, a) })
}

// Offers says whether requests of that application may be sent to the peer with
// these capabilities: RFC 6733, section 5.3.
func (c *Capabilities) Offers(a Application) bool {
	all := c.applications()
	return slices.Contains(all, a) || slices.Contains(all, Relay)
}

func (c *Capabilities) applications() []Application {
	return slices.Concat(c.Auth, c.Acct, c.VendorAuth, c.VendorAcct)
}

// InsecureOnly says whether the peer can do without transport security that is
// negotiated inside the connection: RFC 6733, section 6.10.
func (c *Capabilities) InsecureOnly() bool {
	return len(c.Security) == 0 || slices.Contains(c.Security, 0)
}

func (c *Capabilities) append(b []byte) []byte {
	b = c.Identity.append(b)
	for _, a := range c.Addresses {
		b = appendAddress(b, HostIPAddress, a)
	}
	b = appendUint32(b, VendorID, c.Vendor)
	b = appendOctets(b, ProductName, c.Product)
	b = c.Identity.appendState(b)
	for _, v := range c.Vendors {
		b = appendUint32(b, SupportedVendorID, v)
	}
	if slices.ContainsFunc(c.applications(), Application.VendorSpecific) && !slices.Contains(c.Vendors, TGPP) {
		b = appendUint32(b, SupportedVendorID, TGPP)
	}
	for _, a := range c.Auth {
		if !a.VendorSpecific() {
			b = appendUint32(b, AuthApplicationID, a)
		}
	}
	for _, s := range c.Security {
		b = appendUint32(b, InbandSecurityID, s)
	}
	for _, a := range c.Acct {
		b = appendUint32(b, AcctApplicationID, a)
	}
	for _, a := range c.Auth {
		if a.VendorSpecific() {
			b = appendVendorApplication(b, a)
		}
	}
	for _, a := range c.VendorAuth {
		b = appendVendorApplication(b, a)
	}
	for _, a := range c.VendorAcct {
		b = appendGroup(b, VendorSpecificApplicationID, func(b []byte) []byte {
			return appendUint32(appendUint32(b, VendorID, TGPP), AcctApplicationID, a)
		})
	}
	if c.FirmwareLevel != 0 {
		b = appendUint32(b, FirmwareRevision, c.FirmwareLevel)
	}
	return b
}

func parseCapabilities(avps []AVP) Capabilities {
	c := Capabilities{
		Identity:      parseIdentity(avps),
		Addresses:     addresses(avps, HostIPAddress),
		Vendor:        number(avps, VendorID),
		Product:       text(avps, ProductName),
		Vendors:       numbers[uint32](avps, SupportedVendorID),
		Auth:          numbers[Application](avps, AuthApplicationID),
		Acct:          numbers[Application](avps, AcctApplicationID),
		Security:      numbers[uint32](avps, InbandSecurityID),
		FirmwareLevel: number(avps, FirmwareRevision),
	}
	for _, group := range all(avps, VendorSpecificApplicationID) {
		inner, _ := ParseAVPs(group.Data) // Check has parsed it
		c.VendorAuth = append(c.VendorAuth, numbers[Application](inner, AuthApplicationID)...)
		c.VendorAcct = append(c.VendorAcct, numbers[Application](inner, AcctApplicationID)...)
	}
	return c
}

// A CapabilitiesExchangeRequest is the first message on every connection, from
// the side that opened it: RFC 6733, section 5.3.1.
type CapabilitiesExchangeRequest struct{ Capabilities }

// AppendTo appends the whole message; of h, the identifiers are taken.
func (r *CapabilitiesExchangeRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	h.Flags, h.Command, h.Application = Request, CapabilitiesExchange, Base
	start := len(b)
	return finish(r.append(h.append(b)), start)
}

// ParseCapabilitiesExchangeRequest checks and reads m. Errors are *Failure.
func ParseCapabilitiesExchangeRequest(m *Message) (*CapabilitiesExchangeRequest, error) {
	if err := checkAs(m, CapabilitiesExchange, Request); err != nil {
		return nil, err
	}
	return &CapabilitiesExchangeRequest{parseCapabilities(m.AVPs)}, nil
}

// A CapabilitiesExchangeAnswer answers it: RFC 6733, section 5.3.2.
type CapabilitiesExchangeAnswer struct {
	Outcome
	Capabilities
}

// AppendTo appends the whole message; h is the request's header.
func (a *CapabilitiesExchangeAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = a.Outcome.append(h.answer(CapabilitiesExchange, Base, a.Result).append(b))
	return finish(a.Outcome.appendRest(a.Capabilities.append(b)), start)
}

// ParseCapabilitiesExchangeAnswer checks and reads m. Errors are *Failure.
func ParseCapabilitiesExchangeAnswer(m *Message) (*CapabilitiesExchangeAnswer, error) {
	if err := checkAs(m, CapabilitiesExchange, 0); err != nil {
		return nil, err
	}
	return &CapabilitiesExchangeAnswer{parseOutcome(m.AVPs), parseCapabilities(m.AVPs)}, nil
}
