package diameter

import (
	"fmt"
	"net/netip"
)

// An AgentInfo is a home agent, or a PDN gateway as one: MIP6-Agent-Info, RFC
// 5447, section 4.2.1.
type AgentInfo struct {
	Addresses []netip.Addr // MIP-Home-Agent-Address, 2 at most: one of each kind
	Realm     string       // Destination-Realm in MIP-Home-Agent-Host; empty with Host: not told
	Host      string       // Destination-Host in the same
	Prefix    netip.Prefix // MIP6-Home-Link-Prefix; not valid: not told
}

// append appends the group; nil appends nothing.
func (a *AgentInfo) append(b []byte) ([]byte, error) {
	if a == nil {
		return b, nil
	}
	if len(a.Addresses) > 2 {
		return nil, fmt.Errorf("%v: %d addresses, want 2 at most", MIP6AgentInfo, len(a.Addresses))
	}
	if (a.Host == "") != (a.Realm == "") {
		return nil, fmt.Errorf("%v: host %q in realm %q, want both or neither", MIP6AgentInfo, a.Host, a.Realm)
	}
	for _, addr := range a.Addresses {
		if !addr.IsValid() {
			return nil, fmt.Errorf("%v: %v, want an address", MIP6AgentInfo, addr)
		}
	}
	if a.Prefix.IsValid() && !a.Prefix.Addr().Is6() {
		return nil, fmt.Errorf("%v: prefix %v, want one of IPv6", MIP6AgentInfo, a.Prefix)
	}
	return appendGroup(b, MIP6AgentInfo, func(b []byte) []byte {
		for _, addr := range a.Addresses {
			b = appendAddress(b, MIPHomeAgentAddress, addr)
		}
		if a.Host != "" {
			b = appendGroup(b, MIPHomeAgentHost, func(b []byte) []byte {
				return appendOctets(appendOctets(b, DestinationRealm, a.Realm), DestinationHost, a.Host)
			})
		}
		if a.Prefix.IsValid() {
			b = appendOctets(b, MIP6HomeLinkPrefix, append([]byte{byte(a.Prefix.Bits())}, a.Prefix.Addr().AsSlice()...))
		}
		return b
	}), nil
}

// parseAgentInfo reads the first MIP6-Agent-Info, which Check has checked; nil:
// there is none.
func parseAgentInfo(avps []AVP) *AgentInfo {
	if find(avps, MIP6AgentInfo) == nil {
		return nil
	}
	held := inner(avps, MIP6AgentInfo)
	host := inner(held, MIPHomeAgentHost)
	a := &AgentInfo{
		Addresses: addresses(held, MIPHomeAgentAddress),
		Realm:     text(host, DestinationRealm),
		Host:      text(host, DestinationHost),
	}
	if p := find(held, MIP6HomeLinkPrefix); p != nil {
		a.Prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte(p.Data[1:])), int(p.Data[0]))
	}
	return a
}
