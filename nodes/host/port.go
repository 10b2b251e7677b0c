package host

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/eapol"
)

// A ControlledPort is the controlled port of a device: IEEE 802.1X-2004, clause 6. It
// passes EAPOL always, and other frames only from and to the stations that were
// admitted, or of everybody while it is open. A router admits stations; a mobile node,
// which has one router, opens and shuts the whole. That is done by nftables, at the
// hooks of the device that come before the node's protocols.
//
// While it is shut frames are dropped, and who sent them is mostly not told: packets of
// the kernel are lost as on a wire, a packet socket gets ENOBUFS. So a router
// solicitation that the kernel has sent is lost, and after some it sends no more (RFC
// 4861, section 6.3.7); duplicate address detection has asked nobody, and the address
// is taken for unique all the same. Both are for the owner to do again, or to begin
// only when the port opens. Addresses and routes stay as they are; neighbours that could
// not be resolved are asked for again by the next packet. Captures on the node itself
// still show what comes in to a shut port, and do not show what was kept from leaving.
//
// Frames to a group leave while any station is admitted, and then all on the link
// hear them. Where the kernel has no hook for what leaves, only what comes in is
// controlled (802.1X-2004, clause 6.5: AdminControlledDirections In): the node hears
// nobody, and so answers nobody, but its router advertisements can be heard.
//
// A device that is removed takes its hooks along: one that is made again by that name
// is controlled from the next ControlledPort on. Methods may be called at the same time.
type ControlledPort struct {
	dev      string
	outwards bool

	mu       sync.Mutex
	conn     *nftables.Conn
	table    *nftables.Table
	stations *nftables.Set // admitted
	groups   *nftables.Set // the group bit, while there are any
	chains   []*nftables.Chain
	admitted [][6]byte
}

// ErrUncontrolled says that this kernel, or this user, cannot control a port.
var ErrUncontrolled = errors.New("this kernel controls no ports of devices here (want CONFIG_NF_TABLES, CONFIG_NF_TABLES_NETDEV and CONFIG_NETFILTER_INGRESS)\n    hint: sudo modprobe nf_tables, or use links without access authentication")

// ProbeControlledPort says whether the kernel can control ports in this network
// namespace, nil where it can, and whether what leaves is controlled too. It leaves
// nothing behind. Every error wraps ErrUncontrolled.
func ProbeControlledPort() (outwards bool, err error) {
	for _, hook := range []*nftables.ChainHook{nftables.ChainHookIngress, nftables.ChainHookEgress} {
		c, err := nftables.New()
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrUncontrolled, err)
		}
		table := &nftables.Table{Name: "s2clab-probe", Family: nftables.TableFamilyNetdev}
		c.AddTable(table)
		open := nftables.ChainPolicyAccept
		c.AddChain(&nftables.Chain{Name: "probe", Table: table, Type: nftables.ChainTypeFilter, Hooknum: hook,
			Priority: nftables.ChainPriorityFilter, Policy: &open, Device: "lo"})
		c.DelTable(table)
		switch err := c.Flush(); {
		case err == nil:
			outwards = hook == nftables.ChainHookEgress
		case hook == nftables.ChainHookEgress && errors.Is(err, unix.EOPNOTSUPP): // before Linux 5.16
		default:
			return false, fmt.Errorf("%w: nftables: %w", ErrUncontrolled, err)
		}
	}
	return outwards, nil
}

func portTable(dev string) string { return "s2clab-port-" + dev }

// ControlledPort shuts a device to everybody, in place of what an earlier one let
// through. All of it holds from one moment on, or nothing.
func (h *Host) ControlledPort(dev string) (*ControlledPort, error) {
	if _, err := h.Index(dev); err != nil {
		return nil, fmt.Errorf("controlled port: %w", err)
	}
	outwards, err := ProbeControlledPort()
	if err != nil {
		return nil, fmt.Errorf("controlled port: %w", inDevice(dev, err))
	}
	return newControlledPort(dev, outwards)
}

func newControlledPort(dev string, outwards bool) (*ControlledPort, error) {
	c, err := nftables.New(nftables.AsLasting()) // of this namespace
	if err != nil {
		return nil, fmt.Errorf("controlled port: %w", inDevice(dev, err))
	}
	p := &ControlledPort{dev: dev, outwards: outwards, conn: c,
		table: &nftables.Table{Name: portTable(dev), Family: nftables.TableFamilyNetdev}}
	if err := p.make(); err != nil {
		c.CloseLasting()
		return nil, fmt.Errorf("controlled port: %w", inDevice(dev, err))
	}
	return p, nil
}

// Places in an Ethernet header.
const (
	toMAC     = 0
	fromMAC   = 6
	etherType = 12
)

// groupBit is the one that tells a group's address from a station's.
var groupBit = [6]byte{0x01}

