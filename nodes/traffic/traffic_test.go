package traffic

import (
	"net/netip"
	"strings"
	"testing"

	"s2clab/nodes/control"
)

// deaf takes events and does nothing with them.
type deaf struct{}

func (deaf) Event(string, map[string]any) {}

func TestAFlowAtAnAddressThatIsNotThereIsToldWhy(t *testing.T) {
	absent := netip.MustParseAddr("2001:db8:dead::10")
	a := &agent{ctx: t.Context(), tell: deaf{}, flows: map[string]*flow{}}
	for _, kind := range []string{"voice", "bulk", "request"} {
		for end, err := range map[string]error{
			"far":  a.open(&control.OpenFlow{Flow: kind, Kind: kind, Listen: netip.AddrPortFrom(absent, 5001), Rate: 1, Size: 100}),
			"near": a.start(&control.StartFlow{Flow: kind, Kind: kind, Local: absent, Remote: netip.AddrPortFrom(absent, 5001), Rate: 1, Size: 100}),
		} {
			if err == nil || !strings.Contains(err.Error(), absent.String()) || !strings.Contains(err.Error(), "home-address-assigned") {
				t.Errorf("%s, %s end: %v", kind, end, err)
			}
		}
	}
	if len(a.flows) > 0 {
		t.Errorf("%d flows are left", len(a.flows))
	}
}
