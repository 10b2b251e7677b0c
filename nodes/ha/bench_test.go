package ha

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
)

// BenchmarkAnswered is how many Binding Updates a second come in by one socket,
// are verified and answered, beside how many of the same are only sent back, in
// turns:
//
//	go test -run none -bench Answered ./nodes/ha
//
// Whoever sends and counts them is on the same machine and takes its share.
func BenchmarkAnswered(b *testing.B) {
	configuration := func() *control.Config {
		return inTheField(func(h *control.HomeAgent) {
			h.MaxBindings, h.Tunnel = benchMobiles, "user"
			h.Associations = nil
			for i := range benchMobiles {
				h.Associations = append(h.Associations, control.Association{NAI: benchNAI(i), SPI: spiA, Key: keyA})
			}
		})
	}
	echo, cfg := count(b, configuration()), configuration()
	echo.echo()
	agent := count(b, cfg)
	agent.run(cfg)
	updates := &updates{story: agent.story(), key: association.New(spiA, keyA)}
	for _, first := range updates.next(benchMobiles) { // bindings are made one by one
		agent.exchange(b, [][]byte{first})
	}
	var echoed, answered, ratio []float64
	for range benchRounds {
		packets := updates.next(benchRound)
		e, a := echo.exchange(b, packets), agent.exchange(b, packets)
		echoed, answered, ratio = append(echoed, e), append(answered, a), append(ratio, a/e)
	}
	if refused := agent.refused.Load(); refused > 0 {
		b.Fatalf("%d Binding Updates were refused", refused)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(answered)/1e3, "answered-k/s")
	b.ReportMetric(middle(echoed)/1e3, "echoed-k/s")
	b.ReportMetric(middle(ratio), "ratio")
}

const (
	benchMobiles = 512
	benchRounds  = 9
	benchRound   = 20000 // Binding Updates
	underWay     = 256   // packets, at a time: no buffer is smaller
	atOnce       = 64    // packets of one system call
)

func middle(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// A counter sends packets to a field's agent and counts what comes back.
type counter struct {
	*field
	got, refused atomic.Int64
	more         chan struct{}
}

// count makes a field whose answers are counted.
func count(b *testing.B, cfg *control.Config) *counter {
	c := &counter{field: ground(b, cfg), more: make(chan struct{}, 1)}
	go c.hear()
	go func() {
		for {
			packets, err := c.mobility.Receive()
			if err != nil {
				return
			}
			for _, p := range packets {
				if header := p.Packet[40+24:]; mh.Type(header[2]) == mh.TypeBindingAcknowledgement && header[6] != 0 {
					c.refused.Add(1)
				}
			}
			c.got.Add(int64(len(packets)))
			select {
			case c.more <- struct{}{}:
			default:
			}
		}
	}()
	return c
}

// exchange sends packets, as many at a time as may be under way, waits for all
// answers and gives how many there were a second.
func (c *counter) exchange(b *testing.B, packets [][]byte) float64 {
	began, first := time.Now(), c.got.Load()
	patience := time.After(time.Minute)
	for sent := 0; ; {
		under := sent - int(c.got.Load()-first)
		if sent == len(packets) && under == 0 {
			return float64(sent) / time.Since(began).Seconds()
		}
		if n := min(atOnce, len(packets)-sent); n > 0 && under <= underWay-n {
			if err := c.mobility.Send(packets[sent : sent+n]...); err != nil {
				b.Fatal(err)
			}
			sent += n
			continue
		}
		select {
		case <-c.more:
		case <-patience:
			b.Fatalf("%d of %d packets have no answer", under, sent)
		}
	}
}

func benchNAI(i int) string { return fmt.Sprintf("%06d@example.org", i) }

// updates makes Binding Updates of the mobile nodes in turn, each newer than all
// before it.
type updates struct {
	story *story
	key   *association.Association
	made  int
}

func (u *updates) next(n int) [][]byte {
	packets := make([][]byte, n)
	for i := range packets {
		mobile := u.made % benchMobiles
		a := u.story.of(uint16(u.made / benchMobiles))
		a.src, a.alternate = abroad, abroad
		a.home = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 13: 1, 14: byte(mobile >> 8), 15: byte(mobile)})
		a.nai, a.mnha = benchNAI(mobile), u.key
		a.timestamp = keys.NTP(u.story.now) + uint64(u.made)
		packets[i] = u.story.packet(a)
		u.made++
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
