package scenarios

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"s2clab/topologies"
	"s2clab/topologies/strict"
)

const namePattern = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`

var nameShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(namePattern) })

func parseName(text string) (any, error) {
	if !nameShape().MatchString(text) {
		return nil, &strict.Trouble{What: fmt.Sprintf("%q cannot be a name", text), Hint: "names are of small letters, digits and hyphens, 63 of them at most, such as handover-home"}
	}
	return text, nil
}

func flowName() *strict.Scalar {
	return &strict.Scalar{Name: "a name of traffic", JSON: "string", Pattern: namePattern, Examples: []string{"voice"}, Parse: parseName}
}

// Parse reads a scenario and the topology that it names. All that is wrong with
// either is told at once, as topologies.Problems. Overrides are of the scenario
// where their path begins with one of its keys, and of the topology else.
func Parse(file string, data []byte, overrides ...topologies.Override) (*Scenario, error) {
	doc, rest := open(file, data, overrides)
	if doc.Failed() && !doc.Readable() {
		return nil, doc.Err()
	}
	p := &parser{doc: doc, changes: topologies.NewChangeReader(doc, readLong), s: &Scenario{File: file}, flows: map[string][]Flow{}, attached: map[string][]string{}, driven: map[string]*driven{}}
	root := doc.Read(format())
	p.s.Name = strict.Or(root.Get("scenario"), "")
	p.s.Description = strings.TrimSpace(strict.Or(root.Get("description"), ""))
	p.s.Seed = uint64(strict.Or(root.Get("seed"), int64(defaultSeed)))
	if p.topology(root, rest) {
		p.t = p.s.Topology
		p.collectFlows(root.Get("steps").Items())
		p.steps(root.Get("steps"))
		p.expectations(root.Get("expect"))
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	encoded, err := doc.Encode()
	if err != nil {
		return nil, err
	}
	p.s.document = encoded
	return p.s, nil
}

// keys are the top level's keys, by which overrides are told apart.
func keys() []string {
	return format().Keys()
}

func open(file string, data []byte, overrides []topologies.Override) (doc *strict.Document, rest []topologies.Override) {
	doc = strict.Open(file, data)
	if have := doc.Keys(); slices.Contains(have, "nodes") && !slices.Contains(have, "steps") {
		doc = &strict.Document{File: file}
		doc.Complain(nil, "a scenario names it: topology: "+filepath.Base(file), "is a topology, not a scenario")
		return doc, nil
	}
	if have := doc.Keys(); len(have) > 0 && !slices.ContainsFunc(have, func(k string) bool { return slices.Contains(keys(), k) }) {
		doc = &strict.Document{File: file}
		doc.Complain(nil, "a scenario has the keys "+strings.Join(keys(), ", "), "is not a scenario: it has the keys %.80s", strings.Join(have[:min(len(have), 5)], ", "))
		return doc, nil
	}
	for _, o := range overrides {
		first, _, _ := strings.Cut(o.Path, ".")
		if slices.Contains(keys(), first) {
			doc.Override(format(), o)
		} else {
			rest = append(rest, o)
		}
	}
	return doc, rest
}

// A parser makes a Scenario of what was read.
type parser struct {
	doc     *strict.Document
	changes *topologies.ChangeReader
	s       *Scenario
	t       *topologies.Topology

	flows    map[string][]Flow        // by the name of their traffic
	attached map[string][]string      // by node: the links it is attached to, as the steps go
	driven   map[string]*driven       // by node: the trace it follows, as the steps go
	stopped  []string                 // nodes that are not running, as the steps go
	ended    bool                     // a step has stopped all
	nameOf   map[*strict.Value]string // of traffic, by its step
}

func (p *parser) complain(v *strict.Value, hint, format string, args ...any) {
	p.doc.Complain(v, hint, format, args...)
}

// topology reads the topology, with the overrides of the scenario and then
// those of the command line. It returns whether there is one to check against.
func (p *parser) topology(root *strict.Value, rest []topologies.Override) bool {
	v := root.Get("topology")
	if !v.Good() {
		return false
	}
	name := strict.Or(v, "")
	if !strings.ContainsAny(name, "/.") {
		file, err := topologies.FindShipped(name)
		if err != nil {
			p.complain(v, strict.Suggest(name, "shipped topologies", topologies.Shipped())+"; a file is named with its ending: "+name+".yaml", "%q is not a shipped topology", name)
			return false
		}
		return p.read(v, root, file, rest)
	}
	file := besides(p.s.File, name)
	if _, err := topologies.Find(file); err != nil {
		p.complain(v, "the name is relative to "+p.s.File+"; shipped topologies have a name alone: "+strings.Join(topologies.Shipped(), ", "), "topology: there is no file %s", file)
		return false
	}
	return p.read(v, root, file, rest)
}

// read reads the topology in a file that v has named.
func (p *parser) read(v, root *strict.Value, file string, rest []topologies.Override) bool {
	set := root.Get("set")
	for _, key := range set.Keys() {
		value := set.Get(key.Text)
		p.s.Overrides = append(p.s.Overrides, topologies.Override{Path: key.Text, Value: value.Text,
			From: strict.Origin{File: p.s.File, Line: key.Line, Column: key.Column}})
	}
	p.s.Overrides = append(p.s.Overrides, rest...)
	data, err := topologies.ReadFile(file)
	if err == nil {
		p.s.Topology, p.s.Choices, err = topologies.Parse(file, data, p.s.Overrides...)
	}
	p.s.TopologyFile = file
	if err == nil {
		return true
	}
	if ps, ok := strict.As(err); ok {
		p.doc.Add(ps...)
	} else {
		p.complain(v, "", "topology: %v", err)
	}
	return false
}

// names returns what a person may call nodes: those of role ("": any), and
// groups of them.
func (p *parser) names(role ...string) []string {
	var out []string
	grouped := map[string]bool{}
	for name, members := range p.t.Groups {
		if n := p.t.Node(members[0]); n != nil && allowed(n.Role, role) {
			out = append(out, name)
		}
		for _, m := range members {
			grouped[m] = true
		}
	}
	for _, n := range p.t.Nodes {
		if allowed(n.Role, role) && !grouped[n.Name] {
			out = append(out, n.Name)
		}
	}
	return strict.Sorted(out)
}

func allowed(role string, roles []string) bool {
	return len(roles) == 0 || slices.Contains(roles, role)
}

// nodes returns the nodes that v names, which must be of one of the roles.
func (p *parser) nodes(v *strict.Value, roles ...string) []string {
	if v == nil {
		return nil
	}
	items := v.Items()
	if items == nil {
		items = []*strict.Value{v}
	}
	var out []string
	for _, item := range items {
		if !item.Good() {
			continue
		}
		members := p.t.Members(item.Text)
		switch {
		case members == nil:
			p.complain(item, strict.Suggest(item.Text, p.kindOfNodes(roles), p.names(roles...)), "%q is not a node of topology %s", item.Text, p.t.Name)
			continue
		case !allowed(p.t.Node(members[0]).Role, roles):
			p.complain(item, strict.Suggest("", p.kindOfNodes(roles), p.names(roles...)), "%q has the role %s; want %s", item.Text, p.t.Node(members[0]).Role, strings.Join(roles, " or "))
			continue
		}
		for _, m := range members {
			if !slices.Contains(out, m) {
				out = append(out, m)
			}
		}
	}
	return out
}

func (p *parser) kindOfNodes(roles []string) string {
	if len(roles) == 0 {
		return "nodes there"
	}
	return "nodes there with role " + strings.Join(roles, " or ")
}

// node returns the one node that v names, or "".
func (p *parser) node(v *strict.Value, roles ...string) string {
	all := p.nodes(v, roles...)
	if len(all) > 1 {
		p.complain(v, "name one of them, such as "+all[0], "%q is %d nodes; want one", v.Text, len(all))
		return ""
	}
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

// link returns the link that v names, or nil.
func (p *parser) link(v *strict.Value) *topologies.Link {
	if !v.Good() {
		return nil
	}
	l := p.t.Link(v.Text)
	if l == nil {
		var all []string
		for _, l := range p.t.Links {
			all = append(all, l.Name)
		}
		p.complain(v, strict.Suggest(v.Text, "links there", all), "%q is not a link of topology %s", v.Text, p.t.Name)
	}
	return l
}

// linksOf are the links that a node is on.
func (p *parser) linksOf(node string) []string {
	var out []string
	for _, in := range p.t.Node(node).Interfaces {
		out = append(out, in.Link)
	}
	return out
}

// ends sees that nodes are on a link.
func (p *parser) ends(v *strict.Value, nodes []string, l *topologies.Link) bool {
	if l == nil {
		return false
	}
	for _, n := range nodes {
		if !slices.Contains(l.Ends, n) {
			p.complain(v, fmt.Sprintf("links of %s: %s", n, strings.Join(p.linksOf(n), ", ")), "%s is not on link %q", n, l.Name)
			return false
		}
	}
	return true
}

// text says what v has as a person would: move ue, to wlan, gap 50ms.
func text(verb string, v *strict.Value) string {
	parts := []string{verb}
	for i, key := range v.Keys() {
		value := v.Get(key.Text).Source()
		switch {
		case i == 0 && slices.Contains([]string{"node", "name", "message", "for"}, key.Text):
			parts[0] += " " + value
		case i == 0:
			parts[0] += " " + key.Text + " " + value
		default:
			parts = append(parts, key.Text+" "+value)
		}
	}
	if len(v.Keys()) == 0 {
		parts[0] += " " + v.Source()
	}
	return strings.Join(parts, ", ")
}
