package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// verbOf returns the key of a step that says what it does.
func verbOf(v *strict.Value) (string, *strict.Value) {
	for _, verb := range verbs {
		if do := v.Get(verb); do != nil {
			return verb, do
		}
	}
	return "", nil
}

// collectFlows gives all traffic its name, so that steps and expectations may
// name it wherever it stands.
func (p *parser) collectFlows(items []*strict.Value) {
	for _, v := range items {
		verb, do := verbOf(v)
		if verb == "repeat" {
			for _, x := range v.Get("steps").Items() {
				if t := x.Key("traffic"); t != nil {
					p.complain(t, "start it before the repeat, with for: or until it is stopped", "%s: traffic has a name of its own, so it cannot begin again in each round", x.Path)
				}
			}
			continue
		}
		if verb != "traffic" || !do.Good() {
			continue
		}
		from, to := p.nodes(do.Get("from")), p.nodes(do.Get("to"))
		name := do.Get("name")
		key := strict.Or(name, strict.Or(do.Get("kind"), "voice"))
		if _, taken := p.flows[key]; taken {
			if name != nil {
				p.complain(name, "give one of them another name", "traffic %q is there already", key)
				continue
			}
			for i := 2; ; i++ {
				if _, taken := p.flows[fmt.Sprint(key, "-", i)]; !taken {
					key = fmt.Sprint(key, "-", i)
					break
				}
			}
		}
		many := len(from)*len(to) > 1
		var flows []Flow
		if len(from)*len(to) > 10000 {
			p.complain(do, "name fewer nodes", "traffic between %d and %d nodes is more than 10000 flows", len(from), len(to))
			from = nil
		}
		for _, f := range from {
			for _, t := range to {
				flow := Flow{key, f, t}
				switch {
				case f == t:
					p.complain(do.Get("to"), "name another node", "traffic from %s to itself", f)
					continue
				case many && len(to) == 1:
					flow.Name += "-" + f
				case many && len(from) == 1:
					flow.Name += "-" + t
				case many:
					flow.Name += "-" + f + "-" + t
				}
				flows = append(flows, flow)
			}
		}
		p.flows[key] = flows
		p.named(do, key)
	}
}

// named remembers the name of the traffic that v starts.
func (p *parser) named(v *strict.Value, name string) {
	if p.nameOf == nil {
		p.nameOf = map[*strict.Value]string{}
	}
	p.nameOf[v] = name
}

// A moment is where in the story a step stands.
type moment struct {
	at    time.Duration
	after bool
}

// steps resolves the steps and checks that they can follow on one another.
func (p *parser) steps(v *strict.Value) {
	last := time.Duration(-1)
	p.sequence(v.Items(), 0, &last, 0)
}

// sequence resolves steps whose times count from base. last is the time of the
// latest step that has one.
func (p *parser) sequence(items []*strict.Value, base time.Duration, last *time.Duration, depth int) {
	for _, v := range items {
		if len(p.s.Steps) >= maxSteps {
			p.complain(v, "", "there are more than %d steps, with repeats written out", maxSteps)
			return
		}
		at, after := v.Get("at"), v.Get("after")
		m := moment{after: true, at: strict.Or(after, time.Duration(0))}
		if at != nil {
			if after != nil {
				p.complain(after, "leave one of them out", "%s: the step has at and after together", v.Path)
			}
			m = moment{at: base + strict.Or(at, time.Duration(0))}
			if m.at < *last && at.Good() {
				p.complain(at, "put the steps in the order of their times", "%s: a step at %s stands behind one at %s", v.Path, at.Text, strict.Short(*last-base))
			}
			*last = max(*last, m.at)
		}
		verb, do := verbOf(v)
		if verb == "repeat" {
			p.repeat(v, do, m, last, depth)
			continue
		}
		if p.ended && do != nil {
			p.complain(v, "put stop: all last", "%s: the run has been stopped before this step", v.Path)
			p.ended = false // once is enough
		}
		if action := p.action(verb, do); action != nil && !v.Bad {
			p.s.Steps = append(p.s.Steps, Step{At: m.at, After: m.after, Line: v.Line, Text: text(verb, do), Do: action})
		}
	}
}

