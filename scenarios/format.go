package scenarios

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// What a scenario may leave out.
const (
	defaultSeed        = 1
	defaultVoiceRate   = 50 // a packet every 20 ms
	defaultVoiceSize   = 172
	defaultRequestRate = 10
	defaultRequestSize = 100
	defaultBulkSize    = 1200
	defaultWait        = 10 * time.Second
	defaultExec        = 30 * time.Second
	defaultHold        = 500 * time.Millisecond
	defaultRestart     = time.Second
	defaultFloodSize   = 200
	maxSteps           = 10000
	maxTime            = 24 * time.Hour
)

// lies are what a BSF may be told to say: nodes/session/ub has them.
var lies = []string{"truth", "mac", "replay", "rspauth", "b-tid", "lifetime", "content-type", "body"}

// verbs are the keys of a step that say what it does.
var verbs = []string{"attach", "detach", "move", "trace", "link", "traffic", "stop", "start", "restart", "deregister", "register", "revoke", "subscription", "switch", "exec", "wait", "drop", "hold", "duplicate", "replay", "flood", "nat", "lie", "flow", "look", "note", "repeat"}

// format is the table of all that a scenario file may hold. Reading, the schema
// and the reference page come from it.
var format = sync.OnceValue(func() *strict.Shape {
	span := func() *strict.Shape { return strict.Of(strict.Duration(0, maxTime)) }
	name := func(what, example string) *strict.Shape {
		return strict.Of(&strict.Scalar{Name: what, JSON: "string", Examples: []string{example}})
	}
	nodes := func() *strict.Shape {
		return &strict.Shape{Name: "a node or a list of nodes", Items: name("a node", "ue"), Single: true, Least: 1}
	}
	how := strict.Of(strict.Words("a way to stop", "clean", "kill"))
	patternFields := func(except ...string) []strict.Field {
		var out []strict.Field
		for _, f := range fields() {
			skip := f.name == "node"
			for _, e := range except {
				skip = skip || f.name == e
			}
			if !skip {
				out = append(out, strict.Field{Key: f.name, Shape: fieldShape(f.kind), Doc: "Field: " + f.doc + "."})
			}
		}
		return out
	}
	pattern := func(key, doc string, events bool) []strict.Field {
		return append([]strict.Field{
			{Key: key, Required: true, Shape: name("a message", "binding-update"), Doc: doc},
			{Key: "node", Shape: nodes(), Doc: "Where: the node it happens in; of a message, an end of the link it crosses. Left out: anywhere."},
		}, patternFields(key)...)
	}
	aim := func(ref string, extra ...strict.Field) *strict.Shape {
		own := append([]strict.Field{
			{Key: "times", Shape: strict.Of(strict.Integer("a number of messages", 1, 1_000_000)), Doc: "How many messages. Left out: 1, the next one."},
			{Key: "for", Shape: span(), Doc: "How long it is aimed at them. Left out: to the end."},
		}, extra...)
		return &strict.Shape{Ref: ref, Name: "what to " + ref, Short: "message", Fields: append(pattern("message", "The message, by name: binding-update, binding-acknowledgement and so on.", false), own...)}
	}

	step := &strict.Shape{Ref: "step", Name: "a step", Example: "{at: 5s, move: {node: ue, to: wlan}}", OneOf: verbs}
	step.Fields = []strict.Field{
		{Key: "at", Shape: span(), Doc: "When, since the run began; in a repeat, since its round began. Left out: when the step before has ended."},
		{Key: "after", Shape: strict.Of(&strict.Scalar{Name: "previous, or a duration", JSON: "string", Pattern: `^(previous|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`, Examples: []string{"previous"},
			Parse: func(text string) (any, error) {
				if text == "previous" {
					return time.Duration(0), nil
				}
				d, err := strict.Duration(0, maxTime).Parse(text)
				if err != nil && strings.Trim(text, "0123456789.") == text {
					return nil, &strict.Trouble{What: fmt.Sprintf("%q is neither the word previous nor a duration", text), Hint: "write after: previous, or after: 500ms"}
				}
				return d, err
			}}), Doc: "In place of at: previous, when the step before has ended, or so long after that."},

		{Key: "attach", Shape: &strict.Shape{Name: "a node and a link", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: nodes(), Doc: "The mobile node or nodes."},
			{Key: "link", Required: true, Shape: name("a link", "wlan"), Doc: "The link."},
		}}, Doc: "Joins a mobile node to a link: it sees a carrier there."},
		{Key: "detach", Shape: &strict.Shape{Name: "a node and a link", Short: "node", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: nodes(), Doc: "The mobile node or nodes."},
			{Key: "link", Shape: name("a link", "wlan"), Doc: "The link. Left out: every link it is attached to."},
		}}, Doc: "Parts a mobile node from a link: it loses the carrier there."},
		{Key: "move", Shape: &strict.Shape{Name: "a node and where it goes", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: nodes(), Doc: "The mobile node or nodes."},
			{Key: "to", Required: true, Shape: name("a link", "wlan"), Doc: "The link it goes to."},
			{Key: "gap", Shape: span(), Doc: "How long it has no link in between. Left out: no time."},
			{Key: "overlap", Shape: span(), Doc: "How long it has both links: make before break."},
		}}, Doc: "Hands a mobile node over: it leaves the links it is attached to, and joins another."},
		{Key: "trace", Shape: &strict.Shape{Name: "a node and a file", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: nodes(), Doc: "The mobile node or nodes: all that are on the links of the trace."},
			{Key: "file", Required: true, Shape: name("the file of a drive", "drive.csv"), Doc: "The table, relative to this file."},
			{Key: "floor", Shape: strict.Of(topologies.SignalLevel("a level", "-95dBm")), Doc: "An access with less signal is gone. Left out: one without signal is."},
		}}, Doc: "Has a mobile node go through a drive that was recorded or made: a table of time, link, signal and so on says what becomes of its accesses. No step waits for it, and stop: all ends it."},
		{Key: "link", Shape: &strict.Shape{Name: "a link and what becomes of it", Fields: []strict.Field{
			{Key: "name", Required: true, Shape: name("a link", "wlan"), Doc: "The link."},
			{Key: "state", Shape: strict.Of(strict.Words("a state of a link", "up", "down")), Doc: "up or down: all its ends see the carrier come or go."},
			{Key: "set", Shape: &strict.Shape{Ref: "impairment", Name: "what the link does to frames", Fields: topologies.ImpairmentFields()}, Doc: "What it does to frames from now on; what is left out stays as it is."},
			{Key: "from", Shape: nodes(), Doc: "The ends whose frames are meant. Left out: all."},
		}}, Doc: "Changes a link."},
		{Key: "traffic", Shape: &strict.Shape{Name: "what flows", Fields: []strict.Field{
			{Key: "from", Required: true, Shape: name("a node", "ue"), Doc: "The node that begins."},
			{Key: "to", Required: true, Shape: name("a node", "cn"), Doc: "The node at the other end."},
			{Key: "kind", Shape: strict.Of(strict.Words("a kind of traffic", "voice", "bulk", "request")), Doc: "voice (datagrams at a rate), bulk (a TCP connection), request (each answered before the next). Left out: voice."},
			{Key: "rate", Shape: strict.Of(strict.Often(0.1, 100_000)), Doc: "Datagrams, writes of bulk or requests in a second. Left out: 50/s for voice, 10/s for request, and bulk goes as fast as TCP does."},
			{Key: "size", Shape: strict.Of(strict.Size(64, 65000)), Doc: "The payload of each. Left out: 172B for voice, 100B for request, 1200B for bulk."},
			{Key: "both-ways", Shape: strict.Of(strict.Boolean()), Doc: "The other node sends as much. Left out: false."},
			{Key: "family", Shape: strict.Of(strict.Words("an address family", topologies.FamilyWords()...)), Doc: "By which addresses. Left out: ipv6 where that leads there, else ipv4."},
			{Key: "for", Shape: span(), Doc: "How long. Left out: until it is stopped."},
			{Key: "name", Shape: strict.Of(flowName()), Doc: "Its name in reports and expectations. Left out: its kind."},
		}}, Doc: "Starts data between two nodes; a mobile node uses its home address."},
		{Key: "stop", Shape: &strict.Shape{Name: "all, a node, or traffic", Short: "node", Fields: []strict.Field{
			{Key: "node", Shape: nodes(), Doc: "The node whose process ends; all ends the run."},
			{Key: "traffic", Shape: &strict.Shape{Name: "the name of traffic", Items: name("the name of traffic", "voice"), Single: true, Least: 1}, Doc: "The traffic that ends, by name."},
			{Key: "how", Shape: how, Doc: "clean (it is asked to end) or kill. Left out: clean."},
		}}, Doc: "Stops a node, traffic, or with all the whole run."},
		{Key: "start", Shape: nodes(), Doc: "Starts a node that was stopped."},
		{Key: "restart", Shape: &strict.Shape{Name: "a node", Short: "node", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: nodes(), Doc: "The node."},
			{Key: "gap", Shape: span(), Doc: "How long it is away. Left out: 1s."},
			{Key: "how", Shape: how, Doc: "clean (it is asked to end) or kill. Left out: kill."},
		}}, Doc: "Stops a node and starts it again, with nothing in its memory."},
		{Key: "deregister", Shape: nodes(), Doc: "Has a mobile node end its binding and ask for none: it keeps its link."},
		{Key: "register", Shape: nodes(), Doc: "Has a mobile node that was de-registered, or revoked, register again."},
		{Key: "revoke", Shape: &strict.Shape{Name: "who revokes, and whose binding", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: name("a home agent or an AAA server", "pgw"), Doc: "The home agent, which sends a Binding Revocation Indication, or the AAA server, which has the home agent do so by an Abort-Session-Request."},
			{Key: "mobile", Required: true, Shape: nodes(), Doc: "The mobile node or nodes."},
			{Key: "trigger", Shape: strict.Of(strict.Words("a trigger", "administrative", "user-initiated", "access-network", "out-of-sync", "unspecified")), Doc: "Why, of a home agent: administrative, user-initiated, access-network, out-of-sync or unspecified (RFC 5846, section 5.1). Left out: administrative."},
		}}, Doc: "Takes a mobile node's binding away, from the network's side."},
		{Key: "subscription", Shape: &strict.Shape{Name: "what an HSS does to whose subscription", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: name("a home subscriber server", "hss"), Doc: "The HSS."},
			{Key: "mobile", Required: true, Shape: nodes(), Doc: "The mobile node or nodes."},
			{Key: "do", Required: true, Shape: strict.Of(strict.Words("what becomes of a subscription", "bar", "allow", "remove")), Doc: "bar: non-3GPP access is barred; the AAA server that serves it is told by a Registration-Termination-Request. allow: it is barred no more. remove: there is none any more, and the AAA server is told too."},
		}}, Doc: "Changes the subscription of a mobile node at its HSS."},
		{Key: "switch", Shape: &strict.Shape{Name: "which home agent gives up which mobile node, and to which", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: name("a home agent", "pgw-1"), Doc: "The home agent that has the mobile node."},
			{Key: "mobile", Required: true, Shape: nodes(), Doc: "The mobile node or nodes: one a second is told."},
			{Key: "to", Required: true, Shape: &strict.Shape{Name: "a home agent or a list of them", Items: name("a home agent", "pgw-2"), Single: true, Least: 1}, Doc: "The home agents to go to: the first that will have it."},
		}}, Doc: "Has a mobile node go to another home agent, by a Home Agent Switch message (RFC 5142)."},
		{Key: "exec", Shape: &strict.Shape{Name: "a node and a command", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: nodes(), Doc: "Where it runs."},
			{Key: "command", Required: true, Shape: &strict.Shape{Name: "a command such as ping -c 3 cn", Scalar: strict.Text("a command such as ping -c 3 cn", 4000), Items: strict.Of(&strict.Scalar{Name: "a word of a command", JSON: "string"}), Least: 1},
				Doc: "A line for the shell, or a list of words that no shell sees."},
			{Key: "exit", Shape: strict.Of(strict.Integer("an exit status", 0, 255)), Doc: "The status it must end with. Left out: 0."},
			{Key: "timeout", Shape: span(), Doc: "How long it may take. Left out: 30s."},
			{Key: "background", Shape: strict.Of(strict.Boolean()), Doc: "The next step does not wait for it. Left out: false."},
		}}, Doc: "Runs a command in a node."},
		{Key: "wait", Shape: &strict.Shape{Ref: "wait", Name: "what to wait for", Short: "for", Fields: append(pattern("for", "The event or message.", true),
			strict.Field{Key: "timeout", Shape: span(), Doc: "How long; then the run has failed. Left out: 10s."})}, Doc: "Waits until something has happened, from now on."},
		{Key: "drop", Shape: aim("drop"), Doc: "Drops the next such messages."},
		{Key: "hold", Shape: aim("hold", strict.Field{Key: "by", Shape: span(), Doc: "How long. Left out: 500ms."}), Doc: "Holds the next such messages back."},
		{Key: "duplicate", Shape: aim("duplicate", strict.Field{Key: "by", Shape: span(), Doc: "How much later the copy arrives. Left out: at once."}), Doc: "Lets the next such messages arrive twice."},
		{Key: "replay", Shape: aim("replay",
			strict.Field{Key: "which", Shape: strict.Of(strict.Words("which of the messages", "first", "last")), Doc: "Which of those seen so far: first or last. Left out: last."},
			strict.Field{Key: "into", Shape: name("a link", "wlan"), Doc: "The link it is sent into. Left out: the one it was seen on."}), Doc: "Sends such a message, which was seen before, once more, as an attacker would."},
		{Key: "flood", Shape: &strict.Shape{Name: "a flood of garbage", Fields: []strict.Field{
			{Key: "from", Required: true, Shape: name("a node", "cn"), Doc: "The node that sends it."},
			{Key: "to", Required: true, Shape: name("a node", "pgw"), Doc: "The node it is sent at."},
			{Key: "protocol", Required: true, Shape: strict.Of(strict.Words("a protocol to flood", "mh", "diameter", "icmp6")), Doc: "What is sent: mh (Mobility Headers), diameter (TCP to port 3868), icmp6."},
			{Key: "rate", Shape: strict.Of(strict.Often(1, 1_000_000)), Doc: "Packets in a second. Left out: 1000/s."},
			{Key: "size", Shape: strict.Of(strict.Size(8, 1400)), Doc: "The longest. Left out: 200B."},
			{Key: "for", Required: true, Shape: span(), Doc: "How long."},
		}}, Doc: "Sends random and broken packets at a node."},
		{Key: "nat", Shape: &strict.Shape{Name: "a NAT and what becomes of its mappings", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: nodes(), Doc: "The node or nodes with role nat."},
			{Key: "do", Required: true, Shape: strict.Of(strict.Words("what a NAT does", "forget", "renumber", "babble", "behave")), Doc: "forget: it loses all mappings, as when it is switched off and on; who is inside makes new ones by speaking. renumber: so that they have other ports, too. babble: it answers what goes out by UDP with nonsense, in the name of those whom it goes to: chance, broken packets, ICMP errors. behave: no longer."},
		}}, Doc: "Makes a NAT lose its mappings, or its mind."},
		{Key: "lie", Shape: &strict.Shape{Name: "a BSF and what it lies about", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: nodes(), Doc: "The node or nodes with role bsf."},
			{Key: "about", Required: true, Shape: strict.Of(strict.Words("what a BSF lies about", lies...)), Doc: "mac: the AUTN of its challenges is not the HSS's. replay: it sends a former challenge again, where there is one. rspauth: its last word is not signed. b-tid: it names another challenge. lifetime: what it gives is over. content-type: its last word is text/plain. body: that is longer than any may be. truth: nothing any more."},
		}}, Doc: "Has a BSF tell mobile nodes a lie from now on."},
		{Key: "flow", Shape: &strict.Shape{Name: "a flow and where it goes", Fields: []strict.Field{
			{Key: "node", Required: true, Shape: nodes(), Doc: "The mobile node or nodes."},
			{Key: "name", Required: true, Shape: name("a flow of the mobile node", "voice"), Doc: "The flow, by its name in the topology."},
			{Key: "to", Required: true, Shape: name("a link", "wimax"), Doc: "The access that it prefers from now on; the others come after it, in their order."},
		}}, Doc: "Moves a flow of a mobile node that uses all its accesses to another of them, alone."},
		{Key: "look", Shape: nodes(), Doc: "Has nodes say what they hold: the event state-told has it. Those that do not run say nothing."},
		{Key: "note", Shape: strict.Of(strict.Text("a note", 500)), Doc: "Says something to those who watch, and in the report."},
		{Key: "repeat", Shape: strict.Of(strict.Integer("a number of rounds", 1, 1000)), Doc: "Does the steps beside it so many times."},
		{Key: "every", For: []string{"repeat"}, Shape: span(), Doc: "How long a round takes. Left out: a round begins when the one before has ended."},
		{Key: "steps", For: []string{"repeat"}, Shape: &strict.Shape{Name: "a list of steps", Items: step, Least: 1}, Doc: "The steps of a round."},
	}
	for i, f := range step.Fields {
		for _, v := range verbs {
			if f.Key == v {
				step.Fields[i].For = []string{v}
			}
		}
	}

	of := func(kinds ...string) []string { return kinds }
	bound := func() *strict.Shape {
		return strict.Of(&strict.Scalar{Name: "a number with its unit", JSON: "string|integer", Examples: []string{"1.8s"}})
	}
	events := of("saw", "never", "count")
	expectation := &strict.Shape{Ref: "expectation", Name: "an expectation", Example: "{saw: binding-update, node: pgw, after: 5s}", OneOf: []string{"saw", "never", "count", "order", "measure"}}
	expectation.Fields = []strict.Field{
		{Key: "saw", For: of("saw"), Shape: name("an event or a message", "binding-update"), Doc: "Such an event or message was there at least once."},
		{Key: "never", For: of("never"), Shape: name("an event or a message", "icmp6-unreachable"), Doc: "There was none."},
		{Key: "count", For: of("count"), Shape: name("an event or a message", "binding-update"), Doc: "There were as many as the bounds say; of a message, on each link it crossed."},
		{Key: "order", For: of("order"), Shape: &strict.Shape{Name: "a list of events and messages", Least: 2, Items: &strict.Shape{Ref: "pattern", Name: "an event or a message", Short: "saw", Fields: pattern("saw", "The event or message.", true)}},
			Doc: "These happened one after the other; others may lie between."},
		{Key: "measure", For: of("measure"), Shape: strict.Of(strict.Words("a measure", measureNames()...)), Doc: "A number of the report is within the bounds. " + measureDoc()},
		{Key: "node", Shape: nodes(), For: of("saw", "never", "count", "measure"), Doc: "Where: the node it happens in; of a message, an end of the link it crosses; of a measure, the mobile node or an end of the flow. Left out: anywhere."},
		{Key: "flow", For: of("saw", "never", "count", "measure"), Shape: name("the name of traffic", "voice"), Doc: "The flow, by its name. Left out: each."},
		{Key: "handover", For: of("measure"), Shape: strict.Of(strict.Integer("the number of a handover", 1, 100000)), Doc: "Which handover of the node, from 1. Left out: each."},
		{Key: "percentile", For: of("measure"), Shape: strict.Of(strict.Integer("a percentile", 1, 100)), Doc: "The value that so many percent do not exceed. Left out: each value must hold."},
		{Key: "after", Shape: span(), Doc: "Only what happens then or later, since the run began. Left out: from the beginning."},
		{Key: "within", Shape: span(), Doc: "And so long after that. Left out: to the end."},
		{Key: "at-most", For: of("count", "measure"), Shape: bound(), Doc: "No more than this."},
		{Key: "at-least", For: of("count", "measure"), Shape: bound(), Doc: "No less than this."},
		{Key: "equals", For: of("count", "measure"), Shape: bound(), Doc: "Just this."},
		{Key: "between", For: of("count", "measure"), Shape: &strict.Shape{Name: "a list of two numbers", Items: bound(), Least: 2, Most: 2}, Doc: "From the first to the second."},
		{Key: "note", Shape: strict.Of(strict.Text("a note", 500)), Doc: "Why, for those who read the report."},
	}
	for _, f := range patternFields("flow") {
		f.For = events
		expectation.Fields = append(expectation.Fields, f)
	}

	return &strict.Shape{Name: "a scenario", Fields: []strict.Field{
		{Key: "scenario", Required: true, Shape: strict.Of(&strict.Scalar{Name: "a name", JSON: "string", Pattern: namePattern, Examples: []string{"handover-home"}, Parse: parseName}), Doc: "Its name."},
		{Key: "description", Shape: strict.Of(strict.Text("a description", 4000)), Doc: "What it shows, in words."},
		{Key: "topology", Required: true, Shape: name("the file of a topology", "../../topologies/eps-s2c.yaml"), Doc: "The file of its topology, relative to this one, or the name of a shipped one."},
		{Key: "seed", Shape: strict.Of(strict.Integer("a seed", 0, 1<<53)), Doc: "Every random choice of the run comes from here. Left out: 1."},
		{Key: "set", Shape: &strict.Shape{Name: "paths with values", New: true, Each: strict.Of(&strict.Scalar{Name: "a value", JSON: "string|number|boolean"})},
			Doc: "Values of the topology that are others here: {security.replay: sequence, nodes.ue.clock-offset: 1h}."},
		{Key: "steps", Required: true, Shape: &strict.Shape{Name: "a list of steps", Items: step, Least: 1}, Doc: "What happens, in the order of time."},
		{Key: "expect", Shape: &strict.Shape{Name: "a list of expectations", Items: expectation}, Doc: "What must hold of the journal afterwards."},
	}}
})

