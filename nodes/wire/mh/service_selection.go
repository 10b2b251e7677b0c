package mh

import "fmt"

// A ServiceSelection names the service, in 3GPP the access point name, that a
// binding is for: RFC 5149, section 3.
type ServiceSelection struct {
	APN string // 1 to 255 octets of UTF-8
}

// Type is OptionServiceSelection.
func (ServiceSelection) Type() OptionType { return OptionServiceSelection }

func (ServiceSelection) align() (n, k int) { return 1, 0 }

func (o ServiceSelection) appendData(b []byte) ([]byte, error) {
	if o.APN == "" {
		return nil, fmt.Errorf("no service named")
	}
	return append(b, o.APN...), nil
}

func parseServiceSelection(b []byte) (Option, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("no octets, want 1 or more: %w", ErrMalformed)
	}
	return ServiceSelection{APN: string(b)}, nil
}
