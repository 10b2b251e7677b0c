// Package translate makes the kernel of a network namespace translate the IPv4
// addresses of private links: a NAT of ports as RFC 4787 and RFC 5382 describe
// them, by nftables and the kernel's own connection tracking.
//
// It says what the kernel is told and shows what the kernel holds. When mappings
// are lost or change is for role nat; IPv6 passes untouched.
package translate

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Ports are the ports that mappings may have outside, both ends included.
type Ports struct{ First, Last uint16 }

func (p Ports) String() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }

// A Translation is what a NAT does.
type Translation struct {
	Inside     []string      // devices on private links
	Outside    []Outside     // the others
	Ports      Ports         // of mappings; a port of the inside stays as it is where it is free and one of these
	Random     bool          // it never stays
	UDPTimeout time.Duration // of a mapping that no packet uses, whole seconds
}

// An Outside is a device that leads outside, with the address that packets get
// which leave by it.
type Outside struct {
	Device  string
	Address netip.Addr
}

// ErrUnable says that this kernel, or this user, cannot have a NAT.
var ErrUnable = errors.New("this kernel translates no addresses here (want CONFIG_NF_TABLES, CONFIG_NFT_NAT and CONFIG_NF_CONNTRACK)\n    hint: sudo modprobe -a nf_tables nft_ct nft_nat nft_chain_nat nf_conntrack_netlink; s2clab doctor tries it")

const (
	tableName  = "s2clab-nat"
	fromInside = 1 // mark of packets that came in by a private link
)

// Start makes the kernel translate, in place of what it was told before. All of
// it holds from one moment on, or nothing. Mappings that there are stay.
func Start(t Translation) error {
	for _, name := range []string{"nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"} {
		if err := os.WriteFile("/proc/sys/net/netfilter/"+name, fmt.Append(nil, int(t.UDPTimeout/time.Second)), 0); err != nil {
			return fmt.Errorf("%w: time-out of UDP: %w", ErrUnable, err)
		}
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnable, err)
	}
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyIPv4}
	c.AddTable(table) // so that there is one to delete
	c.DelTable(table)
	c.AddTable(table)
	chain := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) func(...[]expr.Any) {
		ch := c.AddChain(&nftables.Chain{Name: name, Table: table, Type: kind, Hooknum: hook, Priority: priority})
		return func(parts ...[]expr.Any) {
			c.AddRule(&nftables.Rule{Table: table, Chain: ch, Exprs: slices.Concat(parts...)})
		}
	}

	seen := chain("seen", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityMangle)
	pass := chain("pass", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	own := chain("own", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter)
	leave := chain("leave", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	for _, dev := range t.Inside {
		seen(device(expr.MetaKeyIIFNAME, dev), mark())
		pass(device(expr.MetaKeyOIFNAME, dev), marked(), accept)
		pass(device(expr.MetaKeyOIFNAME, dev), known(), accept)
		pass(device(expr.MetaKeyOIFNAME, dev), drop) // nothing gets in unasked
	}
	own(marked(), accept)
	own(device(expr.MetaKeyIIFNAME, "lo"), accept)
	own(known(), accept)
	own(protocol(unix.IPPROTO_ICMP), accept)
	own(drop) // without a word, as to an address that nobody has
	for _, p := range translated {
		pass(marked(), protocol(p), accept)
		for _, o := range t.Outside {
			leave(device(expr.MetaKeyOIFNAME, o.Device), marked(), protocol(p), source(t, o.Address))
		}
	}
	pass(marked(), drop) // what has no ports cannot be told apart on its way back
	if err := c.Flush(); err != nil {
		return fmt.Errorf("%w: nftables: %w", ErrUnable, err)
	}
	return nil
}

// translated are the protocols that get through.
var translated = []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP}

var (
	accept = []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}
	drop   = []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}
)

func device(key expr.MetaKey, dev string) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, dev)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name}}
}

func mark() []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(fromInside)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	}
}

func marked() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(fromInside)},
	}
}

// known matches packets of a mapping, and errors about one.
func known() []expr.Any {
	none := binaryutil.NativeEndian.PutUint32(0)
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Xor: none,
			Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: none},
	}
}

func protocol(number byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}}}
}

// source gives a packet another source.
func source(t Translation, a netip.Addr) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: a.AsSlice()},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(t.Ports.First)},
		&expr.Immediate{Register: 3, Data: binaryutil.BigEndian.PutUint16(t.Ports.Last)},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2, RegProtoMax: 3, Specified: true, FullyRandom: t.Random},
	}
}

// A Mapping is what a NAT remembers of a node behind it that speaks with one
// outside.
type Mapping struct {
	Protocol string // tcp, udp
	Inside   netip.AddrPort
	Outside  netip.AddrPort // what the other end sees
	Remote   netip.AddrPort
}

// Mappings returns those of TCP and UDP, in no order.
func Mappings() ([]Mapping, error) {
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("connection tracking: %w", err)
	}
	names := map[uint8]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp"}
	var all []Mapping
	for _, f := range flows {
		inside, ok := netip.AddrFromSlice(f.Forward.SrcIP)
		outside, ok2 := netip.AddrFromSlice(f.Reverse.DstIP)
		remote, ok3 := netip.AddrFromSlice(f.Forward.DstIP)
		if name := names[f.Forward.Protocol]; name != "" && ok && ok2 && ok3 && inside.Unmap() != outside.Unmap() {
			all = append(all, Mapping{
				Protocol: name,
				Inside:   netip.AddrPortFrom(inside.Unmap(), f.Forward.SrcPort),
				Outside:  netip.AddrPortFrom(outside.Unmap(), f.Reverse.DstPort),
				Remote:   netip.AddrPortFrom(remote.Unmap(), f.Forward.DstPort),
			})
		}
	}
	return all, nil
}

// Forget makes the kernel lose all mappings.
func Forget() error {
	if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
		return fmt.Errorf("connection tracking: %w", err)
	}
	return nil
}

// Probe says whether the kernel can translate in this network namespace, nil where
// it can. It leaves nothing behind.
func Probe() error {
	if err := Start(Translation{Inside: []string{"in"}, Outside: []Outside{{"out", netip.AddrFrom4([4]byte{192, 0, 2, 1})}}, Ports: Ports{1024, 65535}, UDPTimeout: time.Minute}); err != nil {
		return err
	}
	if _, err := Mappings(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnable, err)
	}
	return Stop()
}

// Stop makes the kernel translate no more.
func Stop() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyIPv4}
	c.AddTable(table)
	c.DelTable(table)
	return c.Flush()
}
