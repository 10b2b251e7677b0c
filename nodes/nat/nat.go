// Package nat is role nat: a router between private links and the rest, which
// gives what comes from inside an address and a port of its own. It advertises
// itself and serves addresses as a router does.
//
// The kernel translates (nodes/translate). This role tells it which ports to use,
// and makes it lose its mappings or change them where a scenario says so.
package nat

import (
	"errors"
	"fmt"
	"slices"

	"s2clab/nodes/control"
	"s2clab/nodes/translate"
)

// halves are the ports of a NAT: one half of them is in use, and the other is
// not until it is told to renumber, so that every mapping changes by that.
type halves struct {
	ports control.Ports
	upper bool
}

// now are the ports in use.
func (h halves) now() translate.Ports {
	middle := h.ports.First + (h.ports.Last-h.ports.First)/2
	if h.upper {
		return translate.Ports{First: middle + 1, Last: h.ports.Last}
	}
	return translate.Ports{First: h.ports.First, Last: middle}
}

// A translator is what this role asks of the kernel.
type translator interface {
	Start(translate.Translation) error
	Mappings() ([]translate.Mapping, error)
	Forget() error

	// Babble has who is inside answered with nonsense, until end is called, which says
	// by how many packets.
	Babble(seed uint64) (end func() int, err error)
}

// A box is a NAT.
type box struct {
	kernel  translator
	cfg     *control.NAT
	outside []translate.Outside
	halves  halves
	seed    uint64
	behave  func() int // ends a babble; nil: there is none
}

func newBox(cfg *control.Config, kernel translator) *box {
	b := &box{kernel: kernel, cfg: cfg.NAT, seed: cfg.Seed, halves: halves{ports: cfg.NAT.Ports}}
	for _, in := range cfg.Interfaces {
		for _, p := range in.Addresses {
			if p.Addr().Is4() && !slices.Contains(cfg.NAT.Inside, in.Name) {
				b.outside = append(b.outside, translate.Outside{Device: in.Name, Address: p.Addr()})
			}
		}
	}
	return b
}

func (b *box) start() error {
	return b.kernel.Start(translate.Translation{Inside: b.cfg.Inside, Outside: b.outside, Ports: b.halves.now(), Random: b.cfg.RandomPorts, UDPTimeout: b.cfg.UDPTimeout})
}

// close ends a babble, where there is one, and says how many packets it had.
func (b *box) close() (sent int) {
	if b.behave != nil {
		sent = b.behave()
		b.behave = nil
	}
	return sent
}

// toldMappings is how many lost mappings an event names.
const toldMappings = 20

// do does what a scenario says, and returns the event that tells of it.
func (b *box) do(command string) (event string, fields map[string]any, err error) {
	switch command {
	case "forget", "renumber":
	case "babble":
		if b.behave != nil {
			return "", nil, errors.New("it babbles already")
		}
		b.behave, err = b.kernel.Babble(b.seed)
		return "nat-babbles", nil, err
	case "behave":
		if b.behave == nil {
			return "", nil, errors.New("it does not babble")
		}
		return "nat-behaves", map[string]any{"sent": b.close()}, nil
	default:
		return "", nil, fmt.Errorf("a NAT knows no command %q", command)
	}
	mappings, err := b.kernel.Mappings()
	if err != nil {
		return "", nil, err
	}
	were := []string{}
	for _, m := range mappings[:min(len(mappings), toldMappings)] {
		were = append(were, fmt.Sprintf("%s %v as %v to %v", m.Protocol, m.Inside, m.Outside, m.Remote))
	}
	fields = map[string]any{"mappings": len(mappings), "were": were}
	event = "nat-forgot"
	if command == "renumber" {
		event = "nat-renumbered"
		b.halves.upper = !b.halves.upper
		fields["ports"] = b.halves.now().String()
		if err := b.start(); err != nil {
			return "", nil, err
		}
	}
	return event, fields, b.kernel.Forget()
}
