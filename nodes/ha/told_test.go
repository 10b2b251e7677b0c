package ha

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
)

func TestAKeyOfTheAAAIsToldWithItsServerAndLifetime(t *testing.T) {
	s := tell(t, with(fromAAA))
	s.send(s.asking(1))
	ask := s.asked()
	s.vouch(ask, 300)
	key := session(ask, 300).Key
	want := []map[string]any{{"nai": naiA, "key": keys.NameMNHA, "octets": 16, "print": keys.Print(key), "how": "from aaa.example.org", "lifetime": 3600.0}}
	if diff := cmp.Diff(want, s.events("key-made")); diff != "" {
		t.Error(diff)
	}
}

func TestAConfiguredKeyIsToldWhenItHasProvenSomething(t *testing.T) {
	cfg := with(sequenceNumbers)
	cfg.ShowKeys = true
	s := tell(t, cfg)
	wrong := s.of(1)
	wrong.mnha = association.New(spiA, keyB)
	s.send(wrong)
	s.wantStatus(mh.AuthFail)
	if got := s.events("key-made"); len(got) != 0 {
		t.Errorf("a wrong authenticator: told of %v", got)
	}
	s.pass(time.Second)
	s.send(s.of(2))
	s.wantStatus(mh.Accepted)
	want := []map[string]any{{"nai": naiA, "key": keys.NameMNHA, "octets": 16, "print": keys.Print(keyA), "how": "provisioned", "value": fmt.Sprintf("%x", keyA)}}
	if diff := cmp.Diff(want, s.events("key-made")); diff != "" {
		t.Error(diff)
	}
	s.pass(time.Second)
	s.send(s.of(3))
	if got := s.events("key-made"); len(got) != 0 {
		t.Errorf("told again: %v", got)
	}
}

func TestAFloodOfKeysIsToldAsACount(t *testing.T) {
	s := tell(t, with(fromAAA))
	told, counted := 0, 0
	count := func() {
		told += len(s.events("key-made"))
		for _, e := range s.events("events-suppressed") {
			if e["event"] == "key-made" {
				counted += e["count"].(int)
			}
		}
	}
	for i := range 2 * eventsPerSecond {
		s.m.begin()
		s.m.keyMade(s.now, fmt.Sprint(i), keys.Provisioned(keys.NameMNHA, keyA))
		s.out = s.m.out
		count()
	}
	s.pass(2 * time.Second)
	count()
	if told != eventsPerSecond || counted != eventsPerSecond {
		t.Errorf("%d were told and %d counted, want %d each", told, counted, eventsPerSecond)
	}
}
