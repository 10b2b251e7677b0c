package netnstest

import (
	"net"
	"testing"
)

func TestAPairCarriesPackets(t *testing.T) {
	a, b := New(t), New(t)
	Pair(t, a, "left", b, "right")
	In(t, a, func() error {
		dev, err := net.InterfaceByName("left")
		if err != nil {
			return err
		}
		if dev.Flags&net.FlagUp == 0 {
			t.Errorf("left has flags %v, want up", dev.Flags)
		}
		return nil
	})
}
