package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"s2clab/orchestrator/journal"
)

// A timeline tells a run as it happens, a line an event.
type timeline struct {
	out    io.Writer
	colour bool
	width  int  // of the widest node name
	asJSON bool // lines of a journal in place of words, of all events

	waiting []early // in the order of their times
}

// told are the events that a person wants to see, and how they read. The fields
// named in braces are filled in; a part in brackets is left out where its field
// is missing or zero.
var told = map[string]string{
	"step-started":               "{what}",
	"link-attached":              "joins {link}",
	"link-detached":              "leaves {link}",
	"link-changed":               "link {link}: {change}",
	"node-died":                  "died: {exit}",
	"node-stopped":               "stopped ({how})",
	"node-logged":                "writes: {text}",
	"router-found":               "sees router {router} on {link}, prefix {prefix}",
	"router-lost":                "lost the router on {link} ({reason})",
	"address-configured":         "has address {address} on {link} ({how})",
	"address-lost":               "may not use {address} on {link} any more ({reason})",
	"nat-detected":               "is behind a NAT on {link}, and refreshes its binding every {keepalive} s",
	"ipv6-failed":                "has no answer by IPv6 on {link} to {attempts} Binding Updates: goes on by IPv4",
	"home-address-refused":       "gets no IPv4 home address[: status {status}, {name}][ ({reason})]",
	"address-failed":             "cannot have address {address} on {link}: somebody has it",
	"binding-update-sent":        "sends[ {peer}] Binding Update {seq} for {care-of}[, authenticated by {auth}][, attempt {attempt}]",
	"binding-acknowledged":       "has Binding Acknowledgement {seq}: {status}",
	"registration-request-sent":  "sends Registration Request for {care-of}[, authenticated by {auth}][, attempt {attempt}]",
	"registration-accepted":      "is registered at {care-of} for {lifetime} s",
	"route-optimized":            "goes directly[ to {peer}, from {care-of}][ to {home-address}, at {care-of}]",
	"route-optimization-ended":   "does not go directly any more[ to {peer}][ to {home-address}] ({reason})",
	"peer-deregistered":          "has no binding at {peer} any more",
	"route-optimization-failed":  "cannot go directly to {peer}: {reason}",
	"binding-refused":            "binding refused: status {status}[, {name}][ ({reason})]",
	"clock-resynchronised":       "moves its clock by {offset} s",
	"home-address-assigned":      "home address {home-address} is assigned[ to {nai}][, chosen by {assigner}]",
	"returned-home":              "is home",
	"tunnel-set":                 "tunnels from {local} to {remote} ({engine} engine)",
	"access-chosen":              "takes to {link}[ at {signal} dBm][ instead of {instead-of}]: {reason}",
	"aaa-asked":                  "asks about {nai}[, round {round}]",
	"aaa-answered":               "has the answer of {peer}: {name}",
	"aaa-failed":                 "has no answer about {nai}: {reason}",
	"access-authenticated":       "is let onto {link} by {method}, {fast}",
	"access-refused":             "is not let onto {link}: {reason}",
	"access-shut":                "may not use {link} any more: {reason}",
	"station-admitted":           "lets {nai} onto {link}",
	"station-refused":            "does not let {station} onto {link}: {reason}",
	"station-barred":             "does not let {nai} use {link} any more: {reason}",
	"eap-authenticated":          "finds that {nai} is who it says, by {method}",
	"eap-refused":                "refuses {nai}: {reason}",
	"hss-failed":                 "is not told {about} of {nai}: {reason}",
	"subscriber-deregistered":    "ends all of {nai}: {reason}",
	"profile-changed":            "has a new profile of {nai}",
	"key-fetched":                "has a key of {nai} from the BSF",
	"challenge-sent":             "answers {nai} with a challenge",
	"deregistration-told":        "tells {peer} that {nai} is no subscriber any more[: {reason}]",
	"profile-told":               "tells {peer} of the new profile of {nai}[: {reason}]",
	"store-failed":               "cannot keep what was changed: {error}",
	"vector-refused":             "is given no vector for {nai}: {reason}",
	"bootstrapping-done":         "shares a key with {nai}",
	"bootstrapping-refused":      "refuses {nai}: {reason}",
	"access-keys-forgotten":      "has {link} authenticate it again, for its keys are not known any more",
	"bootstrap-started":          "asks the BSF for keys",
	"bootstrapped":               "shares a key with the BSF",
	"bootstrap-postponed":        "cannot ask the BSF: {reason}, tries again in {retry} s",
	"bootstrap-failed":           "has no key to prove itself with: {reason}",
	"challenge-refused":          "does not believe a challenge: {reason}",
	"reauthentication-asked":     "is to authenticate {nai} again",
	"association-made":           "has a key for {nai}, SPI {spi}",
	"binding-accepted":           "binds {home-address} to {care-of}[, sequence {seq}], {lifetime} s",
	"binding-deleted":            "unbinds {home-address} ({reason})",
	"binding-expired":            "binding of {home-address} expired",
	"care-of-refused":            "cannot bind {care-of}, BID {bid}: {name}",
	"care-of-deleted":            "has no binding of BID {bid} any more ({reason})",
	"flow-bound":                 "has flow [{flow-name}, ]FID {fid} at BID [{bid}][{bids}]: {name}",
	"flow-refused":               "cannot bind flow {flow-name}: [{name}][{reason}]",
	"multihoming-refused":        "binds one care-of address only: {reason}",
	"deregistered":               "has no binding any more",
	"binding-revoked":            "loses its binding: {trigger}, answered with status {status}",
	"revocation-sent":            "revokes the binding of {home-address}: {trigger}[, attempt {attempt}]",
	"revocation-answered":        "is answered: status {status}, {name}",
	"switch-indicated":           "is sent to the home agent {home-agent}",
	"home-agent-changed":         "goes to the home agent {home-agent}",
	"switch-sent":                "sends {home-address} to the home agent {home-agent}[, attempt {attempt}]",
	"takeover-started":           "has not heard the other home agent for {silence} s",
	"stood-down":                 "finds {home-agent} in its place, and stands by",
	"took-over":                  "serves in its place, {latency} s after it was heard last, with {bindings} bindings",
	"bindings-restored":          "has {bindings} bindings of before",
	"session-aborted":            "is to end the session of {nai}",
	"session-terminated":         "has told that the session of {nai} is over",
	"abort-sent":                 "has {peer} end the session of {nai}[, attempt {attempt}]",
	"abort-failed":               "cannot end the session of {nai}: {reason}",
	"session-closed":             "closes the session of {nai} ({reason})",
	"update-discarded":           "discards a Binding Update ({reason})",
	"peer-up":                    "is connected to {peer}",
	"peer-down":                  "has lost {peer} ({reason})",
	"flow-started":               "flow {flow} starts",
	"flow-broken":                "flow {flow} has lost its connection: {error}",
	"flow-stopped":               "flow {flow} ends[: {received} received]",
	"aim-hit":                    "{message} on {link} {action}",
	"command-ended":              "{command}: {exit}",
	"capture-failed":             "capture: {error}",
	"duplicate-address-detected": "{home-address} is taken on the home link",

	"home-agent-discovery-started":  "looks for a home agent by {method}",
	"home-agent-discovered":         "finds the home agent {home-agent} by {method}[, {home-agent-4}]",
	"home-agent-discovery-failed":   "finds no home agent by {method}: {reason}",
	"home-agent-discovery-answered": "tells {source} the home agent {home-agent}",
}

