package ha

import (
	"fmt"
	"net/netip"
	"testing"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
)

// BenchmarkAnswered is how many Binding Updates a second come in by one socket,
// are verified and answered, beside how many of the same are only sent back:
//
//	go test -run none -bench Answered ./nodes/ha
//
// Whoever sends and counts them is on the same machine and takes its share.
func BenchmarkAnswered(b *testing.B) {
	cfg := inTheField(func(h *control.HomeAgent) {
		h.MaxBindings, h.Tunnel = benchMobiles, "user"
		h.Associations = nil
		for i := range benchMobiles {
			h.Associations = append(h.Associations, control.Association{NAI: benchNAI(i), SPI: spiA, Key: keyA})
		}
	})
	b.Run("echo", func(b *testing.B) {
		f := lay(b, cfg)
		f.echo()
		f.exchange(b, f.updates(b.N))
	})
	b.Run("home agent", func(b *testing.B) {
		f := open(b, cfg)
		packets := f.updates(b.N + benchMobiles)
		for i := range benchMobiles { // bindings are made one by one
			if err := f.mobility.Send(packets[i]); err != nil {
				b.Fatal(err)
			}
			f.wantAcknowledged(mh.Accepted)
		}
		for _, octets := range f.exchange(b, packets[benchMobiles:]) {
			if status := octets[40+24+6]; status != 0 {
				b.Fatalf("status %d", status)
			}
		}
	})
}

const (
	benchMobiles = 500
	underWay     = 512 // packets, at a time: no buffer is smaller
)

// exchange sends packets, as many at a time as may be under way, and gives some
// of the answers when there are as many.
func (f *field) exchange(b *testing.B, packets [][]byte) (some [][]byte) {
	b.ResetTimer()
	for sent, got := 0, 0; got < len(packets); got++ {
		if n := min(64, len(packets)-sent); n > 0 && sent-got <= underWay-n {
			if err := f.mobility.Send(packets[sent : sent+n]...); err != nil {
				b.Fatal(err)
			}
			sent += n
		}
		octets := <-f.answers
		if got%benchMobiles < 64 {
			some = append(some, octets)
		}
	}
	b.ReportMetric(float64(len(packets))/b.Elapsed().Seconds(), "updates/s")
	return some
}

func benchNAI(i int) string { return fmt.Sprintf("%06d@example.org", i) }

// updates makes n Binding Updates of the mobile nodes in turn, each newer than
// all before it.
func (f *field) updates(n int) [][]byte {
	s := f.story()
	key := association.New(spiA, keyA)
	packets := make([][]byte, n)
	for i := range packets {
		a := s.of(uint16(i / benchMobiles))
		a.src, a.alternate = abroad, abroad
		a.home = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 13: 1, 14: byte(i % benchMobiles >> 8), 15: byte(i % benchMobiles)})
		a.nai, a.mnha = benchNAI(i%benchMobiles), key
		a.timestamp = keys.NTP(s.now) + uint64(i)
		packets[i] = s.packet(a)
	}
	return packets
}

// echo runs in the home agent's place and sends back what comes.
func (f *field) echo() {
	var port *host.MobilityPort
	f.agent.in(func() error {
		h, err := host.Open(&control.Config{})
		if err == nil {
			port, err = h.MobilityPort(homeAgent)
		}
		return err
	})
	f.t.Cleanup(func() { port.Close() })
	go func() {
		var back [][]byte
		for {
			packets, err := port.Receive()
			if err != nil {
				return
			}
			back = back[:0]
			for _, p := range packets {
				var src [16]byte
				copy(src[:], p.Packet[8:])
				copy(p.Packet[8:], p.Packet[24:40])
				copy(p.Packet[24:], src[:])
				back = append(back, p.Packet)
			}
			port.Send(back...)
		}
	}()
}
