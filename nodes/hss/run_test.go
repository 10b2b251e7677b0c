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
	t.Log(s.IMSIs())
}