// acted say what an aim did to a message.
var acted = map[string]string{"drop": "is dropped", "hold": "is held back", "duplicate": "is duplicated", "replay": "is replayed"}

// headings are events that begin a chapter.
var headings = []string{"step-started"}

// alarms are events that should not pass unseen.
var alarms = []string{"node-died", "binding-refused", "aaa-failed", "update-discarded", "capture-failed", "peer-down", "flow-broken", "address-failed", "duplicate-address-detected", "binding-revoked", "abort-failed",
	"access-refused", "access-shut", "station-refused", "station-barred", "eap-refused", "hss-failed", "store-failed", "vector-refused", "bootstrapping-refused", "bootstrap-failed", "challenge-refused"}

// settle is how long an event waits for earlier ones, which come from other
// processes and may come later.
const settle = 150 * time.Millisecond

// early is an event that waits.
type early struct {
	journal.Event
	came time.Time
}

// take takes an event that came at now, and tells those that have settled by
// then, in the order of their times.
func (t *timeline) take(e journal.Event, now time.Time) {
	i, _ := slices.BinarySearchFunc(t.waiting, e.At, func(w early, at time.Duration) int {
		if w.At <= at {
			return -1
		}
		return 1
	})
	t.waiting = slices.Insert(t.waiting, i, early{e, now})
	t.settled(now)
}