func measureDoc() string {
	var parts []string
	for _, m := range measures() {
		parts = append(parts, m.name+": "+m.doc)
	}
	return strings.Join(parts, "; ") + "."
}

// fieldShape is what may stand for a field of that kind in a pattern.
func fieldShape(k kind) *strict.Shape {
	bounds := func(s *strict.Scalar) *strict.Shape {
		return &strict.Shape{Name: s.Name, Scalar: s, Fields: []strict.Field{
			{Key: "at-least", Shape: strict.Of(s), Doc: "No less than this."},
			{Key: "at-most", Shape: strict.Of(s), Doc: "No more than this."},
		}}
	}
	switch k {
	case ofNumber:
		s := bounds(strict.Integer("a number", 0, 1<<53))
		s.Ref = "number"
		return s
	case ofSeconds:
		s := bounds(strict.Duration(-maxTime, 30*365*24*time.Hour))
		s.Ref = "duration"
		return s
	case ofSignal:
		s := bounds(topologies.SignalLevel("a level", "-75dBm"))
		s.Ref = "signal"
		return s
	case ofWords:
		return &strict.Shape{Ref: "words", Name: "a list of words", Items: strict.Of(&strict.Scalar{Name: "a word", JSON: "string"}), Single: true, Least: 1}
	case ofBoolean:
		return strict.Of(strict.Boolean())
	case ofStatus:
		s := bounds(&strict.Scalar{Name: "a status: a number from 0 to 255 or its name", JSON: "string|integer"})
		s.Ref = "status"
		return s
	case ofNode:
		return strict.Of(&strict.Scalar{Name: "a node", JSON: "string"})
	case ofLink:
		return strict.Of(&strict.Scalar{Name: "a link", JSON: "string"})
	case ofAddress:
		return strict.Of(&strict.Scalar{Name: "an address, a prefix, a node or a link", JSON: "string"})
	}
	s := strict.Text("a text", 500)
	s.JSON = "string|integer"
	return strict.Of(s)
}

// Schema returns the JSON Schema of scenario files.
func Schema() []byte {
	return strict.Schema(format(), "s2clab scenario", "What happens in a lab, and what must hold.")
}
