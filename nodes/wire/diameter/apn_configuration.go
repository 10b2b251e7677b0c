package diameter

import (
	"fmt"
	"net/netip"
)

// A PDNType is the kind of address that a packet data network gives: TS 29.272,
// section 7.3.62.
type PDNType uint32

const (
	IPv4       PDNType = 0
	IPv6       PDNType = 1
	IPv4v6     PDNType = 2
	IPv4OrIPv6 PDNType = 3
)

// String is the specification's name; a type without a name here is pdn-type- and
// its number.
func (t PDNType) String() string {
	switch t {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	case IPv4v6:
		return "IPv4v6"
	case IPv4OrIPv6:
		return "IPv4_OR_IPv6"
	}
	return fmt.Sprintf("pdn-type-%d", uint32(t))
}

// An Allocation says how a PDN gateway came to be a subscriber's: TS 29.272,
// section 7.3.44.
type Allocation uint32

const (
	Static  Allocation = 0
	Dynamic Allocation = 1
)

// An AMBR is a limit of rates: TS 29.272, section 7.3.41.
type AMBR struct{ Uplink, Downlink uint32 } // bit/s

func (a *AMBR) append(b []byte) []byte {
	if a == nil {
		return b
	}
	return appendGroup(b, AMBRAVP, func(b []byte) []byte {
		return appendUint32(appendUint32(b, MaxRequestedBandwidthUL, a.Uplink), MaxRequestedBandwidthDL, a.Downlink)
	})
}

func parseAMBR(avps []AVP) *AMBR {
	held := inner(avps, AMBRAVP)
	if held == nil {
		return nil
	}
	return &AMBR{Uplink: number(held, MaxRequestedBandwidthUL), Downlink: number(held, MaxRequestedBandwidthDL)}
}

// An APNConfiguration is what a subscription says of one packet data network: TS
// 29.272, section 7.3.35, and TS 29.273, section 8.2.3. Quality of service and
// what is special to single networks are checked and not kept.
type APNConfiguration struct {
	Context        uint32       // Context-Identifier: numbers the configurations of a subscription
	Addresses      []netip.Addr // Served-Party-IP-Address: of the mobile node, 2 at most; none: not fixed
	Type           PDNType
	Service        string      // Service-Selection: the APN; "*": any
	Agent          *AgentInfo  // MIP6-Agent-Info: its PDN gateway; nil: not told
	VisitedNetwork string      // Visited-Network-Identifier: where the gateway is; empty: not told
	Allocation     *Allocation // PDN-GW-Allocation-Type; nil: not told
	AMBR           *AMBR       // nil: not told
	OIReplacement  string      // APN-OI-Replacement; empty: none
}

func (c *APNConfiguration) append(b []byte) ([]byte, error) {
	if len(c.Addresses) > 2 {
		return nil, fmt.Errorf("%v: %d addresses, want 2 at most", APNConfigurationAVP, len(c.Addresses))
	}
	for _, a := range c.Addresses {
		if !a.IsValid() {
			return nil, fmt.Errorf("%v: %v, want an address", APNConfigurationAVP, a)
		}
	}
	agent, err := c.Agent.append(nil)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", APNConfigurationAVP, err)
	}
	return appendGroup(b, APNConfigurationAVP, func(b []byte) []byte {
		b = appendUint32(b, ContextIdentifier, c.Context)
		for _, a := range c.Addresses {
			b = appendAddress(b, ServedPartyIPAddress, a)
		}
		b = appendUint32(b, PDNTypeAVP, c.Type)
		b = appendOctets(b, ServiceSelection, c.Service)
		b = append(b, agent...)
		b = appendText(b, VisitedNetworkIdentifier, c.VisitedNetwork)
		b = appendTold(b, PDNGWAllocationType, c.Allocation)
		b = c.AMBR.append(b)
		return appendText(b, APNOIReplacement, c.OIReplacement)
	}), nil
}

func appendAPNs(b []byte, all []APNConfiguration) (_ []byte, err error) {
	for i := range all {
		if b, err = all[i].append(b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// parseAPNs reads all APN-Configuration, which Check has checked.
func parseAPNs(avps []AVP) (read []APNConfiguration) {
	for _, group := range all(avps, APNConfigurationAVP) {
		held, _ := ParseAVPs(group.Data)
		read = append(read, APNConfiguration{
			Context:        number(held, ContextIdentifier),
			Addresses:      addresses(held, ServedPartyIPAddress),
			Type:           PDNType(number(held, PDNTypeAVP)),
			Service:        text(held, ServiceSelection),
			Agent:          parseAgentInfo(held),
			VisitedNetwork: text(held, VisitedNetworkIdentifier),
			Allocation:     told[Allocation](held, PDNGWAllocationType),
			AMBR:           parseAMBR(held),
			OIReplacement:  text(held, APNOIReplacement),
		})
	}
	return read
}
