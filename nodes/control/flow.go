package control

import "net/netip"

// What a traffic process is asked: commands open, start and stop.

// An OpenFlow makes a traffic process receive a flow, at its far end.
type OpenFlow struct {
	Flow   string         `json:"flow"`
	Kind   string         `json:"kind"` // voice, bulk, request
	Listen netip.AddrPort `json:"listen"`
}

// A StartFlow makes a traffic process send a flow from its near end.
type StartFlow struct {
	Flow     string         `json:"flow"`
	Kind     string         `json:"kind"`      // voice (UDP, paced), bulk (TCP, as fast as it goes), request (TCP, answered one by one)
	Local    netip.Addr     `json:"local"`     // the socket stays bound to it
	Remote   netip.AddrPort `json:"remote"`    // where the flow was opened
	Rate     float64        `json:"rate"`      // datagrams or requests a second, each way
	Size     int            `json:"size"`      // octets of payload of each
	BothWays bool           `json:"both-ways"` // the far end sends as much
}

// A StopFlow ends a flow at either end.
type StopFlow struct {
	Flow string `json:"flow"`
}
