package keys

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func TestADigestIsThatOfTheExamplesOfItsRFCs(t *testing.T) {
	for _, c := range []struct {
		rfc      string
		digest   Digest
		password string
		want     string
	}{
		{"RFC 2617, section 3.5", Digest{
			Username: "Mufasa", Realm: "testrealm@host.com", Nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
			Method: "GET", URI: "/dir/index.html", QoP: QoPAuth, NC: 1, CNonce: "0a4f113b",
		}, "Circle Of Life", "6629fae49393a05397450978507c4ef1"},
		{"RFC 7616, section 3.9.1", Digest{
			Username: "Mufasa", Realm: "http-auth@example.org", Nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
			Method: "GET", URI: "/dir/index.html", QoP: QoPAuth, NC: 1, CNonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
		}, "Circle of Life", "8ca523f5e9506fed4657c9700eebdbec"},
	} {
		if got := c.digest.Response([]byte(c.password)); got != c.want {
			t.Errorf("%s: %s, want %s", c.rfc, got, c.want)
		}
	}
}

// Figures by the C of RFC 2617, section 5, and by a script on Python's hashlib;
// the AKA is that of RFC 9048, appendix C. RFC 3310 itself has no response that can be
// computed: those of its examples are copied from RFC 2617.
func TestADigestOfAKAHasRESAsItsPassword(t *testing.T) {
	rand, autn := [16]byte(octetsOf(t, exampleRAND)), [16]byte(octetsOf(t, exampleAUTN))
	res := octetsOf(t, exampleRES)
	d := Digest{
		Username: exampleIMPI, Realm: "bsf.mnc001.mcc001.pub.3gppnetwork.org",
		Nonce: DigestAKANonce(rand, autn, nil), Method: "GET", URI: "/", NC: 1, CNonce: "0a4f113b",
	}
	for _, c := range []struct {
		qop                   QoP
		response, resync, own string
	}{
		{QoPAuth, "30f3f556d70afb418febe0c092bc0738", "34bd5d487cafc47b4ccbefcbcd13dfec", "d782593e685e884dbb9066a0e3934d1c"},
		{QoPAuthInt, "c1ffd4fc1acb8ec06b38c3d2e7f43f48", "8acd09539b0e45e9175af1323cb904de", "3a389e634d3fdada8f10a819f12eb965"},
	} {
		d.QoP, d.Body = c.qop, nil
		if got := d.Response(res); got != c.response {
			t.Errorf("%s: response is %s, want %s", c.qop, got, c.response)
		}
		if got := d.ResyncResponse(); got != c.resync {
			t.Errorf("%s: response with an auts is %s, want %s", c.qop, got, c.resync)
		}
		d.Body = []byte("<BootstrappingInfo/>")
		if got := d.ResponseAuth(res); got != c.own {
			t.Errorf("%s: rspauth is %s, want %s", c.qop, got, c.own)
		}
	}
}

func TestOnlyAuthIntCoversTheBody(t *testing.T) {
	for qop, covered := range map[QoP]bool{QoPAuth: false, QoPAuthInt: true} {
		d := Digest{QoP: qop}
		without := d.Response(nil)
		d.Body = []byte("body")
		if (d.Response(nil) != without) != covered {
			t.Errorf("%s: covers the body: %v, want %v", qop, !covered, covered)
		}
	}
}

func TestANonceOfAKAIsRANDAndAUTNAndWhatTheServerAdds(t *testing.T) {
	rand, autn := [16]byte(octetsOf(t, exampleRAND)), [16]byte(octetsOf(t, exampleAUTN))
	for nonce, server := range map[string]string{
		"gekrbA7g4S6866jZKpnfpbtS6Rx0esOrKlwj0V7jUdU=":     "",
		"gekrbA7g4S6866jZKpnfpbtS6Rx0esOrKlwj0V7jUdVsYWI=": "lab",
	} {
		if got := DigestAKANonce(rand, autn, []byte(server)); got != nonce {
			t.Errorf("%s, want %s", got, nonce)
		}
		r, a, s, err := ParseDigestAKANonce(nonce)
		if err != nil || r != rand || a != autn || string(s) != server {
			t.Errorf("%s: %x %x %q, %v", nonce, r, a, s, err)
		}
	}
}

// Their padding is more than base64 has.
func TestTheNoncesOfRFC3310AreRead(t *testing.T) {
	for nonce, want := range map[string]struct {
		rand   string
		server int
	}{
		"MzQ0a2xrbGtmbGtsZm9wb2tsc2tqaHJzZXNy9uQyMzMzMzQK=": {"3334346b6c6b6c6b666c6b6c666f706f", 4}, // section 3.2
		"CjPk9mRqNuT25eRkajM09uTl9nM09uTl9nMz5OX25PZz==":    {"0a33e4f6646a36e4f6e5e4646a3334f6", 1}, // section 4
		"9uQzNPbk9jM05Pbl5Pbl5DIz9uTl9uTl9jM0NTHk9uXk==":    {"f6e43334f6e4f63334e4f6e5e4f6e5e4", 1}, // section 4
	} {
		rand, _, server, err := ParseDigestAKANonce(nonce)
		if err != nil || hex.EncodeToString(rand[:]) != want.rand || len(server) != want.server {
			t.Errorf("%s: %x and %d octets of the server's, %v", nonce, rand, len(server), err)
		}
	}
}

func TestDirectivesThatAreNotOfAKAAreRefused(t *testing.T) {
	for _, nonce := range []string{"", "=", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "gekrbA7g4S6866jZKpnfpbtS6Rx0esOrKlwj0V7jUQ==", "*"} {
		if _, _, _, err := ParseDigestAKANonce(nonce); !errors.Is(err, ErrDigestAKA) {
			t.Errorf("nonce %q: %v", nonce, err)
		}
	}
	// The last two are of RFC 3310, sections 3.4 and 4.
	for _, auts := range []string{"", "*", "CjkyMzRfOiwg5CfkJ2UK=", "5PYxMuX2NOT2NeQ="} {
		if _, err := ParseDigestAUTS(auts); !errors.Is(err, ErrDigestAKA) {
			t.Errorf("auts %q: %v", auts, err)
		}
	}
}

func FuzzParseDigestAKA(f *testing.F) {
	f.Add("gekrbA7g4S6866jZKpnfpbtS6Rx0esOrKlwj0V7jUdVsYWI=")
	f.Add("CjPk9mRqNuT25eRkajM09uTl9nM09uTl9nMz5OX25PZz==")
	f.Add("uoU/PBI8z0Tkk1ljVcY=")
	f.Fuzz(func(t *testing.T, text string) {
		if rand, autn, server, err := ParseDigestAKANonce(text); err == nil {
			r, a, s, err := ParseDigestAKANonce(DigestAKANonce(rand, autn, server))
			if err != nil || r != rand || a != autn || !bytes.Equal(s, server) {
				t.Fatalf("%q: %x %x %x, %v", text, r, a, s, err)
			}
		} else if !errors.Is(err, ErrDigestAKA) {
			t.Fatalf("%q: %v", text, err)
		}
		if auts, err := ParseDigestAUTS(text); err == nil {
			if again, err := ParseDigestAUTS(DigestAUTS(auts)); err != nil || again != auts {
				t.Fatalf("%q: %x, %v", text, again, err)
			}
		} else if !errors.Is(err, ErrDigestAKA) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
