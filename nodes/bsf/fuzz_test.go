package bsf

import (
	"net/netip"
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/diameter"
)

// FuzzZn gives a BSF requests as a peer may send them: each has an answer that is well
// formed, and no key in it, for nobody has bootstrapped.
func FuzzZn(f *testing.F) {
	r := diameter.BootstrappingInfoRequest{Session: "ha;1;2", Identity: diameter.Identity{Host: "ha.home.example", Realm: realm}, DestinationRealm: realm,
		Transaction: keys.BTID([16]byte{1}, bsfHost), NAFID: bootstrap.NAFID("ha.home.example")}
	for _, id := range [][]byte{r.NAFID, bootstrap.NAFID("other"), nil} {
		r.NAFID = id
		octets, err := r.AppendTo(nil, diameter.Header{HopByHop: 1, EndToEnd: 2})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(octets)
	}
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	m, err := New(config(netip.AddrPort{}), start)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, octets []byte) {
		request, err := diameter.Parse(octets)
		if err != nil || !request.IsRequest() || request.Command != diameter.BootstrappingInfo || request.Application != diameter.Zn || diameter.Check(request) != nil {
			return // a Server does not deliver it
		}
		octets, _ = m.answer(start, request)
		m.end(start)
		answer, err := diameter.Parse(octets)
		if err != nil {
			t.Fatal(err)
		}
		if err := diameter.Check(answer); err != nil {
			t.Fatal(err)
		}
		if answer.Find(diameter.MEKeyMaterial) != nil {
			t.Fatal("a key of nobody")
		}
	})
}

// FuzzZh gives a BSF what an HSS may answer: the mobile node that waits has a
// response, of which only a whole vector makes a challenge.
func FuzzZh(f *testing.F) {
	a := diameter.MultimediaAuthAnswer{Session: "bsf;1;2", Outcome: diameter.Outcome{Result: diameter.Success}, Identity: diameter.Identity{Host: "hss.home.example", Realm: realm}, User: impi,
		Items: []diameter.AuthItem{{Scheme: diameter.SchemeDigestAKA, RAND: [16]byte{1}, XRES: []byte("password")}}}
	h := diameter.Header{Flags: diameter.Proxiable, Command: diameter.MultimediaAuth, Application: diameter.Zh}
	octets, err := a.AppendTo(nil, h)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(octets, "")
	f.Add([]byte{}, "time-out")
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, octets []byte, reason string) {
		o := diampeer.Outcome{Reason: reason}
		if m, err := diameter.Parse(octets); err == nil {
			if m.IsRequest() || m.Command != diameter.MultimediaAuth || m.Application != diameter.Zh || diameter.Check(m) != nil {
				return // a Client does not take it for an answer
			}
			o.Message = m
		}
		if o.Message == nil && reason == "" {
			return // there is a reason where there is no answer
		}
		m, err := New(config(netip.MustParseAddrPort("[2001:db8::1]:3868")), start)
		if err != nil {
			t.Fatal(err)
		}
		m.Requested(start, ub.Requested{ID: 9, Request: ub.Request{Method: "GET", Target: "/", Authorization: `Digest username="` + impi + `"`}})
		if len(m.asked) != 1 {
			t.Fatal("the HSS is not asked")
		}
		m.begin()
		m.fetched(start, diampeer.Done{ID: 9, Outcome: o})
		if r := m.do.Responses; len(r) != 1 || len(m.asked) != 0 || (r[0].Response.Status == 401) != (len(r[0].Response.Challenges) == 1) {
			t.Fatalf("%d responses", len(r))
		}
	})
}
