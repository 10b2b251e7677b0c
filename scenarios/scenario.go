// Package scenarios reads and checks scenario files: what happens in a lab, and
// what must hold.
//
// A Scenario that Parse returns is complete: its topology has been read, every
// name in it is known there, every default is chosen. The package plays nothing
// and judges nothing but single events (Pattern.Matches): that is for
// orchestrator/play.
package scenarios

import (
	"net/netip"
	"time"

	"s2clab/topologies"
)

// A Scenario is a story that a lab plays, and what is expected of it.
type Scenario struct {
	Name         string
	Description  string
	File         string
	TopologyFile string
	Topology     *topologies.Topology
	Choices      []topologies.Choice
	Overrides    []topologies.Override // that the topology was read with
	Seed         uint64                // every random choice of the run comes from it
	Steps        []Step                // in the order in which they happen; repeats are written out
	Expect       []Expectation         // in the file's order

	document []byte // the file with overrides in place, for Files
}

// A Step is one thing that is made to happen.
type Step struct {
	At    time.Duration // since the run began; with After, since the step before has ended
	After bool          // the time is counted from the end of the step before
	Line  int           // in the file
	Text  string        // as a person would say it: move ue, to wlan, gap 50ms
	Do    Action
}

// An Action is what a Step does: one of the types below.
type Action interface {
	Verb() string // as the file has it
}

// Attach joins mobile nodes to a link: its carrier comes up for them.
type Attach struct {
	Nodes []string
	Link  string
}

// Detach parts mobile nodes from links.
type Detach struct {
	Nodes []string
	Link  string // empty: from all
}

// Move takes mobile nodes from the links they are attached to, to another.
type Move struct {
	Nodes   []string
	To      string
	Gap     time.Duration // without any link in between
	Overlap time.Duration // on both links; one of the two is zero
}

// Link changes a link for some or all of its ends.
type Link struct {
	Link   string
	State  string            // up, down; empty: unchanged
	From   []string          // the ends that send the frames changed; nil: all
	Change topologies.Change // what becomes different
}

// Trace has mobile nodes drive by what a table says of their accesses.
type Trace struct {
	Nodes []string
	File  string // as the scenario names it
	Rows  []Row  // in the order of time
}

// Traffic starts flows of data.
type Traffic struct {
	Name     string
	Flows    []Flow  // one, or one for each of many like nodes
	Kind     string  // voice (datagrams at a rate), bulk (a TCP connection), request (one answered at a time)
	Rate     float64 // datagrams, writes of bulk or requests in a second, each way; 0: bulk, as fast as TCP goes
	Size     int     // octets of payload of each
	BothWays bool
	Family   string        // ipv4, ipv6; empty: ipv6 where both ends have it
	For      time.Duration // 0: until stopped
}

// A Flow is data between two nodes, or both ways between them.
type Flow struct{ Name, From, To string }

// Exec runs a command in nodes.
type Exec struct {
	Nodes      []string
	Command    []string
	Timeout    time.Duration
	Exit       int  // the status it must end with
	Background bool // the next step does not wait for it
}

// An Aim acts on the next messages that a Pattern matches.
type Aim struct {
	Kind    string // drop, hold, duplicate, replay
	Pattern Pattern
	Times   int           // on so many messages
	For     time.Duration // aimed for so long; 0: to the end
	By      time.Duration // hold: how long; duplicate: how much later the copy arrives
	Which   string        // replay: the first or the last one seen so far
	Into    string        // replay: the link it is sent into
}

// Stop ends node processes, or the whole run.
type Stop struct {
	Nodes []string
	All   bool
	How   string // clean: it is asked to end; kill: it is not
}

// StopTraffic ends flows.
type StopTraffic struct{ Flows []string }

// Start starts node processes that were stopped.
type Start struct{ Nodes []string }

// Restart ends node processes and starts them again.
type Restart struct {
	Nodes []string
	Gap   time.Duration // between the two
	How   string        // as for Stop
}

// Deregister has mobile nodes end their bindings and make no other.
type Deregister struct{ Nodes []string }

// Register has mobile nodes that were de-registered register again.
type Register struct{ Nodes []string }

// Revoke takes the bindings of mobile nodes away.
type Revoke struct {
	Node    string // a home agent or an AAA server
	Mobiles []string
	Trigger string // of a home agent: RFC 5846, section 5.1, in kebab-case
}

// Subscription changes the subscriptions of mobile nodes at their HSS.
type Subscription struct {
	Node    string // an HSS
	Mobiles []string
	Do      string // bar, allow, remove
}