func (p *parser) repeat(v, times *strict.Value, m moment, last *time.Duration, depth int) {
	items := v.Get("steps").Items()
	every := v.Get("every")
	switch {
	case v.Get("steps") == nil:
		p.complain(v, "add steps: [...]", "%s: repeat needs the key \"steps\"", v.Path)
		return
	case !times.Good() || !v.Get("steps").Good():
		return
	case depth >= 3:
		p.complain(v, "", "%s: repeats lie more than 3 deep", v.Path)
		return
	}
	timed := slices.ContainsFunc(items, func(s *strict.Value) bool { return s.Get("at") != nil })
	if m.after && (timed || every != nil) {
		p.complain(v, "add at: to the repeat, or leave at: and every: out within", "%s: the times within count from a beginning that is not known before", v.Path)
		return
	}
	if timed && every == nil {
		p.complain(v, "add every: 1s", "%s: steps with a time need every:, how long a round takes", v.Path)
		return
	}
	round := strict.Or(every, time.Duration(0))
	for _, s := range items {
		if at := s.Get("at"); at.Good() && every != nil && strict.Or(at, time.Duration(0)) >= round {
			p.complain(at, "make every: longer, or the time shorter", "%s: a step at %s is not within a round of %s", s.Path, at.Text, every.Text)
			return
		}
	}
	for i := range int(strict.Or(times, int64(1))) {
		before := len(p.s.Steps)
		base := m.at + time.Duration(i)*round
		p.sequence(items, base, last, depth+1)
		if before >= len(p.s.Steps) {
			return // nothing came of it: it has been told why
		}
		// Steps without a time of their own begin with their round.
		if first := &p.s.Steps[before]; first.After && !m.after && (every != nil || i == 0) {
			first.After, first.At = false, base
			if *last = max(*last, base); len(p.s.Steps) >= maxSteps {
				return
			}
		}
	}
}

// roles of nodes that can be meant.
const mobile = "mn"

func (p *parser) action(verb string, v *strict.Value) Action {
	if !v.Good() {
		return nil
	}
	span := func(key string, def time.Duration) time.Duration { return strict.Or(v.Get(key), def) }
	switch verb {
	case "trace":
		return p.trace(v)
	case "attach":
		a := &Attach{Nodes: p.nodes(v.Get("node"), mobile)}
		l := p.link(v.Get("link"))
		if !p.ends(v.Get("link"), a.Nodes, l) || !p.free(v, a.Nodes, l.Name) {
			return nil
		}
		a.Link = l.Name
		for _, n := range a.Nodes {
			if slices.Contains(p.attached[n], l.Name) {
				p.complain(v.Get("link"), "", "%s is attached to %q already", n, l.Name)
				break
			}
			p.attached[n] = append(p.attached[n], l.Name)
		}
		return a
	case "detach":
		a := &Detach{Nodes: p.nodes(v.Get("node"), mobile)}
		if x := v.Get("link"); x != nil {
			l := p.link(x)
			if !p.ends(x, a.Nodes, l) {
				return nil
			}
			a.Link = l.Name
		}
		if !p.free(v, a.Nodes, a.Link) {
			return nil
		}
		for _, n := range a.Nodes {
			if len(p.attached[n]) == 0 || a.Link != "" && !slices.Contains(p.attached[n], a.Link) {
				p.complain(v, "attach it first", "%s is not attached %s", n, where(a.Link))
				break
			}
			p.attached[n] = slices.DeleteFunc(p.attached[n], func(l string) bool { return a.Link == "" || l == a.Link })
		}
		return a
	case "move":
		return p.move(v)
	case "link":
		return p.changeLink(v)
	case "traffic":
		return p.traffic(v)
	case "stop":
		return p.stop(v)
	case "start":
		a := &Start{Nodes: p.nodes(v)}
		for _, n := range a.Nodes {
			if !slices.Contains(p.stopped, n) {
				p.complain(v, "stop it first, or use restart", "%s has not been stopped before this step", n)
				break
			}
		}
		p.stopped = slices.DeleteFunc(p.stopped, func(n string) bool { return slices.Contains(a.Nodes, n) })
		return a
	case "restart":
		return &Restart{Nodes: p.nodes(v.Get("node")), Gap: span("gap", defaultRestart), How: strict.Or(v.Get("how"), "kill")}
	case "deregister":
		return &Deregister{Nodes: p.nodes(v, mobile)}
	case "register":
		return &Register{Nodes: p.nodes(v, mobile)}
	case "revoke":
		return p.revoke(v)
	case "subscription":
		return p.subscription(v)
	case "switch":
		return p.switchHomeAgent(v)
	case "exec":
		a := &Exec{Nodes: p.nodes(v.Get("node")), Timeout: span("timeout", defaultExec), Exit: int(strict.Or(v.Get("exit"), int64(0))), Background: strict.Or(v.Get("background"), false)}
		if c := v.Get("command"); c.Items() != nil {
			for _, w := range c.Items() {
				a.Command = append(a.Command, w.Text)
			}
		} else {
			a.Command = []string{"sh", "-c", strict.Or(c, "")}
		}
		return a
	case "wait":
		return &Wait{For: p.pattern(v, "for", true), Timeout: span("timeout", defaultWait)}
	case "drop", "hold", "duplicate", "replay":
		a := &Aim{Kind: verb, Pattern: p.pattern(v, "message", false), Times: int(strict.Or(v.Get("times"), int64(1))), For: span("for", 0)}
		switch verb {
		case "hold":
			a.By = span("by", defaultHold)
		case "duplicate":
			a.By = span("by", 0)
		case "replay":
			a.Which = strict.Or(v.Get("which"), "last")
			if x := v.Get("into"); x != nil {
				if l := p.link(x); l != nil {
					a.Into = l.Name
				}
			}
		}
		return a
	case "flood":
		a := &Flood{From: p.node(v.Get("from")), To: p.node(v.Get("to")), Protocol: strict.Or(v.Get("protocol"), ""),
			Rate: float64(strict.Or(v.Get("rate"), strict.Frequency(1000))), Size: int(strict.Or(v.Get("size"), int64(defaultFloodSize))), For: span("for", 0)}
		if a.From == a.To && a.From != "" {
			p.complain(v.Get("to"), "name another node", "a flood from %s at itself", a.From)
		} else if a.From != "" && a.To != "" {
			family := "ipv6"
			if a.Protocol == "diameter" {
				family = ""
			}
			if _, ok := p.t.PathOver(family, a.From, a.To); !ok {
				p.complain(v, "name nodes with IPv6 links between them", "%s: no packet of %s gets from %s to %s", v.Path, a.Protocol, a.From, a.To)
			}
		}
		return a
	case "nat":
		return &NAT{Nodes: p.nodes(v.Get("node"), "nat"), Do: strict.Or(v.Get("do"), "")}
	case "lie":
		return &Lie{Nodes: p.nodes(v.Get("node"), "bsf"), About: strict.Or(v.Get("about"), "")}
	case "flow":
		return p.moveFlow(v)
	case "look":
		return &Look{Nodes: p.nodes(v)}
	case "note":
		return &Note{Text: strict.Or(v, "")}
	}
	return nil
}

