package control

import (
	"net/netip"
	"time"
)

// What a traffic process is asked: commands open, start, pause and stop.

// An OpenFlow makes a traffic process receive a flow, at its far end.
type OpenFlow struct {
	Flow     string         `json:"flow"`
	Kind     string         `json:"kind"` // voice, bulk, request
	Listen   netip.AddrPort `json:"listen"`
	Rate     float64        `json:"rate"` // of what it sends itself: as for StartFlow
	Size     int            `json:"size"`
	BothWays bool           `json:"both-ways"`
}

// A StartFlow makes a traffic process send a flow from its near end.
type StartFlow struct {
	Flow     string         `json:"flow"`
	Kind     string         `json:"kind"`      // voice (UDP, paced), bulk (TCP), request (TCP, answered one by one)
	Local    netip.Addr     `json:"local"`     // the socket stays bound to it
	Remote   netip.AddrPort `json:"remote"`    // where the flow was opened
	Rate     float64        `json:"rate"`      // datagrams, writes or requests a second, each way; 0: as fast as TCP goes
	Size     int            `json:"size"`      // octets of payload of each
	BothWays bool           `json:"both-ways"` // the far end sends as much
	From     string         `json:"from"`      // the nodes' names, for who reads of it
	To       string         `json:"to"`
}

// A StopFlow ends a flow at either end: command pause, which only ends its sending,
// or stop.
type StopFlow struct {
	Flow string `json:"flow"`
}

// A Flood makes a traffic process send garbage at a protocol of a node: command
// flood, which is answered with a Flooded when it is over.
type Flood struct {
	Protocol string        `json:"protocol"` // mh, diameter, icmp6
	Remote   netip.Addr    `json:"remote"`
	Rate     float64       `json:"rate"` // packets or messages a second
	Size     int           `json:"size"` // octets of each, at most
	For      time.Duration `json:"for"`
	Seed     uint64        `json:"seed"`
}

// A Flooded is how a flood went.
type Flooded struct {
	Sent    int `json:"sent"`
	Refused int `json:"refused"` // sends and connections that failed
}
