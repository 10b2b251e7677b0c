package analysis_test

import (
	"slices"
	"testing"
	"time"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/analysis"
	"s2clab/topologies"
)

func dualStack(t *testing.T) *topologies.Topology {
	t.Helper()
	file, err := topologies.FindShipped("dual-stack")
	if err != nil {
		t.Fatal(err)
	}
	top, _, err := topologies.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// toOld is a move from WLAN, which has IPv6, to the old access, which has not.
func toOld(known bool) []journal.Event {
	var all []journal.Event
	tell := func(at time.Duration, name string, fields map[string]any) {
		all = append(all, journal.Event{At: at, Node: "ue", Name: name, Fields: fields})
	}
	tell(0, "link-attached", map[string]any{"link": "wlan"})
	tell(0, "carrier-gained", map[string]any{"link": "wlan"})
	tell(3000*ms, "link-detached", map[string]any{"link": "wlan"})
	tell(3000*ms, "carrier-lost", map[string]any{"link": "wlan"})
	tell(3050*ms, "link-attached", map[string]any{"link": "old"})
	tell(3050*ms, "carrier-gained", map[string]any{"link": "old"})
	if !known {
		tell(3066*ms, "address-offered", map[string]any{"link": "old", "address": "192.0.2.68", "source": "192.0.2.65"})
	}
	tell(3082*ms, "address-configured", map[string]any{"link": "old", "address": "192.0.2.68", "how": "dhcp"})
	tell(3083*ms, "binding-update-sent", map[string]any{"seq": 2.0, "care-of": "192.0.2.68", "lifetime": 60.0, "auth": "mn-ha"})
	tell(3119*ms, "binding-acknowledged", map[string]any{"seq": 2.0, "status": 0.0})
	tell(5000*ms, "run-ended", map[string]any{"verdict": "held"})
	return all
}

func TestOnAnIPv4AccessDHCPIsInThePlaceOfRouterAdvertisements(t *testing.T) {
	for _, c := range []struct {
		known             bool // lease
		detect, configure time.Duration
		bound             time.Duration
	}{
		{false, 16 * ms, 16 * ms, 50*ms + 2*16*ms + 36*ms},
		{true, 32 * ms, 0, 50*ms + 16*ms + 36*ms},
	} {
		h := analysis.Analyze(toOld(c.known), dualStack(t)).Handovers[1]
		detect, _ := h.Phase(analysis.MovementDetection)
		configure, ok := h.Phase(analysis.AddressConfiguration)
		if detect.Length() != c.detect || configure.Length() != c.configure || !ok {
			t.Errorf("known lease %v: movement detection %v, address configuration %v; want %v and %v", c.known, detect.Length(), configure.Length(), c.detect, c.configure)
		}
		if h.Bound.Total != c.bound || h.Outcome != analysis.Completed {
			t.Errorf("known lease %v: %s, bound %v, want %v: %v", c.known, h.Outcome, h.Bound.Total, c.bound, h.Bound.Terms)
		}
	}
}

func TestAMessageInUDPStaysTheSameBeyondANAT(t *testing.T) {
	var all []journal.Event
	cross := func(at time.Duration, link, from, to, src string) {
		all = append(all, journal.Event{At: at, Name: "packet", Fields: map[string]any{
			"message": "binding-update", "link": link, "from": from, "to": []any{to}, "fate": "delivered", "sent": at.Seconds(), "arrived": (at + ms).Seconds(),
			"src": src, "dst": "192.0.2.129", "outer": "udp", "inner-src": "2001:db8:100::10", "inner-dst": "2001:db8:1::1", "care-of": "192.168.1.57", "seq": 7.0,
		}})
	}
	cross(1000*ms, "home", "ue", "home-nat", "192.168.1.57")
	cross(1002*ms, "core", "home-nat", "pgw", "192.0.2.133")
	m := analysis.Analyze(all, dualStack(t)).Messages
	if len(m) != 1 || len(m[0].Hops) != 2 || m[0].From != "ue" || !slices.Equal(m[0].To, []string{"pgw"}) {
		t.Errorf("%d messages: %+v", len(m), m)
	}
}
