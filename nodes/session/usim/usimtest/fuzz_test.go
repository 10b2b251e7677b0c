package usimtest

import (
	"strings"
	"testing"

	"s2clab/nodes/session/usim"
)

// Whatever line comes, it is answered as a challenge or refused.
func FuzzAnswer(f *testing.F) {
	f.Add(asked)
	f.Add("CTRL-REQ-SIM-0:UMTS-AUTH:00:11 needed for SSID x")
	f.Add("CTRL-REQ-SIM-:::")
	f.Fuzz(func(t *testing.T, line string) {
		got, err := Answer(says{err: usim.ErrMAC}, line)
		if err == nil && (!strings.HasPrefix(got, "CTRL-RSP-SIM-") || !strings.HasSuffix(got, ":UMTS-FAIL")) {
			t.Errorf("%q was answered %q", line, got)
		}
	})
}