// Switch has mobile nodes go from one home agent to another.
type Switch struct {
	Node    string
	Mobiles []string
	To      []string // home agents, in the order in which they are to be tried
}

// Wait lets the next step wait until an event has happened.
type Wait struct {
	For     Pattern
	Timeout time.Duration // then the run has failed
}

// Note says something to those who watch.
type Note struct{ Text string }

// Flood sends garbage at a protocol of a node.
type Flood struct {
	From     string
	To       string
	Protocol string  // mh, diameter, icmp6
	Rate     float64 // packets in a second
	Size     int     // octets at most
	For      time.Duration
}

// MoveFlow lets a flow of mobile nodes prefer another of their accesses.
type MoveFlow struct {
	Nodes []string
	Name  string // of the flow, in the topology
	To    string // link
}

// NAT makes NATs lose their mappings.
type NAT struct {
	Nodes []string
	Do    string // forget; renumber: the next ones have other ports
}

// Lie has BSFs tell mobile nodes a lie from now on.
type Lie struct {
	Nodes []string
	About string // truth: none
}

// Look has nodes say what they hold.
type Look struct{ Nodes []string }

func (*Trace) Verb() string        { return "trace" }
func (*Attach) Verb() string       { return "attach" }
func (*Detach) Verb() string       { return "detach" }
func (*Move) Verb() string         { return "move" }
func (*Link) Verb() string         { return "link" }
func (*Traffic) Verb() string      { return "traffic" }
func (*Exec) Verb() string         { return "exec" }
func (a *Aim) Verb() string        { return a.Kind }
func (*Stop) Verb() string         { return "stop" }
func (*StopTraffic) Verb() string  { return "stop" }
func (*Start) Verb() string        { return "start" }
func (*Restart) Verb() string      { return "restart" }
func (*Deregister) Verb() string   { return "deregister" }
func (*Register) Verb() string     { return "register" }
func (*Revoke) Verb() string       { return "revoke" }
func (*Subscription) Verb() string { return "subscription" }
func (*Switch) Verb() string       { return "switch" }
func (*Wait) Verb() string         { return "wait" }
func (*Note) Verb() string         { return "note" }
func (*Flood) Verb() string        { return "flood" }
func (*NAT) Verb() string          { return "nat" }
func (*Lie) Verb() string          { return "lie" }
func (*Look) Verb() string         { return "look" }
func (*MoveFlow) Verb() string     { return "flow" }

// An Expectation is something that must hold of the journal.
type Expectation struct {
	Line int
	Text string // as a person would say it: saw binding-update, node pgw, flags [A, H]
	Note string // why, in the file's words; may be empty
	Kind string // saw, never, count, order, measure

	Pattern Pattern   // of saw, never and count
	Order   []Pattern // of order: the first event matches the first, a later one the second, and so on

	After  time.Duration // only what happens then or later
	Within time.Duration // and so long after that; 0: to the end

	Measure Measure // of measure
	Bounds  Bounds  // of count and measure
}

// A Measure is a number that the analysis of a journal gives. Where several
// things are meant (several nodes, flows or handovers), each must hold.
type Measure struct {
	Name       string
	Unit       string   // seconds, share, count, bit/s
	Nodes      []string // nil: all
	Flow       string   // empty: all
	Handover   int      // from 1; 0: each
	Percentile float64  // 0: each value must hold
}

// Bounds are what a number must lie in, both ends included, in the unit of its
// Measure.
type Bounds struct{ Least, Most *float64 }

// Hold says whether x lies within the bounds.
func (b Bounds) Hold(x float64) bool {
	const grain = 1e-9 // of a count of seconds that was made of nanoseconds
	return (b.Least == nil || x >= *b.Least-grain) && (b.Most == nil || x <= *b.Most+grain)
}

// A Pattern matches events or messages by name, place and fields.
type Pattern struct {
	Name    string
	Message bool     // it names a message: its events are called packet
	Nodes   []string // where; of a message, an end of the link it crosses; nil: anywhere
	Fields  []Match
}

// A Match says what a field of an event must hold. Exactly one of its ways is
// set.
type Match struct {
	Field    string
	Text     *string        // it is this text, or this is one of its texts
	Texts    []string       // it is a list that has all of these
	Number   *float64       // it is this number; times are in seconds
	Bool     *bool          //
	Range    *Bounds        // it is a number in here
	Prefixes []netip.Prefix // it is an address in one of these
}
