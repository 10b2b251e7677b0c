package mh

import (
	"fmt"
	"net/netip"
)

// An IPv4Status says what became of an IPv4HomeAddress. Values below 128
// accept it: RFC 5555, section 3.2.1.
type IPv4Status uint8

// Statuses of an IPv4 Address Acknowledgement: RFC 5555, section 3.2.1.
const (
	IPv4Accepted           IPv4Status = 0
	IPv4Unspecified        IPv4Status = 128
	IPv4Prohibited         IPv4Status = 129
	IPv4IncorrectHome      IPv4Status = 130
	IPv4Invalid            IPv4Status = 131
	IPv4NoDynamic          IPv4Status = 132
	IPv4PrefixUnauthorized IPv4Status = 133
)

// Accepts says whether the IPv4 home address was bound.
func (s IPv4Status) Accepts() bool { return s < 128 }

func (s IPv4Status) String() string {
	switch s {
	case IPv4Accepted:
		return "success"
	case IPv4Unspecified:
		return "reason-unspecified"
	case IPv4Prohibited:
		return "administratively-prohibited"
	case IPv4IncorrectHome:
		return "incorrect-ipv4-home-address"
	case IPv4Invalid:
		return "invalid-ipv4-address"
	case IPv4NoDynamic:
		return "dynamic-assignment-not-available"
	case IPv4PrefixUnauthorized:
		return "prefix-allocation-unauthorized"
	}
	return fmt.Sprintf("status-%d", uint8(s))
}

// An IPv4AddressAck answers an IPv4HomeAddress: RFC 5555, section 3.2.1.
type IPv4AddressAck struct {
	Status    IPv4Status
	PrefixLen uint8      // 0 to 63 fit; 0 in a refusal
	Address   netip.Addr // IPv4
}

// Type is OptionIPv4AddressAck.
func (IPv4AddressAck) Type() OptionType { return OptionIPv4AddressAck }

func (IPv4AddressAck) align() (n, k int) { return 4, 0 }

func (o IPv4AddressAck) appendData(b []byte) ([]byte, error) {
	if o.PrefixLen > 63 {
		return nil, fmt.Errorf("prefix length %d: want 6 bits", o.PrefixLen)
	}
	return appendIPv4(append(b, uint8(o.Status), o.PrefixLen<<2), o.Address)
}

func parseIPv4AddressAck(b []byte) (Option, error) {
	if err := want(b, 6); err != nil {
		return nil, err
	}
	return IPv4AddressAck{Status: IPv4Status(b[0]), PrefixLen: b[1] >> 2, Address: netip.AddrFrom4([4]byte(b[2:]))}, nil
}
