package topologies

import (
	"slices"
	"strings"
	"time"

	"s2clab/topologies/strict"
)

// policies are the kinds of Policy.
var policies = []string{"newest", "keep", "preferred", "signal"}

// What a policy by signal may leave out.
const (
	defaultHysteresis    = 2.0 // dB
	defaultTimeToTrigger = 100 * time.Millisecond
)

// Levels of signals that a radio may tell, in dBm.
const (
	LeastSignal = -200.0
	MostSignal  = 50.0
)

// SignalLevel is the level of a signal as files have it.
func SignalLevel(name, example string) *strict.Scalar {
	return strict.Level(name, example, "dBm", LeastSignal, MostSignal)
}

func policyShape() *strict.Shape {
	signal := []string{"signal"}
	return &strict.Shape{Ref: "policy", Name: "a policy such as keep", Short: "kind", Switch: "kind", Fields: []strict.Field{
		{Key: "kind", Shape: strict.Of(strict.Words("a kind of policy", policies...)),
			Doc: "newest (the access that was attached last), keep (the one it is on, until that cannot carry it any more), preferred (the first of prefer that can carry it), signal (the first of prefer whose signal is good). Left out: signal where there is a threshold, else preferred."},
		{Key: "prefer", For: []string{"keep", "preferred", "signal"}, Shape: &strict.Shape{Name: "a list of links", Example: "[wlan, wimax, lte]", Items: strict.Of(reference("a link", "wlan")), Single: true, Least: 1},
			Doc: "Links, the preferred one first; other links of the node come after them. Left out: none is preferred."},
		{Key: "threshold", For: signal, Shape: strict.Of(SignalLevel("a threshold", "-75dBm")), Doc: "A signal becomes good that is above it by more than the hysteresis, and bad that is below it by more than that. Must be there with kind signal."},
		{Key: "hysteresis", For: signal, Shape: strict.Of(strict.Level("a hysteresis", "4dB", "dB", 0, 50)), Doc: "How far beyond the threshold. Left out: 2dB."},
		{Key: "time-to-trigger", For: signal, Shape: strict.Of(span("200ms", 0, time.Minute)), Doc: "How long it must stay there. Left out: 100ms."},
	}}
}

// policy reads how a mobile node chooses its access.
func (r *resolver) policy(d *draft) Policy {
	v, path := d.value.Get("policy"), "nodes."+d.node.Name+".policy"
	p := Policy{Kind: "newest"}
	complain := func(v *strict.Value, hint, format string, args ...any) {
		if d.index == 0 { // once for all that are written as one
			r.complain(v, hint, format, args...)
		}
	}
	switch given := v.Get("kind"); {
	case v == nil:
		r.choose(d.node.Line, path, p.Kind, "")
		return p
	case !v.Good() || given != nil && !given.Good():
		return p
	case given != nil:
		p.Kind = strict.Or(given, p.Kind)
	case v.Get("threshold") != nil || v.Get("hysteresis") != nil || v.Get("time-to-trigger") != nil:
		p.Kind = "signal"
	default:
		p.Kind = "preferred"
	}
	for _, item := range v.Get("prefer").Items() {
		switch {
		case !item.Good():
		case r.link(item.Text) == nil:
			complain(item, strict.Suggest(item.Text, "links of "+d.node.Name, d.links()), "%s: %q is not a link of this topology", item.Path, item.Text)
		case d.node.Interface(item.Text) == nil:
			complain(item, "links of "+d.node.Name+": "+strings.Join(d.links(), ", "), "%s: %s is not on link %q", item.Path, d.node.Name, item.Text)
		case slices.Contains(p.Prefer, item.Text):
			complain(item, "leave it out", "%s: %q stands twice", item.Path, item.Text)
		default:
			p.Prefer = append(p.Prefer, item.Text)
		}
	}
	switch {
	case p.Kind == "preferred" && v.Get("prefer") == nil:
		complain(v, "add prefer: ["+strings.Join(d.links(), ", ")+"], or write policy: newest or policy: keep", "%s: nothing is preferred", v.Path)
	case p.Kind == "signal" && v.Get("threshold") == nil:
		complain(v, "add threshold: -75dBm", "%s: a policy by signal needs a threshold", v.Path)
	case p.Kind == "signal":
		p.Threshold = strict.Or(v.Get("threshold"), 0.0)
		p.Hysteresis = strict.Or(v.Get("hysteresis"), defaultHysteresis)
		p.TimeToTrigger = choice(r, d.node.Line, v, path, "time-to-trigger", defaultTimeToTrigger)
		if v.Get("hysteresis") == nil {
			r.choose(d.node.Line, path+".hysteresis", "2dB", "")
		}
	}
	return p
}

// links are the names of the links that a node is on.
func (d *draft) links() []string {
	var all []string
	for _, in := range d.node.Interfaces {
		all = append(all, in.Link)
	}
	return all
}
