package hss

import (
	"path/filepath"
	"testing"

	"s2clab/nodes/control"
)

func TestSubscriptionsAreInTheStore(t *testing.T) {
	cfg := &control.HSS{Store: filepath.Join(t.TempDir(), "hss.sqlite"), Subscriptions: []control.Subscription{{IMSI: "001010000000001", K: make([]byte, 16), OPc: make([]byte, 16), AMF: 0x8000, SQN: 64, APNs: []control.APN{{Name: "internet"}}}}}
	s, err := open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sub, err := s.Subscriber("001010000000001")
	if err != nil || sub.DefaultAPN != "internet" || !sub.GBA.Allowed {
		t.Errorf("%+v, %v", sub, err)
	}
	if sqn, err := s.SQN("001010000000001"); err != nil || sqn != 64 {
		t.Errorf("SQN %d, %v", sqn, err)
	}
}