// moveFlow reads which flow of mobile nodes goes to which of their accesses.
func (p *parser) moveFlow(v *strict.Value) Action {
	a := &MoveFlow{Nodes: p.nodes(v.Get("node"), mobile), Name: strict.Or(v.Get("name"), "")}
	l := p.link(v.Get("to"))
	if !p.ends(v.Get("to"), a.Nodes, l) {
		return nil
	}
	a.To = l.Name
	for _, n := range a.Nodes {
		m := p.t.Node(n).MobileNode
		var names []string
		for _, f := range m.Flows {
			names = append(names, f.Name)
		}
		switch {
		case !m.AllAccesses:
			p.complain(v, fmt.Sprintf("add accesses: all and flows: to %s in the topology, or use move", n), "%s has one access at a time, so no flow of it moves alone", n)
			return nil
		case !slices.Contains(names, a.Name):
			p.complain(v.Get("name"), strict.Suggest(a.Name, "flows of "+n, names), "%q is not a flow of %s", a.Name, n)
			return nil
		case l.Home:
			p.complain(v.Get("to"), "name an access away from home", "at home %s has no binding, and all goes by the home link", n)
			return nil
		}
	}
	return a
}

func where(link string) string {
	if link == "" {
		return "to any link"
	}
	return fmt.Sprintf("to %q", link)
}

func (p *parser) move(v *strict.Value) Action {
	a := &Move{Nodes: p.nodes(v.Get("node"), mobile), Gap: strict.Or(v.Get("gap"), time.Duration(0)), Overlap: strict.Or(v.Get("overlap"), time.Duration(0))}
	l := p.link(v.Get("to"))
	if v.Get("gap") != nil && v.Get("overlap") != nil {
		p.complain(v.Get("overlap"), "leave one of them out", "%s: a move has a gap or an overlap", v.Path)
	}
	if !p.ends(v.Get("to"), a.Nodes, l) || !p.free(v, a.Nodes, "") {
		return nil
	}
	a.To = l.Name
	for _, n := range a.Nodes {
		switch {
		case len(p.attached[n]) == 0:
			p.complain(v, fmt.Sprintf("attach it first: attach: {node: %s, link: %s}", n, p.linksOf(n)[0]), "%s is not attached to any link that it could move from", n)
			return a
		case slices.Equal(p.attached[n], []string{l.Name}):
			p.complain(v.Get("to"), "", "%s is on %q already", n, l.Name)
			return a
		}
		p.attached[n] = []string{l.Name}
	}
	return a
}

