package mn

import (
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/dot1x"
)

func TestABootstrappingIsRenewedBeforeItEnds(t *testing.T) {
	gba, err := bootstrap.Of("3gpp", "gba", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		lasts, granted time.Duration // of the bootstrapping; of the binding, of which 60 s were asked for
		ending, kept   bool
	}{
		{13 * time.Second, 12 * time.Second, false, true}, // as much as the time before
		{13 * time.Second, 4 * time.Second, true, false},
		{time.Hour, 4 * time.Second, true, true}, // it is another lifetime that ends: the key of the AAA server
	} {
		s := security{method: gba.Mobile, granted: 12 * time.Second, held: bootstrap.Held{GBA: &keys.GBA{Ends: start.Add(c.lasts)}}}
		s.bound(nil, &update{sent: start, lifetime: time.Minute}, c.granted)
		if s.ending != c.ending || (s.held.GBA != nil) != c.kept {
			t.Errorf("%+v: ending %v, bootstrapping kept %v", c, s.ending, s.held.GBA != nil)
		}
	}
}

func TestANodeWhoseKeysAreForgottenIsAuthenticatedOnceMore(t *testing.T) {
	for source, again := range map[string]bool{"emsk": true, "static": false} {
		method, err := bootstrap.Of("3gpp", "mip-options", source)
		if err != nil {
			t.Fatal(err)
		}
		s := begin(t, config())
		s.visit("wlan", wlanPrefix)
		m := s.m
		m.security.method = method.Mobile
		m.here.port = &port{supplicant: dot1x.NewSupplicant(dot1x.SupplicantOptions{}), open: true}
		m.here.port.supplicant.Step(s.now, dot1x.LinkUp{})
		starts := func() (n int) {
			m.out = nil
			m.authFailed(s.now, &update{proof: proof{bootstraps: true}})
			for _, o := range m.out {
				if _, ok := o.(SendEAPOL); ok {
					n++
				}
			}
			return n
		}
		if n := starts(); (n == 1) != again || m.registration.forAccess != again || m.registration.retryAt.IsZero() == again {
			t.Errorf("%s: %d EAPOL-Starts, waits for the access %v, next attempt at %v", source, n, m.registration.forAccess, m.registration.retryAt)
		}
		if n := starts(); n != 0 {
			t.Errorf("%s: %d EAPOL-Starts when it is refused again", source, n)
		}
	}
}
