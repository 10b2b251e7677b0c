package analysis

import (
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// A Carry is what an access carried of a flow, both directions together.
type Carry struct {
	Flow, Link string
	Packets    int
	Octets     int64         // of whole frames
	Lasted     time.Duration // how long it carried it, all times together
}

// Throughput is in bit/s, while it carried the flow.
func (c *Carry) Throughput() float64 {
	if c.Lasted <= 0 {
		return 0
	}
	return float64(c.Octets) * 8 / c.Lasted.Seconds()
}

// readCarries reads which links that mobile nodes are on carried which flow, in the
// order in which these began.
func (r *reading) readCarries() {
	named := map[string]string{} // flows, by where they were opened
	for _, e := range r.events {
		f := fields(e.Fields)
		switch link := f.text("link"); {
		case e.Name == "flow-started":
			if to, err := netip.ParseAddrPort(f.text("remote")); err == nil {
				named[to.String()] = f.text("flow")
			}
		case e.Name == "flow-vanished" && r.isAccess(link):
			port, _ := f.number("port")
			to, err := netip.ParseAddrPort("[" + f.text("dst") + "]:" + strconv.Itoa(int(port)))
			if err != nil {
				to, err = netip.ParseAddrPort(f.text("dst") + ":" + strconv.Itoa(int(port)))
			}
			flow := named[to.String()]
			if err != nil || flow == "" {
				continue
			}
			i := slices.IndexFunc(r.Carries, func(c Carry) bool { return c.Flow == flow && c.Link == link })
			if i < 0 {
				i = len(r.Carries)
				r.Carries = append(r.Carries, Carry{Flow: flow, Link: link})
			}
			packets, _ := f.number("packets")
			octets, _ := f.number("octets")
			lasted, _ := f.number("lasted")
			c := &r.Carries[i]
			c.Packets += int(packets)
			c.Octets += int64(octets)
			c.Lasted += time.Duration(lasted * float64(time.Second))
		}
	}
	slices.SortStableFunc(r.Carries, func(a, b Carry) int { return r.flowOrder(a.Flow) - r.flowOrder(b.Flow) })
}

// flowOrder is the place of a flow among all.
func (r *reading) flowOrder(name string) int {
	return slices.IndexFunc(r.Flows, func(d Direction) bool { return d.Flow == name })
}

// isAccess says whether a mobile node is on a link.
func (r *reading) isAccess(link string) bool {
	l := r.net.links[link]
	return l != nil && slices.ContainsFunc(l.Ends, func(end string) bool {
		n := r.net.nodes[end]
		return n != nil && n.MobileNode != nil
	})
}
