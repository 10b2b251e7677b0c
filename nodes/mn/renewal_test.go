package mn

import (
	"testing"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
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
