package mh

import (
	"errors"
	"net/netip"
	"testing"
)

func TestOptionsThatBreakARuleAreRefused(t *testing.T) {
	var (
		nai    = shortNAI
		mnHA   = Authentication{Subtype: MNHA, SPI: 256, Data: twelve}
		mnAAA  = Authentication{Subtype: MNAAA, SPI: 3, Data: twenty}
		stamp  = halfPast
		apn    = ServiceSelection{APN: "ims"}
		altCoA = AlternateCareOf{Address: careOf}
		rr     = BindingAuthorization{Authenticator: twelve}
		ipv4   = IPv4HomeAddress{PrefixLen: 32, Address: netip.IPv4Unspecified()}
	)
	update := func(o ...Option) Message { return &BindingUpdate{Options: o} }
	answer := func(o ...Option) Message { return &BindingAcknowledgement{Options: o} }
	for _, c := range []struct {
		rule string
		m    Message
		bad  OptionType // Pad1: none
	}{
		{"an update may hold all that RFC 4285 and 5149 name, in order", update(altCoA, nai, apn, stamp, mnHA, mnAAA), 0},
		{"MN-AAA alone may authenticate", update(nai, stamp, mnAAA), 0},
		{"an acknowledgement need not name the mobile node", answer(stamp, mnHA), 0},
		{"unknown options may stand anywhere before authentication", update(RawOption{Kind: 99}, nai, RawOption{Kind: 99}, mnHA), 0},
		{"RFC 5555 lets two home addresses be asked for", update(ipv4, ipv4), 0},
		{"identifiers may be many", update(MNIdentifier{Subtype: 9}, nai, nai, mnHA), 0},
		{"a service may be chosen before the identifier when nothing authenticates", update(apn, nai), 0},

		{"MN-HA stands before MN-AAA", update(nai, mnAAA, mnHA), OptionAuthentication},
		{"one MN-HA", update(nai, mnHA, mnHA), OptionAuthentication},
		{"one MN-AAA", update(nai, mnAAA, mnAAA), OptionAuthentication},
		{"MN-HA is the last", update(nai, mnHA, stamp), OptionAuthentication},
		{"MN-HA is the last, also before unknown options", update(nai, mnHA, RawOption{Kind: 99}), OptionAuthentication},
		{"MN-AAA is the last", update(nai, mnAAA, altCoA), OptionAuthentication},
		{"MN-AAA is not for acknowledgements", answer(nai, mnAAA), OptionAuthentication},
		{"the identifier stands before authentication", update(mnHA, nai), OptionAuthentication},
		{"the identifier of an acknowledgement stands before authentication", answer(mnHA, nai), OptionMNIdentifier},
		{"authentication needs an NAI", update(stamp, mnHA), OptionAuthentication},
		{"another identifier than an NAI does not do", update(MNIdentifier{Subtype: 2}, mnHA), OptionAuthentication},
		{"the service stands before authentication", update(nai, mnHA, apn), OptionServiceSelection},
		{"the service stands before MN-AAA", update(nai, mnAAA, apn), OptionAuthentication},
		{"one service", update(apn, apn), OptionServiceSelection},
		{"a service is for updates", answer(apn), OptionServiceSelection},
		{"one timestamp", update(stamp, stamp), OptionReplayProtection},
		{"one alternate care-of address", update(altCoA, altCoA), OptionAlternateCareOf},
		{"an alternate care-of address is for updates", answer(altCoA), OptionAlternateCareOf},
		{"refresh advice is for acknowledgements", update(RefreshAdvice{}), OptionRefreshAdvice},
		{"nonce indices need an authorization", update(NonceIndices{}), OptionNonceIndices},
		{"an authorization is the last", update(rr, altCoA), OptionBindingAuthorization},
		{"authentication protects updates and acknowledgements only", &BindingError{HomeAddress: home, Options: []Option{mnHA}}, OptionAuthentication},
		{"an IPv4 prefix has a length", update(IPv4HomeAddress{Address: netip.IPv4Unspecified()}), OptionIPv4HomeAddress},
		{"an IPv4 acknowledgement is for acknowledgements", update(IPv4AddressAck{Address: netip.IPv4Unspecified()}), OptionIPv4AddressAck},
	} {
		t.Run(c.rule, func(t *testing.T) {
			b, err := Append(nil, c.m, home, agent)
			if err != nil {
				t.Fatal(err)
			}
			for way, err := range map[string]error{"values": Check(c.m), "octets": CheckOctets(b)} {
				var broken *RuleError
				switch {
				case c.bad == 0 && err != nil:
					t.Errorf("by %s: %v", way, err)
				case c.bad != 0 && (!errors.As(err, &broken) || broken.Option != c.bad || !errors.Is(err, ErrRule)):
					t.Errorf("by %s: %v, want one about %v", way, err, c.bad)
				}
			}
		})
	}
}

func TestPaddingMayFollowAuthenticationButNotAuthorization(t *testing.T) {
	for o, ok := range map[Option]bool{
		&Authentication{Subtype: MNHA, SPI: 256, Data: twelve}: true,
		&BindingAuthorization{Authenticator: twelve}:           false,
	} {
		b, err := Begin(nil, &BindingUpdate{Options: []Option{shortNAI, o}})
		if err != nil {
			t.Fatal(err)
		}
		if b, err = End(append(b, 0), 0); err != nil {
			t.Fatal(err)
		}
		if err := CheckOctets(b); (err == nil) != ok {
			t.Errorf("%v: %v", o.Type(), err)
		}
	}
}
