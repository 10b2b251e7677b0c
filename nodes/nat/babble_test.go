package nat

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"s2clab/nodes/translate"
	"s2clab/nodes/wire/icmp4"
	"s2clab/nodes/wire/ipv4"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/udp"
)

var spoken = translate.Mapping{Protocol: "udp", Inside: netip.MustParseAddrPort("192.168.1.10:4191"),
	Outside: netip.MustParseAddrPort("203.0.113.1:4191"), Remote: netip.MustParseAddrPort("192.0.2.1:4191")}

// What a NAT says arrives: its outer headers are right, and only what is in them is not.
func TestNonsenseArrivesAndIsOfEveryKind(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]int{}
	for range 2000 {
		b := nonsense(r, &spoken)
		p, err := ipv4.Parse(b)
		if err != nil || p.Src != spoken.Remote.Addr() || p.Dst != spoken.Inside.Addr() {
			t.Fatalf("%+v: %v", p, err)
		}
		if p.Protocol == ipv4.ICMP {
			e, err := icmp4.Parse(p.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if about, err := ipv4.Parse(e.Invoking); err == nil && (about.Src != p.Dst || about.Dst != p.Src) {
				t.Fatalf("an error about %+v, which it never sent", about)
			}
			kinds["error"]++
			continue
		}
		d, err := udp.Parse(p.Payload, p.Src, p.Dst)
		if err != nil || d.Src != spoken.Remote.Port() || d.Dst != spoken.Inside.Port() || len(d.Payload) == 0 {
			t.Fatalf("%+v: %v", d, err)
		}
		switch first := d.Payload[0] >> 4; {
		case first == 6 && len(d.Payload) > ipv6.HeaderLen && d.Payload[6] == ipv6.Mobility:
			kinds["mobility header"]++
		case first == 6:
			kinds["IPv6"]++
		case first == 4:
			kinds["IPv4"]++
		default:
			kinds["chance"]++
		}
	}
	for _, kind := range []string{"error", "mobility header", "IPv6", "IPv4", "chance"} {
		if kinds[kind] < 50 {
			t.Errorf("%d of %s: %v", kinds[kind], kind, kinds)
		}
	}
}

func TestABabblerAnswersUDPUntilItIsEnded(t *testing.T) {
	tcp := spoken
	tcp.Protocol = "tcp"
	sent, enough := 0, make(chan struct{})
	b := babble(7, func() ([]translate.Mapping, error) { return []translate.Mapping{tcp, spoken}, nil }, func(to netip.Addr, _ []byte) error {
		if to != spoken.Inside.Addr() {
			t.Errorf("to %v", to)
		}
		if sent++; sent == 5 {
			close(enough)
		}
		return nil
	})
	next(t, enough)
	if n := b.end(); n != sent {
		t.Errorf("says %d, sent %d", n, sent)
	}
}

func TestANATIsToldToBehave(t *testing.T) {
	k := &fake{babbled: 9}
	b := newBox(config(), k)
	if _, _, err := b.do("behave"); err == nil {
		t.Error("it behaved, and was told to")
	}
	if event, _, err := b.do("babble"); event != "nat-babbles" || err != nil {
		t.Errorf("told %s: %v", event, err)
	}
	if _, _, err := b.do("babble"); err == nil {
		t.Error("it babbles twice")
	}
	if event, fields, err := b.do("behave"); event != "nat-behaves" || fields["sent"] != 9 || err != nil {
		t.Errorf("told %s %v: %v", event, fields, err)
	}
	b.do("babble")
	b.close()
	if want := []string{"babble", "behave", "babble", "behave"}; !reflect.DeepEqual(k.did, want) {
		t.Errorf("did %q, want %q", k.did, want)
	}
}