// settled tells the events that have waited long enough, and all before them.
func (t *timeline) settled(now time.Time) {
	n := 0
	for i, w := range t.waiting {
		if now.Sub(w.came) >= settle {
			n = i + 1
		}
	}
	t.tell(n)
}

// end tells what still waits.
func (t *timeline) end() { t.tell(len(t.waiting)) }

func (t *timeline) tell(n int) {
	for _, w := range t.waiting[:n] {
		t.event(w.Event)
	}
	t.waiting = slices.Delete(t.waiting, 0, n)
}

func (t *timeline) event(e journal.Event) {
	if t.asJSON {
		json.NewEncoder(t.out).Encode(e)
		return
	}
	form, ok := told[e.Name]
	if !ok || e.Name == "link-changed" && e.Fields["trace"] != nil {
		return // the rows of a trace are many
	}
	text := fill(form, e.Fields)
	at := fmt.Sprintf("%9.3f s", e.At.Seconds())
	switch {
	case slices.Contains(headings, e.Name):
		fmt.Fprintf(t.out, "%s  %s\n", t.paint(dim, at), t.paint(bold, "▸ "+text))
	case slices.Contains(alarms, e.Name):
		fmt.Fprintf(t.out, "%s    %-*s  %s\n", t.paint(dim, at), t.width, e.Node, t.paint(red, text))
	default:
		fmt.Fprintf(t.out, "%s    %-*s  %s\n", t.paint(dim, at), t.width, e.Node, text)
	}
}

const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func (t *timeline) paint(code, text string) string {
	if !t.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// fill puts fields into a form.
func fill(form string, fields map[string]any) string {
	var b strings.Builder
	for form != "" {
		switch i := strings.IndexAny(form, "{["); {
		case i < 0:
			b.WriteString(form)
			form = ""
		case form[i] == '[':
			b.WriteString(form[:i])
			end := strings.IndexByte(form, ']')
			part := form[i+1 : end]
			name := part[strings.IndexByte(part, '{')+1 : strings.IndexByte(part, '}')]
			if v := fields[name]; v != nil && v != "" && v != float64(0) && !(name == "attempt" && v == float64(1)) {
				b.WriteString(fill(part, fields))
			}
			form = form[end+1:]
		default:
			b.WriteString(form[:i])
			end := strings.IndexByte(form, '}')
			name := form[i+1 : end]
			b.WriteString(spoken(name, fields[name]))
			form = form[end+1:]
		}
	}
	return b.String()
}

// spoken is a field as a person would say it in passing; the journal has all of
// it.
func spoken(name string, v any) string {
	switch text, _ := v.(string); {
	case name == "nai" && text != "":
		v, _, _ = strings.Cut(text, "@")
	case name == "peer" && text != "":
		v, _, _ = strings.Cut(text, ".")
	case name == "action" && acted[text] != "":
		return acted[text]
	case name == "name" && text == "multi-round-auth": // RFC 6733, section 7.1.1
		return "asks for another round"
	case name == "fast" && v == true:
		return "fast re-authentication"
	case name == "fast" && v == false:
		return "full authentication"
	case name == "status" && v == 0.0:
		return "accepted"
	}
	return value(v)
}

// value prints a field as a person would write it.
func value(v any) string {
	switch v := v.(type) {
	case nil:
		return "?"
	case float64:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.6f", v), "0"), ".")
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = value(v[i])
		}
		return strings.Join(parts, ", ")
	case string:
		return strings.Map(printable, v)
	}
	return fmt.Sprint(v)
}

// printable keeps what came from packets from commanding the terminal.
func printable(r rune) rune {
	if r < ' ' || r >= 0x7f && r < 0xa0 {
		return '�'
	}
	return r
}
