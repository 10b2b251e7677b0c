package mh

import "net/netip"

// An IPv4CareOf names the IPv4 care-of address to bind: RFC 5555, section
// 3.1.2.
type IPv4CareOf struct {
	Address netip.Addr // IPv4
}

// Type is OptionIPv4CareOf.
func (IPv4CareOf) Type() OptionType { return OptionIPv4CareOf }

func (IPv4CareOf) align() (n, k int) { return 4, 0 }

func (o IPv4CareOf) appendData(b []byte) ([]byte, error) {
	return appendIPv4(append(b, 0, 0), o.Address)
}

func parseIPv4CareOf(b []byte) (Option, error) {
	if err := want(b, 6); err != nil {
		return nil, err
	}
	return IPv4CareOf{Address: netip.AddrFrom4([4]byte(b[2:]))}, nil
}