func (p *parser) changeLink(v *strict.Value) Action {
	l := p.link(v.Get("name"))
	if l == nil {
		return nil
	}
	a := &Link{Link: l.Name, State: strict.Or(v.Get("state"), "")}
	set := v.Get("set")
	if set == nil && v.Get("state") == nil {
		p.complain(v, "add state: down, or set: {delay: 50ms}", "%s: nothing is changed", v.Path)
	}
	if from := v.Get("from"); from != nil {
		a.From = p.nodes(from)
		p.ends(from, a.From, l)
		if set == nil {
			p.complain(from, "leave it out; to part one node from a link, detach it", "%s: the state of a link is that of all its ends", v.Path)
		}
	}
	if set.Good() {
		a.Change = p.changes.Change(set)
		ends := a.From
		if ends == nil {
			ends = l.Ends
		}
		for _, e := range ends {
			if i, ok := l.From[e]; ok {
				topologies.CheckChange(p.doc, set, a.Change.Apply(i))
				break
			}
		}
	}
	return a
}

// switchHomeAgent sees that it is home agents that mobile nodes go from and to.
func (p *parser) switchHomeAgent(v *strict.Value) Action {
	a := &Switch{Node: p.node(v.Get("node")), Mobiles: p.nodes(v.Get("mobile"), mobile), To: p.nodes(v.Get("to"), "ha")}
	n := p.t.Node(a.Node)
	switch {
	case n == nil || a.To == nil:
		return nil // it has been told why
	case n.HomeAgent == nil:
		p.complain(v.Get("node"), "name a node with role ha", "%s has the role %s, and is no home agent", n.Name, n.Role)
	case slices.Contains(a.To, a.Node):
		p.complain(v.Get("to"), "name another home agent", "%s is to send mobile nodes to itself", a.Node)
	}
	return a
}

// revoke sees that who is to revoke serves whom it is done to.
func (p *parser) revoke(v *strict.Value) Action {
	a := &Revoke{Node: p.node(v.Get("node")), Mobiles: p.nodes(v.Get("mobile"), mobile), Trigger: strict.Or(v.Get("trigger"), "administrative")}
	n := p.t.Node(a.Node)
	switch {
	case n == nil:
		return nil // it has been told why
	case n.HomeAgent == nil && n.AAA == nil:
		p.complain(v.Get("node"), "name a node with role ha or aaa", "%s has the role %s: a home agent revokes, or an AAA server has one do so", n.Name, n.Role)
		return nil
	case n.AAA != nil && v.Get("trigger").Good():
		p.complain(v.Get("trigger"), "leave it out", "%s: an AAA server gives no trigger; the home agent's is administrative", v.Path)
	}
	return a
}

// subscription sees that an HSS has whom it is about.
func (p *parser) subscription(v *strict.Value) Action {
	a := &Subscription{Node: p.node(v.Get("node")), Mobiles: p.nodes(v.Get("mobile"), mobile), Do: strict.Or(v.Get("do"), "")}
	n := p.t.Node(a.Node)
	switch {
	case n == nil:
		return nil // it has been told why
	case n.HSS == nil:
		p.complain(v.Get("node"), "name a node with role hss", "%s has the role %s, and keeps no subscriptions", n.Name, n.Role)
		return nil
	}
	for _, name := range a.Mobiles {
		known := func(s topologies.Subscription) bool { return s.NAI == p.t.Node(name).MobileNode.NAI }
		if !slices.ContainsFunc(n.HSS.Subscriptions, known) {
			p.complain(v.Get("mobile"), "name a mobile node that it knows", "%s is no subscriber of %s", name, n.Name)
			return nil
		}
	}
	return a
}

func (p *parser) traffic(v *strict.Value) Action {
	name, ok := p.nameOf[v]
	if !ok {
		return nil
	}
	a := &Traffic{Name: name, Flows: p.flows[name], Kind: strict.Or(v.Get("kind"), "voice"), BothWays: strict.Or(v.Get("both-ways"), false), For: strict.Or(v.Get("for"), time.Duration(0))}
	rate, size := strict.Frequency(defaultVoiceRate), int64(defaultVoiceSize)
	switch a.Kind {
	case "request":
		rate, size = defaultRequestRate, defaultRequestSize
		if b := v.Get("both-ways"); b.Good() && a.BothWays {
			p.complain(b, "leave it out", "%s: requests are answered, so they go both ways", v.Path)
		}
	case "bulk":
		rate, size = 0, defaultBulkSize
	}
	a.Rate = float64(strict.Or(v.Get("rate"), rate))
	a.Size = int(strict.Or(v.Get("size"), size))
	a.Family = strict.Or(v.Get("family"), "")
	p.wayFor(v, a)
	return a
}

