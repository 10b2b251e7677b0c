package mh

// A BindingAuthorization proves that a message between a mobile and a
// correspondent node comes from the right authority: RFC 6275, section 6.2.7.
// It is the last option, without padding after it.
type BindingAuthorization struct {
	Authenticator []byte // 12 octets with return routability
}

// Type is OptionBindingAuthorization.
func (BindingAuthorization) Type() OptionType { return OptionBindingAuthorization }

func (BindingAuthorization) align() (n, k int) { return 8, 2 }

func (o BindingAuthorization) appendData(b []byte) ([]byte, error) {
	return append(b, o.Authenticator...), nil
}

func parseBindingAuthorization(b []byte) (Option, error) {
	return BindingAuthorization{Authenticator: append([]byte(nil), b...)}, nil
}
