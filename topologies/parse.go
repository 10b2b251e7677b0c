package topologies

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"s2clab/topologies/strict"
)

// ErrInvalid is what every error about a file's contents unwraps to.
var ErrInvalid = strict.ErrInvalid

// A Problem is one thing wrong with a user's file. It unwraps to ErrInvalid.
type Problem = strict.Problem

// Problems is all that is wrong with a file, in the file's order.
type Problems = strict.Problems

// An Override gives the value at a path of the file another value before it is
// read: links.wlan.delay, 50ms.
type Override = strict.Override

// ParseOverride reads PATH=VALUE as a command line has it.
func ParseOverride(text string) (Override, error) { return strict.ParseOverride(text) }

// A Choice is what was decided where the file left something out.
type Choice struct {
	Line  int    // of the node or link in the file
	Path  string // where it could have been written: links.lte.prefix
	Value string
	Why   string // may be empty: it is the default
}

func (c Choice) String() string {
	if c.Why == "" {
		return fmt.Sprintf("%s: %s", c.Path, c.Value)
	}
	return fmt.Sprintf("%s: %s (%s)", c.Path, c.Value, c.Why)
}

// Parse reads a topology. All that is wrong with it is told at once, as
// Problems. A file of subscribers that it names is read too, relative to file.
func Parse(file string, data []byte, overrides ...Override) (*Topology, []Choice, error) {
	doc := open(file, data, overrides)
	if doc.Failed() && !doc.Readable() {
		return nil, nil, doc.Err()
	}
	r := &resolver{doc: doc, changes: NewChangeReader(doc, readLong), file: file, t: &Topology{Groups: map[string][]string{}}, nodes: map[string]*draft{}, devices: map[string]string{}, full: map[string]bool{}, named: map[string][]string{}}
	r.resolve(doc.Read(format()))
	if err := doc.Err(); err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(r.choices, func(a, b Choice) int { return cmp.Compare(a.Line, b.Line) })
	return r.t, r.choices, nil
}

// Set returns the file with the overrides written into it.
func Set(file string, data []byte, overrides ...Override) ([]byte, error) {
	doc := open(file, data, overrides)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return doc.Encode()
}

func open(file string, data []byte, overrides []Override) *strict.Document {
	doc := strict.Open(file, data)
	keys := doc.Keys()
	if slices.Contains(keys, "scenario") && !slices.Contains(keys, "nodes") {
		return wrongKind(file, "is a scenario, not a topology", "give it where a scenario is asked for; the topology it names is the file to give here")
	}
	if slices.Contains(keys, "subscribers") && !slices.Contains(keys, "nodes") {
		return wrongKind(file, "is a list of subscribers, not a topology", "a topology names it: nodes: {aaa: {role: aaa, subscribers: "+filepath.Base(file)+"}}")
	}
	if known := format().Keys(); len(keys) > 0 && !slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(known, k) }) {
		return wrongKind(file, fmt.Sprintf("is not a topology: it has the keys %.80s", list(keys[:min(len(keys), 5)])), "a topology has the keys "+list(known))
	}
	for _, o := range overrides {
		doc.Override(format(), o)
	}
	return doc
}

func wrongKind(file, what, hint string) *strict.Document {
	doc := &strict.Document{File: file}
	doc.Complain(nil, hint, "%s", what)
	return doc
}

// A draft is a node on its way to a Node.
type draft struct {
	node  *Node
	value *strict.Value
	index int // among those of its group, from 0
	vague bool
}

// A resolver makes a Topology of what was read.
type resolver struct {
	doc     *strict.Document
	changes *ChangeReader
	file    string
	t       *Topology
	choices []Choice

	secured *strict.Value // the key security; nil: there is none

	lost    []string // names of nodes that cannot be, which has been told
	partial bool     // not all links could be read
	realms  *Realms  // which links see each other
	order   []*draft
	nodes   map[string]*draft
	links   []*linkDraft
	devices map[string]string   // device names by link
	full    map[string]bool     // home agents whose pool of IPv4 home addresses is, which has been told
	named   map[string][]string // names, made by the method of that name
	derived map[string]bool     // subscribers, by NAI, whose MN-AAA key was made
}

type linkDraft struct {
	link  *Link
	value *strict.Value
	given [2]*strict.Value // prefixes by hand, by family
	agent *draft           // whose home link it is
	bad   bool             // its ends are not all known
}

func (r *resolver) complain(v *strict.Value, hint, format string, args ...any) {
	r.doc.Complain(v, hint, format, args...)
}

func (r *resolver) choose(line int, path string, value any, why string) {
	r.choices = append(r.choices, Choice{line, path, fmt.Sprint(value), why})
}

// choice returns the value at key of v, or the default, which it notes.
func choice[T any](r *resolver, line int, v *strict.Value, path, key string, def T) T {
	if x := v.Get(key); x != nil {
		return strict.Or(x, def)
	}
	r.choose(line, path+"."+key, show(def), "")
	return def
}

func show(x any) any {
	if d, ok := x.(time.Duration); ok {
		return strict.Short(d)
	}
	return x
}

