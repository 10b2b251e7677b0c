package usimtest

import (
	"errors"
	"strings"
	"testing"

	"s2clab/nodes/session/usim"
)

// says is a card that always answers so.
type says struct {
	response usim.Response
	err      error
}

func (c says) Authenticate(rand, autn [16]byte) (usim.Response, error) {
	if rand != [16]byte{1, 15: 2} || autn != [16]byte{3, 15: 4} {
		return usim.Response{}, errors.New("another challenge")
	}
	return c.response, c.err
}

const asked = "CTRL-REQ-SIM-7:UMTS-AUTH:01000000000000000000000000000002:03000000000000000000000000000004 needed for SSID "

func TestACardAnswersInTheWordsOfWPASupplicant(t *testing.T) {
	for want, card := range map[string]says{
		"CTRL-RSP-SIM-7:UMTS-AUTH:05000000000000000000000000000000:06000000000000000000000000000000:0708090a": {response: usim.Response{RES: []byte{7, 8, 9, 10}, CK: [16]byte{6}, IK: [16]byte{5}}},
		"CTRL-RSP-SIM-7:UMTS-AUTS:0b00000000000000000000000000":                                               {err: &usim.SyncError{AUTS: [14]byte{11}}},
		"CTRL-RSP-SIM-7:UMTS-FAIL": {err: usim.ErrMAC},
	} {
		got, err := Answer(card, asked)
		if err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}

func TestWhatIsNoChallengeIsNotAnswered(t *testing.T) {
	for _, line := range []string{"", "CTRL-REQ-PIN-0:", "CTRL-REQ-SIM-0:GSM-AUTH:00:11", strings.Replace(asked, ":0300", ":03", 1), strings.Replace(asked, "0100", "xy00", 1), asked[:50]} {
		if got, err := Answer(says{}, line); err == nil {
			t.Errorf("%q was answered %q", line, got)
		}
	}
}
