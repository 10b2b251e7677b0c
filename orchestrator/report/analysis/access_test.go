package analysis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/orchestrator/journal"
	"s2clab/orchestrator/report/analysis"
	"s2clab/orchestrator/report/reporttest"
)

// on and off are words of the lab, up and down those of the mobile.
func told(words ...any) (events []journal.Event) {
	names := map[string]string{"on": "link-attached", "off": "link-detached", "up": "carrier-gained", "down": "carrier-lost"}
	for i := 0; i < len(words); i += 3 {
		events = append(events, journal.Event{
			At: time.Duration(words[i].(int)) * ms, Node: "ue", Name: names[words[i+1].(string)],
			Fields: map[string]any{"link": words[i+2].(string)},
		})
	}
	return append(events, journal.Event{At: 10 * time.Second, Name: "run-ended"})
}

func TestMovesAreToldApartByWhatTheLabDidAndTheMobileSaw(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []journal.Event
		want   []string
	}{
		{"the mobile notices before the lab says so", told(100, "up", "wlan", 101, "on", "wlan"), []string{"attach wlan"}},
		{"a link is down before it ever was up", told(0, "down", "lte", 5, "down", "wlan", 100, "on", "lte", 101, "up", "lte"), []string{"attach lte"}},
		{"break before make", told(0, "on", "lte", 1, "up", "lte", 500, "off", "lte", 501, "down", "lte", 600, "on", "wlan", 601, "up", "wlan"),
			[]string{"attach lte", "move lte wlan 100ms"}},
		{"make before break", told(0, "on", "wlan", 1, "up", "wlan", 500, "on", "wimax", 501, "up", "wimax", 800, "off", "wlan", 801, "down", "wlan"),
			[]string{"attach wlan", "make-before wlan wimax -300ms"}},
		{"make before break, and the old link stays", told(0, "on", "wlan", 500, "on", "wimax"), []string{"attach wlan", "make-before wlan wimax 0s"}},
		{"the link itself fails and comes back", told(0, "on", "wlan", 1, "up", "wlan", 4000, "down", "wlan", 4200, "up", "wlan"),
			[]string{"attach wlan", "reattach wlan wlan 200ms"}},
		{"a flap that the mobile sees late", told(0, "on", "wlan", 1, "up", "wlan", 500, "off", "wlan", 501, "on", "wlan", 503, "down", "wlan", 504, "up", "wlan"),
			[]string{"attach wlan", "reattach wlan wlan 1ms"}},
		{"the new link fails while the old one is there", told(0, "on", "wlan", 500, "on", "wimax", 900, "off", "wimax"),
			[]string{"attach wlan", "make-before wlan wimax 0s", "move wimax wlan 0s"}},
		{"back home", told(0, "on", "lte", 500, "off", "lte", 510, "on", "wlan", 900, "off", "wlan", 910, "on", "lte"),
			[]string{"attach lte", "move lte wlan 10ms", "return-home wlan lte 10ms"}},
		{"nothing at all", told(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, h := range analysis.Analyze(c.events, reporttest.Topology()).Handovers {
				text := string(h.Kind)
				for _, link := range []string{h.From, h.To} {
					if link != "" {
						text += " " + link
					}
				}
				if gap, ok := h.Phase(analysis.LinkGap); ok {
					text += fmt.Sprintf(" %v", gap.Length())
				}
				got = append(got, text)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("moves (-want +got):\n%s", d)
			}
		})
	}
}
