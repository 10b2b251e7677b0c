package scenarios

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"s2clab/topologies/strict"
)

func (p *parser) expectations(v *strict.Value) {
	for _, item := range v.Items() {
		e := Expectation{Line: item.Line, Note: strict.Or(item.Get("note"), ""), After: strict.Or(item.Get("after"), time.Duration(0)), Within: strict.Or(item.Get("within"), time.Duration(0))}
		for _, kind := range []string{"saw", "never", "count", "order", "measure"} {
			if item.Get(kind) != nil {
				e.Kind = kind
			}
		}
		e.Text = expectationText(e.Kind, item)
		if w := item.Get("within"); w.Good() && e.Within == 0 {
			p.complain(w, "leave it out, or give a time such as 2s", "%s: nothing happens within no time", item.Path)
		}
		if end := p.s.Ends(); end > 0 && e.After >= end {
			p.complain(item.Get("after"), "", "%s: the run ends at %s", item.Path, strict.Short(end))
		}
		switch e.Kind {
		case "saw", "never":
			e.Pattern = p.pattern(item, e.Kind, true)
		case "count":
			e.Pattern = p.pattern(item, e.Kind, true)
			e.Bounds = p.bounds(item, "count")
		case "order":
			for _, x := range item.Get("order").Items() {
				e.Order = append(e.Order, p.pattern(x, "saw", true))
			}
		case "measure":
			e.Measure, e.Bounds = p.measure(item)
		default:
			continue // has been told
		}
		p.s.Expect = append(p.s.Expect, e)
	}
}

// expectationText says what is expected as a person would: saw binding-update,
// node pgw, flags [A, H], after 5s.
func expectationText(kind string, v *strict.Value) string {
	parts := []string{kind + " " + v.Get(kind).Source()}
	if kind == "order" {
		var names []string
		for _, x := range v.Get("order").Items() {
			names = append(names, strings.TrimPrefix(text("saw", x), "saw saw "))
		}
		parts[0] = "order " + strings.Join(names, "; ")
	}
	for _, key := range v.Keys() {
		if key.Text != kind && key.Text != "note" {
			parts = append(parts, key.Text+" "+v.Get(key.Text).Source())
		}
	}
	return strings.Join(parts, ", ")
}

// pattern reads the pattern whose name stands at key. Where events is false it
// must name a message.
func (p *parser) pattern(v *strict.Value, key string, events bool) Pattern {
	name := v.Get(key)
	if !name.Good() {
		return Pattern{}
	}
	w := wordNamed(name.Text)
	switch {
	case w == nil && events:
		hint := p.nearWords(name.Text, wordNames(true, true))
		p.complain(name, hint, "%s: %q is not an event or a message", name.Path, name.Text)
		return Pattern{}
	case w == nil || !w.message && !events:
		what := fmt.Sprintf("%s: %q is not a message", name.Path, name.Text)
		if w != nil {
			what += " but an event, which happens in a node and is not on a link"
		}
		p.complain(name, p.nearWords(name.Text, wordNames(false, true)), "%s", what)
		return Pattern{}
	}
	out := Pattern{Name: w.name, Message: w.message, Nodes: p.nodes(v.Get("node"))}
	if v.Get("node") != nil && w.roles != nil {
		for _, n := range out.Nodes {
			if role := p.t.Node(n).Role; !slices.Contains(w.roles, role) {
				p.complain(v.Get("node"), strict.Suggest("", "nodes there with role "+strings.Join(w.roles, " or "), p.names(w.roles...)), "%s happens in nodes with role %s, and %s has the role %s", w.name, strings.Join(w.roles, " or "), n, role)
				break
			}
		}
	}
	for _, k := range v.Keys() {
		f := fieldNamed(k.Text)
		if f == nil || k.Text == key || k.Text == "node" || k.Text == "flow" && v.Get("measure") != nil {
			continue
		}
		if !w.has(f.name) {
			hint := "it has no fields"
			if len(w.fields) > 0 {
				hint = strict.Suggest(k.Text, "its fields", w.fields)
			}
			p.complain(k, hint, "%s has no field %q", w.name, k.Text)
			continue
		}
		if m, ok := p.match(f, v.Get(k.Text), w); ok {
			out.Fields = append(out.Fields, m)
		}
	}
	return out
}