func (r *resolver) resolve(root *strict.Value) {
	r.t.Name = strict.Or(root.Get("topology"), "")
	r.t.Description = strings.TrimSpace(strict.Or(root.Get("description"), ""))
	r.secured = root.Get("security")
	r.security(r.secured)
	if nodes, links := root.Get("nodes"), root.Get("links"); nodes != nil && links != nil {
		r.lost, r.partial = nodes.Lost, links.Lost != nil
	}
	r.readNodes(root.Get("nodes"))
	r.readLinks(root.Get("links"))
	r.nats()
	r.homeAgents()
	r.homeLinks()
	r.prefixes()
	r.interfaces()
	// What follows looks at the whole, which must be sound for it.
	if root.Get("nodes") == nil || root.Get("links") == nil || r.doc.Failed() && r.broken() {
		return
	}
	r.finish()
	r.linkless()
	r.checkBeside()
	r.mobiles()
	r.optimizers()
	r.accessAuth()
	r.servers()
	r.translators()
	r.apns()
	r.accesses()
	r.advertised()
	r.authorities()
	r.homeServers()
	r.relays()
	r.asked()
	r.bootstrappers()
	r.identities()
	r.subscriberLists()
	r.homeAddresses()
	r.homeAccesses()
	r.discovery()
	r.registration()
	r.nameServers()
	r.routes()
	r.reachable()
	r.keys()
	r.secrets()
	r.subscriptions()
	r.finish()
}

// broken says whether names or ends are wrong, so that to look for paths would
// tell the same mistake again.
func (r *resolver) broken() bool {
	for _, l := range r.links {
		if l.bad {
			return true
		}
	}
	for _, d := range r.order {
		if d.vague {
			return true
		}
	}
	return false
}

// finish copies the drafts into the topology.
func (r *resolver) finish() {
	r.t.Nodes, r.t.Links = r.t.Nodes[:0], r.t.Links[:0]
	for _, d := range r.order {
		r.t.Nodes = append(r.t.Nodes, *d.node)
	}
	for _, l := range r.links {
		r.t.Links = append(r.t.Links, *l.link)
	}
}

func (r *resolver) security(v *strict.Value) {
	line := 1
	if v != nil {
		line = v.Line
	}
	r.t.Security = Security{
		Integrity: choice(r, line, v, "security", "integrity", "auth-options"),
		Replay:    choice(r, line, v, "security", "replay", "timestamp"),
		Bootstrap: choice(r, line, v, "security", "bootstrap", "mip-options"),
		Profile:   choice(r, line, v, "security", "profile", "3gpp"),
	}
	r.bootstrapping(line, v)
}

// names returns the names of nodes that role allows ("": any), groups once.
func (r *resolver) names(role string) []string {
	if known, ok := r.named[role]; ok {
		return known
	}
	var out []string
	seen := map[string]bool{}
	for _, d := range r.order {
		name := r.written(d)
		if (role == "" || d.node.Role == role) && !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	r.named[role] = strict.Sorted(out)
	return r.named[role]
}

func (r *resolver) groupOf(d *draft) string {
	for name, members := range r.t.Groups {
		if slices.Contains(members, d.node.Name) {
			return name
		}
	}
	return ""
}

func (r *resolver) readNodes(v *strict.Value) {
	for _, key := range v.Keys() {
		value := v.Get(key.Text)
		role, count := strict.Or(value.Get("role"), ""), int(strict.Or(value.Get("count"), int64(1)))
		names := []string{key.Text}
		if value.Get("count") != nil {
			names = names[:0]
			for i := range count {
				names = append(names, fmt.Sprintf("%s%d", key.Text, i+1))
			}
			r.t.Groups[key.Text] = names
		}
		if len(r.order)+len(names) > maxNodes {
			r.complain(key, "larger labs are runs side by side", "node %q makes more than %d nodes", key.Text, maxNodes)
			for _, d := range r.order {
				d.vague = true
			}
			return
		}
		for i, name := range names {
			d := &draft{value: value, index: i, vague: role == "", node: &Node{Name: name, Role: role, Line: key.Line,
				Clock: strict.Or(value.Get("clock-offset"), time.Duration(0))}}
			if other := r.nodes[name]; other != nil {
				r.complain(key, "give one of them another name", "node %q is also one of the nodes that the count of line %d makes", name, min(other.node.Line, key.Line))
				continue
			}
			if len(name) > 63 {
				r.complain(key, "shorten it", "the name %q has more than the 63 letters of a host name", name)
				continue
			}
			r.nodes[name] = d
			r.order = append(r.order, d)
		}
	}
	for name := range r.t.Groups {
		if other := r.nodes[name]; other != nil && v.Key(name) != nil && other.value != v.Get(name) {
			r.complain(v.Key(name), "give one of them another name", "node %q is also one of the nodes that the count of line %d makes", name, other.node.Line)
		}
	}
}

// members returns the nodes that name stands for: one, or those of a group.
func (r *resolver) members(name string) []*draft {
	if d := r.nodes[name]; d != nil {
		return []*draft{d}
	}
	var out []*draft
	for _, n := range r.t.Groups[name] {
		if d := r.nodes[n]; d != nil {
			out = append(out, d)
		}
	}
	return out
}

// subscribersFrom reads the file of subscribers that v names.
func (r *resolver) subscribersFrom(v *strict.Value) []*strict.Value {
	name := beside(r.file, v.Text)
	data, err := ReadFile(name)
	if err != nil {
		r.complain(v, "the name is relative to "+r.file, "%s: %s", v.Path, whyNot(name, err))
		return nil
	}
	doc := strict.Open(name, data)
	list := doc.Read(subscribersFormat())
	if err := doc.Err(); err != nil {
		ps, _ := strict.As(err)
		r.doc.Add(ps...)
		return nil
	}
	return list.Get("subscribers").Items()
}