// wayFor complains where the nodes of traffic cannot speak with one another. All
// flows of it lead the same way.
func (p *parser) wayFor(v *strict.Value, a *Traffic) {
	if len(a.Flows) == 0 {
		return
	}
	f := a.Flows[0]
	if _, ok := p.t.PathOver(a.Family, f.From, f.To); !ok {
		at, by, hint := v, "", fmt.Sprintf("join them by links and routers of one family; where one is behind a NAT, let it begin: from: %s", f.To)
		if x := v.Get("family"); x != nil {
			at, by, hint = x, " by "+a.Family, "leave it out, or give the links between them, and the home agent of a mobile node, such prefixes"
		}
		p.complain(at, hint, "%s: no packet gets%s from %s to %s", v.Path, by, f.From, f.To)
	}
}

func (p *parser) stop(v *strict.Value) Action {
	node, traffic := v.Get("node"), v.Get("traffic")
	switch {
	case node != nil && traffic != nil:
		p.complain(traffic, "write two steps", "%s: stops a node or traffic, not both", v.Path)
		return nil
	case node == nil && traffic == nil:
		p.complain(v, "write stop: all, stop: {node: aaa} or stop: {traffic: voice}", "%s: nothing is stopped", v.Path)
		return nil
	case traffic != nil:
		if how := v.Get("how"); how != nil {
			p.complain(how, "leave it out", "%s: how: is for nodes", v.Path)
		}
		a := &StopTraffic{}
		for _, item := range traffic.Items() {
			a.Flows = append(a.Flows, p.flow(item)...)
		}
		return a
	}
	if items := node.Items(); len(items) == 1 && items[0].Text == "all" {
		p.ended = true
		return &Stop{All: true, How: "clean"}
	}
	// A lone word that is the name of traffic is meant as that.
	if items := node.Items(); len(items) == 1 && p.t.Members(items[0].Text) == nil && p.flows[items[0].Text] != nil {
		p.complain(items[0], fmt.Sprintf("write stop: {traffic: %s}", items[0].Text), "%q is traffic, not a node", items[0].Text)
		return nil
	}
	a := &Stop{Nodes: p.nodes(node), How: strict.Or(v.Get("how"), "clean")}
	for _, n := range a.Nodes {
		if slices.Contains(p.stopped, n) {
			p.complain(node, "", "%s has been stopped already", n)
			return a
		}
	}
	p.stopped = append(p.stopped, a.Nodes...)
	return a
}

// flow returns the names of the flows that v names: all of some traffic, or one.
func (p *parser) flow(v *strict.Value) []string {
	if !v.Good() {
		return nil
	}
	var names, out []string
	for name, flows := range p.flows {
		names = append(names, name)
		for _, f := range flows {
			if name == v.Text || f.Name == v.Text {
				out = append(out, f.Name)
			}
		}
		if name == v.Text && len(flows) == 0 {
			return nil // what is wrong with it has been told
		}
	}
	if out == nil {
		p.complain(v, strict.Suggest(v.Text, "traffic here", strict.Sorted(names)), "%q is not the name of traffic in this scenario", v.Text)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Flows returns the flows of a scenario whose name or whose traffic's name it
// is: voice is voice-ue1, voice-ue2 and so on, where there are many.
func (s *Scenario) Flows(name string) []Flow {
	var out []Flow
	for _, step := range s.Steps {
		if t, ok := step.Do.(*Traffic); ok {
			for _, f := range t.Flows {
				if name == "" || t.Name == name || f.Name == name {
					out = append(out, f)
				}
			}
		}
	}
	return out
}

// Ends returns the time of the step that stops all; 0: there is none, and the
// run ends when its last step has.
func (s *Scenario) Ends() time.Duration {
	for _, step := range s.Steps {
		if stop, ok := step.Do.(*Stop); ok && stop.All && !step.After {
			return step.At
		}
	}
	return 0
}

// String says when and what.
func (s Step) String() string {
	if s.After {
		return strings.TrimSpace("then " + s.Text)
	}
	return strict.Short(s.At) + " " + s.Text
}
