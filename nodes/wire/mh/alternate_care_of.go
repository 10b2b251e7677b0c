package mh

import "net/netip"

// An AlternateCareOf names the care-of address to bind, in place of the source
// of the packet: RFC 6275, section 6.2.5.
type AlternateCareOf struct {
	Address netip.Addr // IPv6
}

// Type is OptionAlternateCareOf.
func (AlternateCareOf) Type() OptionType { return OptionAlternateCareOf }

func (AlternateCareOf) align() (n, k int) { return 8, 6 }

func (o AlternateCareOf) appendData(b []byte) ([]byte, error) { return appendIPv6(b, o.Address) }

func parseAlternateCareOf(b []byte) (Option, error) {
	if err := want(b, 16); err != nil {
		return nil, err
	}
	return AlternateCareOf{Address: netip.AddrFrom16([16]byte(b))}, nil
}
