package mh

import (
	"fmt"
	"net/netip"
)

// An IPv4HomeAddress asks for an IPv4 home address beside the IPv6 one: RFC
// 5555, section 3.1.1.
type IPv4HomeAddress struct {
	PrefixLen     uint8      // 0 to 63 fit; 32 for one address; 0 is an error
	PrefixRequest bool       // P: asks for a mobile network prefix
	Address       netip.Addr // IPv4; 0.0.0.0 asks for one
}

// Type is OptionIPv4HomeAddress.
func (IPv4HomeAddress) Type() OptionType { return OptionIPv4HomeAddress }

func (IPv4HomeAddress) align() (n, k int) { return 4, 0 }

func (o IPv4HomeAddress) appendData(b []byte) ([]byte, error) {
	if o.PrefixLen > 63 {
		return nil, fmt.Errorf("prefix length %d: want 6 bits", o.PrefixLen)
	}
	first := o.PrefixLen << 2
	if o.PrefixRequest {
		first |= 2
	}
	return appendIPv4(append(b, first, 0), o.Address)
}

func parseIPv4HomeAddress(b []byte) (Option, error) {
	if err := want(b, 6); err != nil {
		return nil, err
	}
	return IPv4HomeAddress{
		PrefixLen:     b[0] >> 2,
		PrefixRequest: b[0]&2 != 0,
		Address:       netip.AddrFrom4([4]byte(b[2:])),
	}, nil
}
