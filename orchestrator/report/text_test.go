package report

import (
	"os"
	"testing"
	"time"

	"s2clab/orchestrator/report/reporttest"
)

func sample() *Report {
	return New(Run{
		ID: "20261123-194000-lte-wlan-wimax", Scenario: "lte-wlan-wimax",
		Description: "A UE streams voice both ways with a correspondent. LTE goes away and it attaches to WLAN, where its first Binding Update is authorised by the AAA server; on WiMAX its key is known already; at home it takes its binding back.",
		Seed:        7, Started: time.Date(2026, 11, 23, 19, 40, 0, 0, time.UTC), Program: "s2clab 0.1",
		Topology: reporttest.Topology(), Events: reporttest.Judged(reporttest.Default().Events()),
	})
}

func TestDump(t *testing.T) {
	r := sample()
	t.Log("\n" + r.Text(false))
	t.Log(r.Summary())
	r.JUnit(os.Stdout)
}
