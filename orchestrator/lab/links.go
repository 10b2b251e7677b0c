package lab

import (
	"fmt"
	"strings"

	"s2clab/nodes/control"
	"s2clab/nodes/netns"
	"s2clab/orchestrator/link"
	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// Attach gives a node's end of a link its carrier.
func (l *Lab) Attach(node, name string) error {
	made, err := l.end(node, name)
	if err != nil {
		return err
	}
	at := control.Now()
	if err := made.Attach(node); err != nil {
		return fmt.Errorf("attach %s to %s: %w", node, name, err)
	}
	l.tell(at, "link-attached", node, map[string]any{"link": name})
	return nil
}

// Detach takes a node's end of a link its carrier.
func (l *Lab) Detach(node, name string) error {
	made, err := l.end(node, name)
	if err != nil {
		return err
	}
	at := control.Now()
	if err := made.Detach(node); err != nil {
		return fmt.Errorf("detach %s from %s: %w", node, name, err)
	}
	l.tell(at, "link-detached", node, map[string]any{"link": name})
	return nil
}

// Attached are the links at which a node has carrier, in the topology's order.
func (l *Lab) Attached(node string) []string {
	var names []string
	for _, t := range l.Topology.Links {
		if made, err := l.end(node, t.Name); err == nil && made.Attached(node) {
			names = append(names, t.Name)
		}
	}
	return names
}

// SetLink changes what a link does to the frames that some of its ends send: to
// those of every end where ends is empty. Frames on their way stay on it.
func (l *Lab) SetLink(name string, ends []string, change topologies.Change) error {
	made, err := l.Link(name)
	if err != nil {
		return err
	}
	if len(ends) == 0 {
		ends = l.Topology.Link(name).Ends
	}
	for _, end := range ends {
		at := control.Now()
		now, changed, err := apply(made, end, change)
		if err != nil {
			return fmt.Errorf("%w\n    hint: %s", err, strict.Suggest(end, "ends of it", l.Topology.Link(name).Ends))
		}
		if changed {
			l.tell(at, "link-changed", "", map[string]any{"link": name, "from": end, "change": topologies.Describe(now), "delay": now.Delay.Seconds()})
		}
	}
	return nil
}

// apply changes what a link does to the frames of one end, and says what it does
// now.
func apply(made link.Link, end string, change topologies.Change) (now topologies.Impairment, changed bool, err error) {
	was, err := made.Impairment(end)
	if err != nil {
		return was, false, err
	}
	now = change.Apply(was)
	if now == was {
		return now, false, nil
	}
	return now, true, made.Set(end, now)
}

// TraceLink is SetLink of every end, as a trace with that name says. It is told
// once for all ends.
func (l *Lab) TraceLink(name, trace string, change topologies.Change) error {
	made, err := l.Link(name)
	if err != nil {
		return err
	}
	at, differs := control.Now(), false
	var first topologies.Impairment
	for i, end := range l.Topology.Link(name).Ends {
		now, changed, err := apply(made, end, change)
		if err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
		if i == 0 {
			first = now
		}
		differs = differs || changed
	}
	if differs {
		fields := map[string]any{"link": name, "trace": trace, "change": topologies.Describe(first)}
		if change.Delay != nil {
			fields["delay"] = change.Delay.Seconds()
		}
		l.tell(at, "link-changed", "", fields)
	}
	return nil
}

// SetLinkDown takes carrier from every end of a link, or gives it back to those
// that had it.
func (l *Lab) SetLinkDown(name string, down bool) error {
	made, err := l.Link(name)
	if err != nil {
		return err
	}
	change := "up"
	if down {
		change = "down"
	}
	at := control.Now()
	if err := made.SetDown(down); err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	l.tell(at, "link-changed", "", map[string]any{"link": name, "change": change})
	return nil
}

// Link is a link of the lab.
func (l *Lab) Link(name string) (link.Link, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if made := l.links[name]; made != nil {
		return made, nil
	}
	return nil, fmt.Errorf("%q is not a link of this lab\n    hint: %s", name, strict.Suggest(name, "links here", linkNames(l.Topology)))
}

// end is a link that has that node as an end.
func (l *Lab) end(node, name string) (link.Link, error) {
	if _, err := l.node(node); err != nil {
		return nil, err
	}
	made, err := l.Link(name)
	if err != nil {
		return nil, err
	}
	t := l.Topology.Node(node)
	if t.Interface(name) != nil {
		return made, nil
	}
	return nil, fmt.Errorf("%q is not an end of link %q\n    hint: links of %s: %s", node, name, node, strings.Join(linksOf(t), ", "))
}

func linksOf(n *topologies.Node) (names []string) {
	for _, i := range n.Interfaces {
		names = append(names, i.Link)
	}
	return names
}

// A NodeStatus is what a lab says of one node.
type NodeStatus struct {
	Name      string   `json:"name"`
	Role      string   `json:"role"`
	PID       int      `json:"pid"` // as the lab counts; 0: its process does not run
	Addresses []string `json:"addresses"`
	Attached  []string `json:"attached,omitempty"` // links, of a mobile node
}

// Nodes tells of every node.
func (l *Lab) Nodes() []NodeStatus {
	all := make([]NodeStatus, 0, len(l.Topology.Nodes))
	for _, t := range l.Topology.Nodes {
		s := NodeStatus{Name: t.Name, Role: t.Role}
		l.mu.Lock()
		if n := l.nodes[t.Name]; n != nil && n.process != nil {
			s.PID = n.process.PID()
		}
		l.mu.Unlock()
		if t.MobileNode != nil {
			s.Addresses = []string{t.MobileNode.HomeAddress.String()}
			if a := t.MobileNode.HomeAddress4; a.IsValid() {
				s.Addresses = append(s.Addresses, a.String())
			}
			s.Attached = l.Attached(t.Name)
		}
		for _, i := range t.Interfaces {
			for _, p := range i.Addresses {
				s.Addresses = append(s.Addresses, p.Addr().String())
			}
		}
		all = append(all, s)
	}
	return all
}

// A LinkStatus is what a lab says of one link.
type LinkStatus struct {
	Name string      `json:"name"`
	Down bool        `json:"down,omitempty"`
	Ends []EndStatus `json:"ends"`
}

// An EndStatus is one end of a link, and what happens to what it sends.
type EndStatus struct {
	Node       string                `json:"node"`
	Attached   bool                  `json:"attached"`
	Impairment topologies.Impairment `json:"impairment"`
	Counters   link.Counters         `json:"counters"`
	Device     *netns.DeviceDrops    `json:"device,omitempty"` // nil: the kernel does not say
}

// Links tells of every link.
func (l *Lab) Links() []LinkStatus {
	all := make([]LinkStatus, 0, len(l.Topology.Links))
	for _, t := range l.Topology.Links {
		made, err := l.Link(t.Name)
		if err != nil {
			continue
		}
		s := LinkStatus{Name: t.Name, Down: made.Down()}
		for _, end := range t.Ends {
			e := EndStatus{Node: end, Attached: made.Attached(end), Counters: made.Counters(end)}
			e.Impairment, _ = made.Impairment(end)
			if d, err := l.DeviceDrops(end, t.Name); err == nil {
				e.Device = &d
			}
			e.Impairment.Trace = e.Impairment.Trace.Name() // its times are many
			s.Ends = append(s.Ends, e)
		}
		all = append(all, s)
	}
	return all
}

// DeviceDrops are the frames that a node's own device at a link has dropped: the
// link has never seen, or has handed over, what is lost there.
func (l *Lab) DeviceDrops(node, name string) (netns.DeviceDrops, error) {
	n, err := l.node(node)
	if err != nil {
		return netns.DeviceDrops{}, err
	}
	port := n.ports[name]
	if port == nil {
		return netns.DeviceDrops{}, fmt.Errorf("%q is not an end of link %q", node, name)
	}
	return port.Dropped()
}

// Describe says in a few words how the lab's links are run.
func (l *Lab) Describe() string {
	kinds := map[string]bool{}
	l.mu.Lock()
	for _, n := range l.nodes {
		for _, p := range n.ports {
			kinds[p.Kind()] = true
		}
	}
	l.mu.Unlock()
	text := "links by TAP devices"
	if kinds["veth"] {
		text = "links by packet sockets (/dev/net/tun is denied)"
	}
	for _, loop := range l.Engine.Loops() {
		if !loop.RealTime {
			return text + ", without real-time priority"
		}
	}
	return text + ", with real-time priority"
}
