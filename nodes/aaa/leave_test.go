package aaa

import (
	"slices"
	"testing"

	"s2clab/nodes/wire/diameter"
	"s2clab/nodes/wire/eap"
)

// aborts are the sessions that were to be aborted since it was asked last.
func (n *network) aborts() (sessions []string) {
	n.Helper()
	for _, m := range n.to {
		if r, err := diameter.ParseAbortSessionRequest(m); err == nil {
			sessions = append(sessions, r.Session)
		}
	}
	n.to = nil
	return sessions
}

func TestAnAccessIsShutAfterTheHomeAgentHasTakenLeave(t *testing.T) { // TS 23.402, section 6.5.3
	for _, ends := range []bool{true, false} {
		n := newNetwork(t, "mip-options", "emsk")
		u := newMobile(t)
		n.admitted(u, "1")
		held := n.proof(heldBy(u))
		if _, r := n.proven("2", held.Identifier, held.Key.Value); r != diameter.Success {
			t.Fatal(r)
		}
		n.to = nil
		n.deregister()
		if got := n.aborts(); !slices.Equal(got, []string{pgw + ";1;2"}) {
			t.Errorf("aborts %q at first, want that of the home agent alone", got)
		}
		if ends {
			n.send(pgw, &diameter.SessionTerminationRequest{Session: pgw + ";1;2", Identity: diameter.Identity{Host: pgw, Realm: realm}, DestinationRealm: realm, User: nai0, Cause: diameter.Administrative})
		} else {
			n.pass(leaveTakes - 1)
			if got := slices.DeleteFunc(n.aborts(), func(s string) bool { return s == pgw+";1;2" }); len(got) > 0 {
				t.Errorf("aborts %q before the home agent's time is over", got)
			}
			n.pass(1)
		}
		if got := n.aborts(); !slices.Contains(got, twan+";1;1") {
			t.Errorf("home agent ends %v: aborts %q, want that of the access", ends, got)
		}
	}
}

func TestAnAccessIsShutAtOnceWhereNoHomeAgentServes(t *testing.T) {
	n := newNetwork(t, "mip-options", "emsk")
	n.admitted(newMobile(t), "1")
	n.to = nil
	n.deregister()
	if got := n.aborts(); !slices.Equal(got, []string{twan + ";1;1"}) {
		t.Errorf("aborts %q, want that of the access", got)
	}
}

func TestAConversationThatNobodyGoesOnWithIsForgotten(t *testing.T) {
	n := newNetwork(t, "mip-options", "emsk")
	if a := n.attach(newMobile(t), "1", eap.TypeAKAPrime); !a.turn() || n.m.Counts().Conversations != 1 {
		t.Fatalf("%d conversations", n.m.Counts().Conversations)
	}
	n.pass(2 * conversationLasts)
	if got := n.m.Counts().Conversations; got != 0 || !n.m.eap.look.IsZero() {
		t.Errorf("%d conversations after %v, next look at %v", got, 2*conversationLasts, n.m.eap.look)
	}
}
