package mn

import (
	"errors"
	"net/netip"
	"time"

	"s2clab/nodes/control"
)

// A home is where a mobile node is reached wherever it is attached. A node that
// was not told has the zero value until its home agent assigns it one.
type home struct {
	address netip.Addr   // not valid: not assigned yet
	prefix  netip.Prefix // masked; whose router advertises it is on the home link; not valid: not known
}

func homeOf(cfg *control.MobileNode) (home, error) {
	if cfg.HomeAddress.IsValid() != cfg.HomePrefix.IsValid() {
		return home{}, errors.New("home address without home prefix, or the reverse: want both, or neither to have them assigned")
	}
	if !cfg.HomeAddress.IsValid() && cfg.Security.Integrity == "none" {
		return home{}, errors.New("no home address, and integrity none: one that is assigned must be proven")
	}
	return home{address: cfg.HomeAddress, prefix: cfg.HomePrefix.Masked()}, nil
}

// known says whether there is one.
func (h home) known() bool { return h.address.IsValid() }

// told is the address as a Binding Update has it. Lab decision: the unspecified
// one asks for one to be assigned, as it does in the home agent's question to its
// Diameter server (RFC 5778, section 6.5).
func (h home) told() netip.Addr {
	if !h.known() {
		return netip.IPv6Unspecified()
	}
	return h.address
}

// within is the address with the length of the prefix.
func (h home) within() netip.Prefix { return netip.PrefixFrom(h.address, h.prefix.Bits()) }

// asks says whether a Binding Update asks for a home address.
func (u *update) asks() bool { return u.home.IsUnspecified() }

// setHome makes h this node's home.
func (m *Machine) setHome(h home) {
	m.home = h
	m.linkLocal = false
	for _, a := range m.accesses {
		m.linkLocal = m.linkLocal || a.mayBeHome && join(h.prefix, modifiedEUI64(a.mac)) == h.address
	}
}

// assigned takes the home address that a proven acknowledgement tells. The prefix
// is the address's first 64 bits: interface identifiers are as long as the rest
// (RFC 4291, section 2.5.1).
func (m *Machine) assigned(address netip.Addr) {
	m.setHome(home{address: address, prefix: netip.PrefixFrom(address, 64).Masked()})
	m.do(TakeHome{Address: m.home.within(), HomeAgent: m.cfg.HomeAgent})
	m.event("home-address-assigned", map[string]any{"home-address": address.String(), "prefix": m.home.prefix.String()})
}

// lookForHome sees whether a link that is there is the home link, now that this
// node knows its home prefix: 3GPP TS 24.303, clause 5.1.1.
func (m *Machine) lookForHome(now time.Time) {
	for _, a := range m.accesses {
		m.configure(now, a)
	}
	m.settle(now)
}
