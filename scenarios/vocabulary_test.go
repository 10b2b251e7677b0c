package scenarios_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/mh"
	"s2clab/orchestrator/report/analysis"
	"s2clab/scenarios"
)

func TestStatusesAreNamedAsOnTheWire(t *testing.T) {
	for name, code := range scenarios.Statuses() {
		if got := mh.Status(code).String(); got != name {
			t.Errorf("status %d is %s there and %s here", code, got, name)
		}
	}
	for code := range 256 {
		name := mh.Status(code).String()
		if _, known := scenarios.Statuses()[name]; !known && !strings.HasPrefix(name, "status-") {
			t.Errorf("status %d, %s, is not known here", code, name)
		}
	}
}

func TestMessagesAreNamedAsOnTheWire(t *testing.T) {
	messages := scenarios.Messages()
	for kind := range 256 {
		for _, name := range []string{mh.Type(kind).String(), icmp6.Type(kind).String()} {
			numbered := name[len(name)-1] >= '0' && name[len(name)-1] <= '9' || strings.Contains(name, "multicast-listener")
			if name != "binding-revocation" && !numbered && !slices.Contains(messages, name) {
				t.Errorf("message %s is not known here", name)
			}
		}
	}
}

func TestMeasuresAreThoseOfTheReport(t *testing.T) {
	if diff := cmp.Diff(analysis.Measures(), scenarios.Measures()); diff != "" {
		t.Errorf("-there +here:\n%s", diff)
	}
}

func TestLiesAreThoseOfTheBSF(t *testing.T) {
	var want []string
	for _, lie := range ub.Lies {
		want = append(want, string(lie))
	}
	if diff := cmp.Diff(want, scenarios.Lies); diff != "" {
		t.Errorf("-there +here:\n%s", diff)
	}
}
