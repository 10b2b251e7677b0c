package topologies

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"s2clab/topologies/strict"
)

// A FlowBinding says which accesses a flow of a mobile node goes by: RFC 6089.
type FlowBinding struct {
	Name     string
	Protocol uint8    // 0: any
	Ports    Ports    // of the correspondent node; zero: any
	To       []string // links, the preferred one first
}

// protocols of flows, by name.
var protocols = map[string]uint8{"any": 0, "tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "esp": 50}

func flowsShape() *strict.Shape {
	port := strict.Of(flowPorts())
	return &strict.Shape{Name: "a list of flows", Example: "[{name: voice, protocol: udp, to: wlan}]", Least: 1, Items: &strict.Shape{Ref: "flow", Name: "a flow", Example: "{name: voice, protocol: udp, to: wlan}", Fields: []strict.Field{
		{Key: "name", Required: true, Shape: strict.Of(nameOf("a flow", "voice")), Doc: "Its name, in scenarios and in the journal."},
		{Key: "protocol", Shape: strict.Of(strict.Words("a protocol", "any", "tcp", "udp", "icmp", "icmp6", "esp")), Doc: "The protocol of its packets. Left out: any."},
		{Key: "ports", Shape: port, Doc: "The correspondent node's port or ports, for tcp and udp. Left out: any."},
		{Key: "to", Required: true, Shape: strict.Of(reference("a link", "wlan")), Doc: "The access that it goes by while that can carry it."},
		{Key: "then", Shape: &strict.Shape{Name: "a list of links", Example: "[wimax]", Items: strict.Of(reference("a link", "wimax")), Single: true},
			Doc: "The accesses that it goes by otherwise, in that order. Left out: all others, in the order of the mobile's policy and links."},
	}}}
}

// flowPorts is a port or a range of them. Its Go type is Ports.
func flowPorts() *strict.Scalar {
	return &strict.Scalar{Name: "a port or a range of ports such as 5000-5099", JSON: "string|integer", Pattern: `^[0-9]+(-[0-9]+)?$`, Examples: []string{"5000-5099"},
		Parse: func(text string) (any, error) {
			from, to, ranged := strings.Cut(text, "-")
			if !ranged {
				to = from
			}
			first, err := strconv.ParseUint(from, 10, 16)
			last, err2 := strconv.ParseUint(to, 10, 16)
			switch {
			case err != nil || err2 != nil || first == 0:
				return nil, fmt.Errorf("not a range of ports")
			case last < first:
				return nil, &strict.Trouble{What: text + " ends before it begins", Hint: fmt.Sprintf("write %d-%d", last, first)}
			}
			return Ports{uint16(first), uint16(last)}, nil
		}}
}

// mostFlows is how many flows a mobile node may have: its home agent keeps 64 flow
// bindings, of which a flow takes one for each address family.
const mostFlows = 32

// flows reads whether a mobile node uses all its accesses at once, and which flow
// goes by which.
func (r *resolver) flows(d *draft) {
	m, v := d.node.MobileNode, d.value.Get("flows")
	m.AllAccesses = choice(r, d.node.Line, d.value, "nodes."+d.node.Name, "accesses", "one") == "all"
	complain := func(v *strict.Value, hint, format string, args ...any) {
		if d.index == 0 { // once for all that are written as one
			r.complain(v, hint, format, args...)
		}
	}
	if p := d.value.Get("policy"); m.AllAccesses && m.Policy.Kind == "signal" {
		complain(p, "write policy: {prefer: ["+strings.Join(d.links(), ", ")+"]}, or leave it out", "%s: a policy by signal chooses one access, and %s uses all", p.Path, d.node.Name)
	}
	if ro := d.value.Get("route-optimization"); m.AllAccesses && ro != nil && (ro.Items() != nil || strict.Or(ro, false)) {
		complain(ro, "leave one of them out", "%s: route optimization leads by one care-of address, and %s uses all", ro.Path, d.node.Name)
	}
	if v == nil {
		return
	}
	if !m.AllAccesses {
		complain(v, "add accesses: all to "+r.written(d), "%s: flows are told apart where a mobile node uses all its accesses at once", v.Path)
		return
	}
	if n := len(v.Items()); n > mostFlows {
		complain(v, "", "%s: %d flows; want %d at most", v.Path, n, mostFlows)
	}
	for _, item := range v.Items() {
		if !item.Good() {
			continue
		}
		f := FlowBinding{Name: strict.Or(item.Get("name"), ""), Protocol: protocols[strict.Or(item.Get("protocol"), "any")], Ports: strict.Or(item.Get("ports"), Ports{})}
		if slices.ContainsFunc(m.Flows, func(other FlowBinding) bool { return other.Name == f.Name }) {
			complain(item.Get("name"), "give one of them another name", "%s: flow %q is there already", item.Path, f.Name)
		}
		if p := item.Get("ports"); p.Good() && f.Protocol != protocols["tcp"] && f.Protocol != protocols["udp"] {
			complain(p, "add protocol: udp or protocol: tcp, or leave the ports out", "%s: only tcp and udp have ports", p.Path)
		}
		named := append([]*strict.Value{item.Get("to")}, item.Get("then").Items()...)
		for _, to := range named {
			if r.carriesFlows(d, to, f.To, complain) {
				f.To = append(f.To, to.Text)
			}
		}
		if item.Get("then") == nil {
			for _, link := range append(slices.Clone(m.Policy.Prefer), d.links()...) {
				if l := r.link(link).link; !slices.Contains(f.To, link) && !l.Home {
					f.To = append(f.To, link)
				}
			}
			if len(f.To) > 1 {
				r.choose(item.Line, "nodes."+d.node.Name+".flows."+f.Name+".then", "["+strings.Join(f.To[1:], ", ")+"]", "")
			}
		}
		m.Flows = append(m.Flows, f)
	}
}

// carriesFlows says whether a flow may go by a link, and complains where not.
func (r *resolver) carriesFlows(d *draft, to *strict.Value, before []string, complain func(*strict.Value, string, string, ...any)) bool {
	switch {
	case !to.Good():
	case r.link(to.Text) == nil:
		complain(to, strict.Suggest(to.Text, "links of "+d.node.Name, d.links()), "%s: %q is not a link of this topology", to.Path, to.Text)
	case d.node.Interface(to.Text) == nil:
		complain(to, "links of "+d.node.Name+": "+strings.Join(d.links(), ", "), "%s: %s is not on link %q", to.Path, d.node.Name, to.Text)
	case r.link(to.Text).link.Home:
		complain(to, "name an access away from home", "%s: at home %s has no binding, and all goes by the home link %q", to.Path, d.node.Name, to.Text)
	case slices.Contains(before, to.Text):
		complain(to, "leave it out", "%s: %q stands twice", to.Path, to.Text)
	default:
		return true
	}
	return false
}