// nearWords suggests names; with none near it says where they all are.
func (p *parser) nearWords(name string, all []string) string {
	// A part of a name finds the names that have it.
	var having []string
	for _, w := range all {
		if len(name) >= 3 && strings.Contains(w, name) {
			having = append(having, w)
		}
	}
	if len(having) > 1 {
		return "did you mean one of these: " + strings.Join(having, ", ") + "?"
	}
	if near := strict.Nearest(name, append(having, all...)); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "docs/scenario.md lists them, such as binding-update, binding-acknowledgement, binding-accepted"
}

// match reads what a field must hold.
func (p *parser) match(f *field, v *strict.Value, w *word) (Match, bool) {
	m := Match{Field: f.name}
	if !v.Good() {
		return m, false
	}
	switch f.kind {
	case ofNumber:
		if strict.Is[int64](v) {
			x := float64(strict.Or(v, int64(0)))
			m.Number = &x
			return m, true
		}
		m.Range = &Bounds{}
		for key, at := range map[string]**float64{"at-least": &m.Range.Least, "at-most": &m.Range.Most} {
			if x := v.Get(key); x.Good() {
				n := float64(strict.Or(x, int64(0)))
				*at = &n
			}
		}
	case ofSeconds:
		if strict.Is[time.Duration](v) {
			x := strict.Or(v, time.Duration(0)).Seconds()
			m.Number = &x
			return m, true
		}
		m.Range = &Bounds{}
		for key, at := range map[string]**float64{"at-least": &m.Range.Least, "at-most": &m.Range.Most} {
			if x := v.Get(key); x.Good() {
				n := strict.Or(x, time.Duration(0)).Seconds()
				*at = &n
			}
		}
	case ofSignal:
		if strict.Is[float64](v) {
			x := strict.Or(v, 0.0)
			m.Number = &x
			return m, true
		}
		m.Range = &Bounds{Least: level(v.Get("at-least")), Most: level(v.Get("at-most"))}
	case ofStatus:
		if strict.Is[string](v) {
			m.Number = p.status(v)
			return m, m.Number != nil
		}
		m.Range = &Bounds{Least: p.status(v.Get("at-least")), Most: p.status(v.Get("at-most"))}
	case ofWords:
		for _, item := range v.Items() {
			m.Texts = append(m.Texts, item.Text)
		}
	case ofBoolean:
		x := strict.Or(v, false)
		m.Bool = &x
	case ofNode:
		if p.t.Members(v.Text) == nil {
			p.complain(v, strict.Suggest(v.Text, "nodes there", p.names()), "%q is not a node of topology %s", v.Text, p.t.Name)
			return m, false
		}
		if members := p.t.Members(v.Text); len(members) > 1 {
			p.complain(v, "name one of them, such as "+members[0]+", or use node:", "%q is %d nodes; want one", v.Text, len(members))
			return m, false
		}
		m.Text = &v.Text
	case ofLink:
		if p.link(v) == nil {
			return m, false
		}
		m.Text = &v.Text
	case ofAddress:
		m.Prefixes = p.addresses(v)
		return m, m.Prefixes != nil
	default:
		m.Text = &v.Text
	}
	if m.Range != nil && len(v.Keys()) == 0 {
		p.complain(v, "write {at-least: ...}, {at-most: ...} or both", "%s: neither at-least nor at-most is there", v.Path)
		return m, false
	}
	return m, true
}

// level is that of v; nil: none is there.
func level(v *strict.Value) *float64 {
	if !strict.Is[float64](v) {
		return nil
	}
	x := strict.Or(v, 0.0)
	return &x
}

// status returns the number of the status that v names.
func (p *parser) status(v *strict.Value) *float64 {
	if !v.Good() {
		return nil
	}
	n, err := strconv.Atoi(v.Text)
	if code, named := statuses()[v.Text]; named {
		n, err = code, nil
	}
	if err != nil || n < 0 || n > 255 {
		hint := "write a number, 0 for accepted, 144 for id-mismatch, 146 for authentication-failed"
		if near := strict.Nearest(v.Text, slices.Sorted(maps.Keys(statuses()))); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		p.complain(v, hint, "%q is not a status of a Binding Acknowledgement", v.Text)
		return nil
	}
	x := float64(n)
	return &x
}

