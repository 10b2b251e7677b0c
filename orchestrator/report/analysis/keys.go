package analysis

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"s2clab/orchestrator/journal"
)

// A Key is one that nodes told of: a row of the trees of keys.
type Key struct {
	NAI    string
	Name   string
	Print  string // fingerprint; empty: nobody told
	Octets int    // 0: nobody told

	Told     bool          // false: others are made of it, and that is all that is known
	Made     time.Duration // when the first told of it; of one that nobody told of, when another was made of it
	How      string        // the derivation as a formula, or where it came from
	Of       []Parent
	Lifetime time.Duration // from Made; 0: not limited by itself
	Value    string        // hexadecimal; empty: not shown in this run
	Holders  []Holder      // in the order of the topology

	Depth int // in the tree: 0 is a root
}

// A Parent is a key that another is made of.
type Parent struct{ Name, Print string }

// A Holder is a node that told of a key.
type Holder struct {
	Node string
	At   time.Duration
	How  string // it came by it
}

// Bounds on what a journal may make of trees: runs have some keys a subscriber.
const (
	mostKeys    = 10_000
	mostParents = 8    // of one key
	mostAbove   = 1000 // keys that one can hang below
	mostDepth   = 32   // of a row; what lies deeper is shown there
)

// A keyNode is a Key on its way into a tree.
type keyNode struct {
	Key
	parent   *keyNode
	children []*keyNode
	holders  map[string]bool
}

// A keyID is what tells keys apart.
type keyID struct{ nai, name, print string }

// A forest is the keys of a run.
type forest struct {
	known map[keyID]*keyNode
	first map[keyID]*keyNode // that was told of with a fingerprint, under whatever name
	all   []*keyNode         // in the order in which they were told
}

// readKeys reads which keys there were, what they were made of and who had them.
func (r *reading) readKeys() {
	f := &forest{known: map[keyID]*keyNode{}, first: map[keyID]*keyNode{}}
	for _, e := range r.events {
		if e.Name == "key-made" && !f.tell(e) {
			r.note("more than %d keys were made: what was told of the others is left out", mostKeys)
		}
	}
	f.grow()
	place := map[string]int{}
	for i, name := range r.net.order {
		place[name] = i + 1
	}
	r.Keys = f.rows(func(node string) int { return cmp.Or(place[node], len(place)+1) })
}

// tell takes in what an event says of a key. False: there are too many.
func (f *forest) tell(e journal.Event) bool {
	in := fields(e.Fields)
	id := keyID{in.text("nai"), in.text("key"), in.text("print")}
	if id.name == "" {
		return true
	}
	k := f.known[id]
	if k == nil {
		if len(f.all) >= mostKeys {
			return false
		}
		k = f.add(id)
		k.Told, k.Made, k.holders = true, e.At, map[string]bool{}
		if same := (keyID{nai: id.nai, print: id.print}); f.first[same] == nil {
			f.first[same] = k
		}
	}
	how := in.text("how")
	if node := NodeOf(e); !k.holders[node] {
		k.holders[node] = true
		k.Holders = append(k.Holders, Holder{node, e.At, how})
	}
	k.Octets = max(k.Octets, in.count("octets"))
	k.Value = cmp.Or(k.Value, in.text("value"))
	if l, ok := in.seconds("lifetime"); ok && l > 0 && k.Lifetime == 0 {
		k.Lifetime = l
	}
	// Who was given a key says from whom; who made it says of what, which tells more.
	of, prints := in.texts("of"), in.texts("of-prints")
	if k.How == "" || len(k.Of) == 0 && len(of) > 0 {
		k.How = cmp.Or(how, k.How)
	}
	if len(k.Of) == 0 {
		for i, name := range of[:min(len(of), mostParents)] {
			p := Parent{Name: name}
			if i < len(prints) {
				p.Print = prints[i]
			}
			k.Of = append(k.Of, p)
		}
	}
	return true
}

func (f *forest) add(id keyID) *keyNode {
	k := &keyNode{Key: Key{NAI: id.nai, Name: id.name, Print: id.print}}
	f.known[id] = k
	f.all = append(f.all, k)
	return k
}

// grow hangs each key under one that it is made of: the first that was told of. A
// key that nobody told of stands there by its name. No key comes to hang below
// itself, whatever was told.
func (f *forest) grow() {
	for _, k := range slices.Clone(f.all) {
		if len(k.Of) == 0 {
			continue
		}
		parent := f.toldParent(k)
		if id := (keyID{k.NAI, k.Of[0].Name, k.Of[0].Print}); parent == nil {
			if parent = f.known[id]; parent == nil {
				parent = f.add(id)
				parent.Made = k.Made
			} else if parent.below(k) {
				continue
			}
		}
		k.parent = parent
		parent.children = append(parent.children, k)
	}
}

// toldParent gives the first key that k is made of, by its fingerprint, and that
// somebody told of; nil: there is none that k could hang under.
func (f *forest) toldParent(k *keyNode) *keyNode {
	for _, p := range k.Of {
		if p.Print == "" {
			continue
		}
		for _, c := range []*keyNode{f.known[keyID{k.NAI, p.Name, p.Print}], f.first[keyID{nai: k.NAI, print: p.Print}]} {
			if c != nil && c.Told && !c.below(k) {
				return c
			}
		}
	}
	return nil
}

// below says whether k is top, or hangs below it; true also where more is above k
// than makes sense.
func (k *keyNode) below(top *keyNode) bool {
	for n := 0; k != nil; k = k.parent {
		if n++; k == top || n > mostAbove {
			return true
		}
	}
	return false
}

// rows gives the trees as rows, each key before those that are made of it, by NAI
// and then in the order in which they were made.
func (f *forest) rows(place func(node string) int) []Key {
	order := func(a, b *keyNode) int {
		return cmp.Or(strings.Compare(a.NAI, b.NAI), cmp.Compare(a.Made, b.Made), strings.Compare(a.Name, b.Name), strings.Compare(a.Print, b.Print))
	}
	var roots []*keyNode
	for _, k := range f.all {
		if k.parent == nil {
			roots = append(roots, k)
		}
		slices.SortStableFunc(k.children, order)
		slices.SortStableFunc(k.Holders, func(a, b Holder) int {
			return cmp.Or(cmp.Compare(place(a.Node), place(b.Node)), strings.Compare(a.Node, b.Node))
		})
	}
	slices.SortStableFunc(roots, order)
	type step struct {
		*keyNode
		depth int
	}
	var open []step
	for _, k := range slices.Backward(roots) {
		open = append(open, step{k, 0})
	}
	var rows []Key
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		at.Depth = min(at.depth, mostDepth)
		rows = append(rows, at.Key)
		for _, k := range slices.Backward(at.children) {
			open = append(open, step{k, at.depth + 1})
		}
	}
	return rows
}
