package aaa

import (
	"testing"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/diameter"
)

// A request that answers a challenge is to be authenticated like any other: without an
// authenticator, or mobility data for one, it is not.
func TestAnAnsweredChallengeProvesNothingByItself(t *testing.T) {
	s := newServer(t)
	cfg := config().AAA
	cfg.Security.Bootstrap, cfg.Security.KeySource = "mip-options", "aka"
	authority, err := newAuthority(cfg, s.m.authority.random.Rand)
	if err != nil {
		t.Fatal(err)
	}
	s.m.authority = authority
	for what, change := range map[string]func(r *diameter.MIP6Request){
		"no mobility data, and zeros": func(r *diameter.MIP6Request) { r.MobilityData, r.Authenticator = nil, make([]byte, keys.MNAAASize) },
		"short mobility data, and zeros": func(r *diameter.MIP6Request) {
			r.MobilityData, r.Authenticator = make([]byte, 5), make([]byte, keys.MNAAASize)
		},
		"nothing": func(r *diameter.MIP6Request) { r.MobilityData, r.Authenticator = nil, nil },
	} {
		v := keys.Vector{RAND: [16]byte{byte(len(what))}}
		authority.challenges.add(&challenge{nai: nai, vector: v, sent: s.now})
		_, _, o := s.ask(func(r *diameter.MIP6Request) {
			r.Mode, r.SPI, r.Answer = diameter.AuthAKA, 0, v.RAND[:]
			change(r)
		})
		if o.Result != diameter.AuthenticationRejected {
			t.Errorf("%s: %v", what, o.Result)
		}
	}
}