// addresses returns the prefixes that v means: an address or a prefix itself, a
// link's prefix, a node's addresses.
func (p *parser) addresses(v *strict.Value) []netip.Prefix {
	if a, err := netip.ParseAddr(v.Text); err == nil {
		return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
	}
	if x, err := netip.ParsePrefix(v.Text); err == nil {
		return []netip.Prefix{x.Masked()}
	}
	if l := p.t.Link(v.Text); l != nil {
		return l.Prefixes()
	}
	var out []netip.Prefix
	for _, name := range p.t.Members(v.Text) {
		n := p.t.Node(name)
		for _, a := range []netip.Addr{n.Address(), n.Address4()} {
			if a.IsValid() {
				out = append(out, netip.PrefixFrom(a, a.BitLen()))
			}
		}
		for _, in := range n.Interfaces {
			for _, x := range in.Addresses {
				out = append(out, netip.PrefixFrom(x.Addr(), x.Addr().BitLen()))
			}
		}
	}
	if out == nil {
		names := p.names()
		for _, l := range p.t.Links {
			names = append(names, l.Name)
		}
		p.complain(v, strict.Suggest(v.Text, "nodes and links there", strict.Sorted(names)), "%q is not an address, a prefix, a node or a link", v.Text)
	}
	return out
}

// measure reads what is measured and its bounds.
func (p *parser) measure(v *strict.Value) (Measure, Bounds) {
	at := v.Get("measure")
	if !at.Good() {
		return Measure{}, Bounds{}
	}
	w := measureNamed(at.Text)
	m := Measure{Name: w.name, Unit: w.unit, Nodes: p.nodes(v.Get("node")), Handover: int(strict.Or(v.Get("handover"), int64(0))), Percentile: float64(strict.Or(v.Get("percentile"), int64(0)))}
	if flow := v.Get("flow"); flow.Good() && p.flow(flow) != nil {
		m.Flow = flow.Text
	}
	for _, key := range []string{"node", "flow", "handover", "percentile"} {
		if x := v.Key(key); x != nil && !slices.Contains(w.of, key) {
			p.complain(x, "it can be asked of: "+strings.Join(w.of, ", "), "measure %s is not one of a %s", w.name, key)
		}
	}
	if needsFlow := slices.Contains(w.of, "flow"); needsFlow && len(p.flows) == 0 {
		p.complain(at, "add a step with traffic: {from: ue, to: cn}", "measure %s needs traffic, and this scenario has none", w.name)
	}
	return m, p.bounds(v, w.unit)
}

// bounds reads at-least, at-most, equals and between in a unit.
func (p *parser) bounds(v *strict.Value, unit string) Bounds {
	var b Bounds
	read := func(x *strict.Value) *float64 {
		if !x.Good() {
			return nil
		}
		n, err := unitScalar(unit).Parse(x.Text)
		if t, ok := err.(*strict.Trouble); ok {
			p.complain(x, t.Hint, "%s: %s", x.Path, t.What)
			return nil
		} else if err != nil {
			p.complain(x, "", "%s: %q is not %s", x.Path, x.Text, unitScalar(unit).Name)
			return nil
		}
		var f float64
		switch n := n.(type) {
		case time.Duration:
			f = n.Seconds()
		case int64:
			f = float64(n)
		case float64:
			f = n
		}
		return &f
	}
	least, most, equals, between := v.Get("at-least"), v.Get("at-most"), v.Get("equals"), v.Get("between")
	switch {
	case least == nil && most == nil && equals == nil && between == nil:
		p.complain(v, "add at-most, at-least, equals or between: at-most: "+unitScalar(unit).Examples[0], "%s: there are no bounds to hold", v.Path)
		return b
	case equals != nil && (least != nil || most != nil || between != nil), between != nil && (least != nil || most != nil):
		p.complain(v, "leave the others out", "%s: equals and between each stand alone", v.Path)
		return b
	case equals != nil:
		b.Least = read(equals)
		b.Most = b.Least
	case between != nil:
		if items := between.Items(); len(items) == 2 {
			b.Least, b.Most = read(items[0]), read(items[1])
		}
	default:
		b.Least, b.Most = read(least), read(most)
	}
	if b.Least != nil && b.Most != nil && *b.Least > *b.Most {
		p.complain(v, "exchange them", "%s: the lower bound is above the upper one, so nothing can hold", v.Path)
	}
	return b
}

// unitScalar is what a bound in a unit may be.
func unitScalar(unit string) *strict.Scalar {
	switch unit {
	case "seconds":
		return strict.Duration(0, maxTime)
	case "share":
		return strict.Percent()
	case "bit/s":
		return strict.BitRate(0, 1e13)
	}
	return strict.Integer("a whole number", 0, 1<<53)
}
