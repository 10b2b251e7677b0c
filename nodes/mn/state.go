package mn

import (
	"net/netip"
	"time"
)

// A State is what a mobile node knows, for people to look at.
type State struct {
	HomeAddress *netip.Addr `json:"home-address,omitempty"` // none: not assigned yet

	Link    string        `json:"link,omitempty"`    // where it is attached; empty: nowhere
	CareOf  *netip.Addr   `json:"care-of,omitempty"` // the address it has there
	Home    bool          `json:"home"`              // it is at home
	Bound   bool          `json:"bound"`             // the home agent has acknowledged a binding
	Left    float64       `json:"left,omitempty"`    // seconds until that ends
	Seq     uint16        `json:"seq"`               // the last sequence number
	Waiting bool          `json:"waiting"`           // a Binding Update is not answered yet
	Agent   netip.Addr    `json:"home-agent"`        // the present one
	Absence string        `json:"absence,omitempty"` // revoked or deregistered: it asks for no binding
	Offset  float64       `json:"offset,omitempty"`  // seconds that the home agent has set the clock by
	Links   []AccessState `json:"links"`
	Flows   []FlowState   `json:"flows,omitempty"` // in the order in which they are matched
}

// A FlowState is a flow binding of a mobile node that uses all its accesses.
type FlowState struct {
	Name   string   `json:"name"`
	FID    uint16   `json:"fid"`
	Prefer []string `json:"prefer"`         // links, the preferred one first
	Link   string   `json:"link,omitempty"` // the one that the home agent has it at; empty: none
}

// An AccessState is what a mobile node knows of one link.
type AccessState struct {
	Link    string      `json:"link"`
	Carrier bool        `json:"carrier"`
	Router  *netip.Addr `json:"router,omitempty"`
	CareOf  *netip.Addr `json:"care-of,omitempty"`
	Home    bool        `json:"home"`
	Signal  *float64    `json:"signal,omitempty"` // dBm; nil: not heard, or not told
	BID     uint16      `json:"bid,omitempty"`    // where all accesses are used
	Bound   bool        `json:"bound,omitempty"`  // the home agent has acknowledged that one
}

// State says how things are at now.
func (m *Machine) State(now time.Time) State {
	r := &m.registration
	s := State{Bound: r.bound, Seq: r.seq, Waiting: r.waiting != nil, Absence: m.absence.String(), Agent: m.cfg.HomeAgent, Offset: m.security.offset.Seconds(), HomeAddress: pointer(m.home.address)}
	if m.here != nil {
		s.Link, s.CareOf, s.Home = m.here.link, pointer(m.careOf), m.here.home
	}
	if r.bound {
		s.Left = r.expires.Sub(now).Seconds()
	}
	if r := m.mobileIPv4; r != nil {
		s.HomeAddress, s.Bound, s.Waiting = pointer(m.dual.home), r.bound, r.waiting
		if r.bound && !r.expires.IsZero() {
			s.Left = r.expires.Sub(now).Seconds()
		}
	}
	for _, a := range m.accesses {
		as := AccessState{Link: a.link, Carrier: a.carrier, Home: a.home, CareOf: pointer(a.address.prefix.Addr())}
		if a.router != nil {
			as.Router = pointer(a.router.name())
		}
		if a.ipv4.carries {
			as.Router, as.CareOf = pointer(a.ipv4.router), pointer(a.ipv4.prefix.Addr())
		}
		if a.radio.heard {
			level := a.radio.level
			as.Signal = &level
		}
		for _, b := range m.multi.bindings {
			if b.access == a {
				as.BID, as.Bound = b.bid, b.bound.IsValid()
			}
		}
		s.Links = append(s.Links, as)
	}
	for _, f := range m.multi.flows {
		fs := FlowState{Name: f.name, FID: f.fid}
		for _, b := range f.prefer {
			fs.Prefer = append(fs.Prefer, b.access.link)
		}
		if at := m.multi.of(f.at); at != nil {
			fs.Link = at.access.link
		}
		s.Flows = append(s.Flows, fs)
	}
	return s
}

// pointer is a, and nil where there is none.
func pointer(a netip.Addr) *netip.Addr {
	if !a.IsValid() {
		return nil
	}
	return &a
}