func (p *ControlledPort) make() error {
	c := p.conn
	c.AddTable(p.table) // so that there is one to delete
	c.DelTable(p.table)
	c.AddTable(p.table)
	p.stations = &nftables.Set{Table: p.table, Name: "stations", KeyType: nftables.TypeEtherAddr}
	p.groups = &nftables.Set{Table: p.table, Name: "groups", KeyType: nftables.TypeEtherAddr}
	if err := allOf(c.AddSet(p.stations, nil), c.AddSet(p.groups, nil)); err != nil {
		return err
	}
	p.chain("in", nftables.ChainHookIngress,
		rule(header(etherType, 2), is(binaryutil.BigEndian.PutUint16(eapol.EtherType))),
		rule(header(fromMAC, 6), among(p.stations)),
	)
	if p.outwards {
		p.chain("out", nftables.ChainHookEgress,
			rule(header(etherType, 2), is(binaryutil.BigEndian.PutUint16(eapol.EtherType))),
			rule(header(toMAC, 6), among(p.stations)),
			rule(header(toMAC, 6), masked(groupBit), among(p.groups)),
		)
	}
	return c.Flush()
}

// chain adds one whose rules say what passes.
func (p *ControlledPort) chain(name string, hook *nftables.ChainHook, pass ...[]expr.Any) {
	shut := nftables.ChainPolicyDrop
	ch := p.conn.AddChain(&nftables.Chain{Name: name, Table: p.table, Type: nftables.ChainTypeFilter, Hooknum: hook,
		Priority: nftables.ChainPriorityFilter, Policy: &shut, Device: p.dev})
	for _, e := range pass {
		p.conn.AddRule(&nftables.Rule{Table: p.table, Chain: ch, Exprs: append(e, &expr.Verdict{Kind: expr.VerdictAccept})})
	}
	p.chains = append(p.chains, ch)
}

func rule(parts ...expr.Any) []expr.Any { return parts }

func header(offset, size uint32) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseLLHeader, Offset: offset, Len: size}
}

func is(value []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}
}

func masked(by [6]byte) expr.Any {
	return &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 6, Mask: by[:], Xor: make([]byte, 6)}
}

func among(s *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}
}

// Outwards says whether frames are kept from leaving too.
func (p *ControlledPort) Outwards() bool { return p.outwards }

// Admit lets a station's frames through, in and out.
func (p *ControlledPort) Admit(station [6]byte) error {
	if station[0]&1 != 0 || station == [6]byte{} {
		return inDevice(p.dev, fmt.Errorf("admit %x: want the address of one station", station))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.admitted, station) {
		return nil
	}
	err := p.conn.SetAddElements(p.stations, element(station))
	if len(p.admitted) == 0 {
		err = allOf(err, p.conn.SetAddElements(p.groups, element(groupBit)))
	}
	if err = allOf(err, p.conn.Flush()); err != nil {
		return inDevice(p.dev, fmt.Errorf("admit %x: %w", station, err))
	}
	p.admitted = append(p.admitted, station)
	return nil
}

// Bar ends Admit.
func (p *ControlledPort) Bar(station [6]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.admitted, station)
	if i < 0 {
		return nil
	}
	err := p.conn.SetDeleteElements(p.stations, element(station))
	if len(p.admitted) == 1 {
		p.conn.FlushSet(p.groups)
	}
	if err = allOf(err, p.conn.Flush()); err != nil {
		return inDevice(p.dev, fmt.Errorf("bar %x: %w", station, err))
	}
	p.admitted = slices.Delete(p.admitted, i, i+1)
	return nil
}

func element(mac [6]byte) []nftables.SetElement { return []nftables.SetElement{{Key: mac[:]}} }

// Open lets all frames through.
func (p *ControlledPort) Open() error { return p.setPolicy(nftables.ChainPolicyAccept) }

// Shut lets nobody's frames through, also not those of stations that were admitted.
func (p *ControlledPort) Shut() error { return p.setPolicy(nftables.ChainPolicyDrop) }

func (p *ControlledPort) setPolicy(policy nftables.ChainPolicy) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ch := range p.chains { // without their hook, which stays
		p.conn.AddChain(&nftables.Chain{Name: ch.Name, Table: p.table, Policy: &policy})
	}
	if policy == nftables.ChainPolicyDrop {
		p.conn.FlushSet(p.stations)
		p.conn.FlushSet(p.groups)
	}
	if err := p.conn.Flush(); err != nil {
		return inDevice(p.dev, err)
	}
	if policy == nftables.ChainPolicyDrop {
		p.admitted = nil
	}
	return nil
}

// Close ends the control: all frames pass.
func (p *ControlledPort) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn.AddTable(p.table)
	p.conn.DelTable(p.table)
	return allOf(inDevice(p.dev, p.conn.Flush()), p.conn.CloseLasting())
}
