package mn

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/keys"
)

// made are the keys that were told of, in order.
func (s *story) made() (all []map[string]any) {
	for _, e := range s.events {
		if e.Name == "key-made" {
			all = append(all, e.Fields)
		}
	}
	return all
}

func TestTheKeysOfAnAssociationAreToldWhenItIsProven(t *testing.T) {
	for _, show := range []bool{false, true} {
		cfg := bootstrapped()
		cfg.ShowKeys = show
		s := begin(t, cfg)
		s.visit("wlan", wlanPrefix)
		if n := len(s.made()); n != 0 {
			t.Fatalf("%d keys were told of before there was an answer", n)
		}
		s.bootstrap()
		s.until(5 * time.Second)
		s.visit("wimax", wimaxPrefix)
		s.answer(0)
		made := s.made()
		if len(made) != 2 {
			t.Fatalf("%d keys were told of, want MN-AAA and MN-HA: %v", len(made), made)
		}
		root, key := made[0], made[1]
		if root["key"] != keys.NameMNAAA || root["print"] != keys.Print(aaaKey) || root["how"] != "provisioned" || root["nai"] != nai {
			t.Errorf("got %v", root)
		}
		if key["key"] != keys.NameMNHA || key["octets"] != 16 || !slices.Equal(key["of-prints"].([]any), []any{root["print"]}) || !slices.Equal(key["of"].([]any), []any{keys.NameMNAAA}) {
			t.Errorf("got %v", key)
		}
		if value, shown := root["value"]; shown != show || shown && value != fmt.Sprintf("%x", aaaKey) {
			t.Errorf("shown: %v, want %v", value, show)
		}
	}
}

func TestAKeyKnownBeforehandIsToldWhenItIsFirstUsed(t *testing.T) {
	s := begin(t, config())
	if n := len(s.made()); n != 0 {
		t.Fatalf("%d keys were told of before there was a use", n)
	}
	s.visit("wlan", wlanPrefix)
	s.answer(0)
	s.until(5 * time.Second)
	s.visit("wimax", wimaxPrefix)
	made := s.made()
	if len(made) != 1 || made[0]["key"] != keys.NameMNHA || made[0]["print"] != keys.Print(haKey) || made[0]["how"] != "provisioned" {
		t.Errorf("got %v", made)
	}
}

func TestAKeyThatIsWrongOnPurposeIsToldBesideTheRightOne(t *testing.T) {
	cfg := bootstrapped()
	cfg.MobileNode.MNHAKey = []byte("another 16 octet")
	s := begin(t, cfg)
	s.visit("wlan", wlanPrefix)
	s.bootstrap()
	made := s.made()
	if len(made) != 3 || made[2]["key"] != keys.NameMNHA || made[2]["print"] != keys.Print(cfg.MobileNode.MNHAKey) || made[1]["print"] == made[2]["print"] {
		t.Errorf("got %v", made)
	}
}
