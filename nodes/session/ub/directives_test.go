package ub

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// The examples of RFC 3310, section 4.
func TestTheExamplesOfRFC3310AreRead(t *testing.T) {
	all, err := parseChallenges(`Digest realm="RoamingUsers@mobile.biz", nonce="CjPk9mRqNuT25eRkajM09uTl9nM09uTl9nMz5OX25PZz==", qop="auth,auth-int", opaque="5ccc069c403ebaf9f0171e9517f40e41", algorithm=AKAv1-MD5`)
	if err != nil || len(all) != 1 || all[0].scheme != "digest" {
		t.Fatal(all, err)
	}
	want := directives{{"realm", "RoamingUsers@mobile.biz"}, {"nonce", "CjPk9mRqNuT25eRkajM09uTl9nM09uTl9nMz5OX25PZz=="}, {"qop", "auth,auth-int"}, {"opaque", "5ccc069c403ebaf9f0171e9517f40e41"}, {"algorithm", "AKAv1-MD5"}}
	if !slices.Equal(all[0].directives, want) {
		t.Errorf("read %q", all[0].directives)
	}
	info, err := parseInfo(`qop=auth-int, rspauth="6629fae49393a05397450978507c4ef1", cnonce="0a4f113b", nc=00000001`)
	if err != nil || info.get("rspauth") != "6629fae49393a05397450978507c4ef1" || info.get("nc") != "00000001" {
		t.Errorf("%q, %v", info, err)
	}
}

func TestSeveralChallengesMayStandInOneField(t *testing.T) {
	// The first as in RFC 9110, section 11.6.1.
	for field, want := range map[string]string{
		`Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\""`: `basic realm=simple|newauth realm=apps type=1 title=Login to "apps"`,
		`Digest realm="a, b", , ,nonce = "x" ,Basic realm=c`:                            `digest realm=a, b nonce=x|basic realm=c`,
		`Negotiate, Digest realm=a`:                                                     `negotiate|digest realm=a`,
		`DIGEST Realm="a"`:                                                              `digest realm=a`,
		`Digest realm=""`:                                                               `digest realm=`,
		``:                                                                              ``,
		` , `:                                                                           ``,
	} {
		all, err := parseChallenges(field)
		if err != nil {
			t.Errorf("%s: %v", field, err)
		}
		var got []string
		for _, ch := range all {
			one := ch.scheme
			for _, d := range ch.directives {
				one += " " + d.name + "=" + d.value
			}
			got = append(got, one)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: read %q, want %q", field, got, want)
		}
	}
}

func TestWhatIsNoListOfDirectivesIsRefused(t *testing.T) {
	for what, field := range map[string]string{
		"twice":                    `Digest nonce="a", nonce="b"`,
		"twice in other letters":   `Digest nonce="a", NONCE="a"`,
		"no scheme":                `nonce="a"`,
		"quotes that stay open":    `Digest nonce="a, qop=auth`,
		"a backslash at the end":   `Digest nonce="a\`,
		"an escape at the end":     `Digest nonce="a\"`,
		"a control character":      "Digest nonce=\"a\x00\"",
		"an escaped one":           "Digest nonce=\"\\\x01\"",
		"a line end":               "Digest nonce=\"a\r\nb\"",
		"no comma":                 `Digest nonce="a" qop="b"`,
		"no comma after quotes":    `Digest nonce="a"qop="b"`,
		"no value":                 `Digest nonce=, qop=auth`,
		"no value at the end":      `Digest nonce=`,
		"a token of other octets":  `Digest nonce=a:b`,
		"a name of other octets":   `Digest no(nce=a`,
		"base64 for its scheme":    `Negotiate YWJj==`,
		"more than a field may be": "Digest nonce=\"" + strings.Repeat("a", mostField) + `"`,
		"too many": "Digest " + func() string {
			var all []string
			for i := range mostDirectives + 1 {
				all = append(all, strings.Repeat("x", i+1)+"=1")
			}
			return strings.Join(all, ",")
		}(),
	} {
		if all, err := parseChallenges(field); !errors.Is(err, errDirectives) {
			t.Errorf("%s: read %q, %v", what, all, err)
		}
	}
	for _, field := range []string{`Digest a=b, Basic c=d`, ``, `,`} {
		if _, err := parseCredentials(field); !errors.Is(err, errDirectives) {
			t.Errorf("credentials %q passed", field)
		}
	}
	for _, field := range []string{`Digest a=b`, `a`, `a b=c`, `a=b a=c`, `a=b,a=b`} {
		if _, err := parseInfo(field); !errors.Is(err, errDirectives) {
			t.Errorf("Authentication-Info %q passed", field)
		}
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	var w writer
	w.scheme("Digest")
	w.quoted("a", "1, 2=3")
	w.bare("b", "x")
	w.quoted("c", "")
	if got, want := w.String(), `Digest a="1, 2=3", b=x, c=""`; got != want {
		t.Errorf("wrote %s, want %s", got, want)
	}
	got, err := parseCredentials(w.String())
	if want := (directives{{"a", "1, 2=3"}, {"b", "x"}, {"c", ""}}); err != nil || !slices.Equal(got.directives, want) {
		t.Errorf("read %q, %v", got, err)
	}
}

func FuzzDirectives(f *testing.F) {
	for _, seed := range []string{
		`Digest realm="RoamingUsers@mobile.biz", nonce="CjPk9mRqNuT25eRkajM09uTl9nM09uTl9nMz5OX25PZz==", qop="auth,auth-int", algorithm=AKAv1-MD5`,
		`qop=auth-int, rspauth="6629fae49393a05397450978507c4ef1", cnonce="0a4f113b", nc=00000001`,
		`Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\""`, `Digest a="\\", , b = c`, `Digest a="1",a="2"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		if ds, err := parseInfo(field); err == nil {
			again(t, ds, "", func(s string) (directives, error) { return parseInfo(s) })
		}
		all, err := parseChallenges(field)
		if err != nil {
			if !errors.Is(err, errDirectives) {
				t.Fatal(err)
			}
			return
		}
		for _, ch := range all {
			if len(ch.directives) > 0 {
				again(t, ch.directives, ch.scheme, func(s string) (directives, error) {
					ch, err := parseCredentials(s)
					return ch.directives, err
				})
			}
		}
	})
}

// again holds that directives that can be written are read as the same, and that
// none comes twice.
func again(t *testing.T, ds directives, scheme string, parse func(string) (directives, error)) {
	var w writer
	if scheme != "" {
		w.scheme(scheme)
	}
	for i, d := range ds {
		if !plain(d.value) {
			return
		}
		if j := slices.IndexFunc(ds, func(o directive) bool { return o.name == d.name }); j != i {
			t.Fatalf("%s comes twice", d.name)
		}
		w.quoted(d.name, d.value)
	}
	if len(w.String()) > mostField {
		return
	}
	got, err := parse(w.String())
	if err != nil || !slices.Equal(got, ds) {
		t.Fatalf("%q is read as %q, %v, want %q", w.String(), got, err, ds)
	}
}
