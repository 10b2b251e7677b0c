package mh

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// NoKeepalives is the refresh time of a NATDetection where no NAT was found.
const NoKeepalives = math.MaxUint32 * time.Second

// A NATDetection tells a mobile node whether a NAT was in the path: RFC 5555,
// section 3.2.2.
type NATDetection struct {
	ForceUDP bool          // F: use UDP encapsulation, NAT or not
	Refresh  time.Duration // whole seconds between keepalives; 0: nothing is said
}

// Type is OptionNATDetection.
func (NATDetection) Type() OptionType { return OptionNATDetection }

func (NATDetection) align() (n, k int) { return 4, 0 }

func (o NATDetection) appendData(b []byte) ([]byte, error) {
	seconds, rest := o.Refresh/time.Second, o.Refresh%time.Second
	if seconds < 0 || seconds > math.MaxUint32 || rest != 0 {
		return nil, fmt.Errorf("refresh time %v: want whole seconds, 32 bits of them", o.Refresh)
	}
	first := uint8(0)
	if o.ForceUDP {
		first = 0x80
	}
	return binary.BigEndian.AppendUint32(append(b, first, 0), uint32(seconds)), nil
}

func parseNATDetection(b []byte) (Option, error) {
	if err := want(b, 6); err != nil {
		return nil, err
	}
	return NATDetection{
		ForceUDP: b[0]&0x80 != 0,
		Refresh:  time.Duration(binary.BigEndian.Uint32(b[2:])) * time.Second,
	}, nil
}
