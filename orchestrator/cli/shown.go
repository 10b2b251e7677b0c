package cli

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"s2clab/orchestrator/supervise"
	"s2clab/topologies"
)

// What ps and link print for programs. docs/commands.md says what each member
// means; the words are those of result.json and of topology files, and times are
// in seconds as there.

// A ShownLab is one lab that runs.
type ShownLab struct {
	Lab      string      `json:"lab"`
	Topology string      `json:"topology"`
	Up       float64     `json:"up"` // for so long, in seconds
	Nodes    []ShownNode `json:"nodes"`
	Links    []ShownEnd  `json:"links"`
}

// A ShownNode is one node of a lab.
type ShownNode struct {
	Node      string   `json:"node"`
	Role      string   `json:"role"`
	Running   bool     `json:"running"`
	PID       int      `json:"pid,omitempty"` // of its process, as the lab's own PID namespace counts
	Attached  []string `json:"attached"`      // links at which it has carrier
	Addresses []string `json:"addresses"`
}

// A ShownEnd is one end of a link, and what happens to the frames that it sends.
type ShownEnd struct {
	Link       string          `json:"link"`
	From       string          `json:"from"`
	Attached   bool            `json:"attached"`
	Down       bool            `json:"down"` // the link, for all its ends
	Impairment ShownImpairment `json:"impairment"`

	Sent          uint64            `json:"sent"`
	SentOctets    uint64            `json:"sent-octets"`
	Arrived       uint64            `json:"arrived"`
	ArrivedOctets uint64            `json:"arrived-octets"`
	Dropped       map[string]uint64 `json:"dropped"`
	Device        *ShownDevice      `json:"device-dropped,omitempty"`
	Duplicated    uint64            `json:"duplicated"`
	Corrupted     uint64            `json:"corrupted"`
	Overtook      uint64            `json:"overtook"`
	Held          uint64            `json:"held"`
	Queued        int               `json:"queued"`
	QueuedOctets  int               `json:"queued-octets"`
	OnTheirWay    int               `json:"on-their-way"`
	Gone          string            `json:"gone,omitempty"`
}

// A ShownDevice is what the device of an end dropped: frames that the link never
// saw, and frames that it had handed over.
type ShownDevice struct {
	Sent      uint64 `json:"sent"`
	NoCarrier uint64 `json:"no-carrier"`
	Arrived   uint64 `json:"arrived"`
}

// A ShownImpairment has the keys of topology files. What is not done to frames is
// left out.
type ShownImpairment struct {
	Delay     float64      `json:"delay,omitempty"` // seconds
	Jitter    *ShownJitter `json:"jitter,omitempty"`
	Loss      *ShownLoss   `json:"loss,omitempty"`
	Rate      int64        `json:"rate,omitempty"`  // bit/s
	Trace     string       `json:"trace,omitempty"` // the file; Rate is its mean
	Queue     *ShownQueue  `json:"queue,omitempty"`
	Duplicate float64      `json:"duplicate,omitempty"` // this and those below: shares, 0 to 1
	Corrupt   float64      `json:"corrupt,omitempty"`
	Reorder   float64      `json:"reorder,omitempty"`
}

// A ShownJitter is added to the delay.
type ShownJitter struct {
	Spread       float64 `json:"spread"` // seconds
	Distribution string  `json:"distribution"`
	Reorder      bool    `json:"reorder"`
}

// A ShownLoss is by a rate, or in bursts.
type ShownLoss struct {
	Rate     float64 `json:"rate,omitempty"`
	GoodBad  float64 `json:"good-bad,omitempty"`
	BadGood  float64 `json:"bad-good,omitempty"`
	LossGood float64 `json:"loss-good,omitempty"`
	LossBad  float64 `json:"loss-bad,omitempty"`
}

// A ShownQueue is how much may wait for the rate.
type ShownQueue struct {
	Bytes   int `json:"bytes,omitempty"`
	Packets int `json:"packets,omitempty"`
}

func shownLab(s *supervise.Status) ShownLab {
	shown := ShownLab{Lab: s.Name, Topology: s.Topology, Up: inSeconds(s.Up), Nodes: []ShownNode{}, Links: shownEnds(s)}
	for _, n := range s.Nodes {
		shown.Nodes = append(shown.Nodes, ShownNode{n.Name, n.Role, n.PID != 0, n.PID, list(n.Attached), list(n.Addresses)})
	}
	return shown
}

// shownEnds are the ends of all links, each in its place.
func shownEnds(s *supervise.Status) []ShownEnd {
	all := []ShownEnd{}
	for _, l := range s.Links {
		for _, e := range l.Ends {
			c := e.Counters
			end := ShownEnd{
				Link: l.Name, From: e.Node, Attached: e.Attached, Down: l.Down, Impairment: shownImpairment(e.Impairment),
				Sent: c.Sent, SentOctets: c.SentOctets, Arrived: c.Arrived, ArrivedOctets: c.ArrivedOctets, Dropped: c.Dropped,
				Duplicated: c.Duplicated, Corrupted: c.Corrupted, Overtook: c.Overtook, Held: c.Held,
				Queued: c.Queued, QueuedOctets: c.QueuedOctets, OnTheirWay: c.OnTheirWay, Gone: c.Gone,
			}
			if d := e.Device; d != nil {
				end.Device = &ShownDevice{d.Sent, d.NoCarrier, d.Arrived}
			}
			if end.Dropped == nil {
				end.Dropped = map[string]uint64{}
			}
			all = append(all, end)
		}
	}
	return all
}

func shownImpairment(i topologies.Impairment) ShownImpairment {
	shown := ShownImpairment{Delay: inSeconds(i.Delay), Rate: i.Rate, Duplicate: i.Duplicate, Corrupt: i.Corrupt, Reorder: i.Reorder}
	if i.Trace != nil {
		shown.Trace = i.Trace.File
	}
	if i.Jitter.Spread > 0 {
		shown.Jitter = &ShownJitter{inSeconds(i.Jitter.Spread), i.Jitter.Distribution, i.Jitter.Reorder}
	}
	if i.Loss != (topologies.Loss{}) {
		shown.Loss = &ShownLoss{i.Loss.Rate, i.Loss.GoodBad, i.Loss.BadGood, i.Loss.LossGood, i.Loss.LossBad}
	}
	if i.Queue != (topologies.Queue{}) {
		shown.Queue = &ShownQueue{i.Queue.Bytes, i.Queue.Packets}
	}
	return shown
}

// inSeconds is a length of time as JSON has it, to the nanosecond.
func inSeconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e9) / 1e9 }

// list is a list that JSON has as one also where there is nothing in it.
func list(words []string) []string { return append([]string{}, words...) }

// printJSON prints a value for programs.
func printJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
