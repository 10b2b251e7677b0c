// Package usimtest gives wpa_supplicant a USIM of ours, so that an EAP-AKA or
// EAP-AKA' peer that is not of this project proves who a subscriber is.
//
// wpa_supplicant, told that its SIM is external, asks on its control interface for
// each challenge, in lines of text; Answer says what the card says to one. Attach does
// so for a wpa_supplicant that runs, and Run starts one in a network namespace.
package usimtest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"s2clab/nodes/session/usim"
)

// A Card answers challenges: a *usim.Card.
type Card interface {
	Authenticate(rand, autn [16]byte) (usim.Response, error)
}

// asksCard begins what wpa_supplicant asks; the number of its network follows.
const asksCard = "CTRL-REQ-SIM-"

// Answer gives the command that answers a request of wpa_supplicant's: CTRL-REQ-SIM-,
// the number of a network, :UMTS-AUTH:, RAND and AUTN in hexadecimal digits with a
// colon between, a space and a remark. It fails where that is not what is asked.
func Answer(card Card, asked string) (string, error) {
	rest, ok := strings.CutPrefix(asked, asksCard)
	if !ok {
		return "", fmt.Errorf("%q: want %s", asked, asksCard)
	}
	line, _, _ := strings.Cut(rest, " ")
	parts := strings.Split(line, ":")
	if len(parts) != 4 || parts[1] != "UMTS-AUTH" {
		return "", fmt.Errorf("%q: want a UMTS-AUTH of RAND and AUTN", asked)
	}
	rand, err := octets16(parts[2])
	if err != nil {
		return "", fmt.Errorf("RAND: %w", err)
	}
	autn, err := octets16(parts[3])
	if err != nil {
		return "", fmt.Errorf("AUTN: %w", err)
	}
	return "CTRL-RSP-SIM-" + parts[0] + ":" + say(card.Authenticate(rand, autn)), nil
}

// say is the answer of a card as wpa_supplicant reads it.
func say(r usim.Response, err error) string {
	var stale *usim.SyncError
	switch {
	case err == nil:
		return fmt.Sprintf("UMTS-AUTH:%x:%x:%x", r.IK, r.CK, r.RES)
	case errors.As(err, &stale):
		return fmt.Sprintf("UMTS-AUTS:%x", stale.AUTS)
	}
	return "UMTS-FAIL"
}

func octets16(digits string) (o [16]byte, err error) {
	b, err := hex.DecodeString(digits)
	if err == nil && len(b) != len(o) {
		err = fmt.Errorf("%d octets, want %d", len(b), len(o))
	}
	if err != nil {
		return o, err
	}
	return [16]byte(b), nil
}
