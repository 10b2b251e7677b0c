// Package host is the node's hands: what a role does to the kernel of the
// network namespace that it runs in. Addresses, routes, rules and proxied
// neighbours; sight of carriers and of duplicate address detection; the sockets
// for mobility signalling and neighbour discovery; and the tunnel of Mobile IPv6
// over either of two engines.
//
// It decides nothing. When an address is configured, what is sent and to whom it
// is believed is in the roles and their machines; formats are in nodes/wire.
package host

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/nodes/rtnetlink"
)

// A Host acts in the network namespace that Open was called in. Methods that
// open something (MobilityPort, NDPort, ARPPort, NewTunnel; also ListenUDP of a port
// and Set or Expect of a tunnel in UDP) or that change a setting (SetSysctl,
// SetForwarding and the like) must be called in the same one; all others work from
// anywhere. Methods may be called at the same time.
type Host struct {
	nl    *netlink
	ask   int // socket for questions about devices that wait for nobody: see request
	watch int // rtnetlink socket of Watch
	path  int // the smallest MTU that a packet may meet, as far as configured

	encapsulated encapsulated

	mu      sync.Mutex
	names   map[int]string // devices, by index
	indexes map[string]int
	held    map[string]string // by name, what SetSysctl has set
	ordered bool              // the local table's rule stands behind those of this package
}

// Open finds the devices that the configuration names. It changes nothing.
func Open(cfg *control.Config) (*Host, error) {
	nl, err := openNetlink()
	if err != nil {
		return nil, err
	}
	watch, err := rtnetlink.OpenFD(unix.SOCK_NONBLOCK)
	if err != nil {
		nl.Close()
		return nil, err
	}
	ask, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		nl.Close()
		unix.Close(watch)
		return nil, err
	}
	h := &Host{nl: nl, ask: ask, watch: watch, path: usualMTU, names: map[int]string{}, indexes: map[string]int{}, held: map[string]string{}}
	if cfg.PathMTU != 0 {
		h.path = cfg.PathMTU
	}
	for _, dev := range cfg.Interfaces {
		h.learn(dev.Index, dev.Name)
		if dev.MTU != 0 {
			h.path = min(h.path, dev.MTU)
		}
	}
	return h, nil
}

// Close closes what Open has opened. Ports and tunnels are closed by themselves;
// addresses, routes and rules stay.
func (h *Host) Close() error {
	h.mu.Lock()
	open := []int{h.ask, h.watch}
	h.ask, h.watch = -1, -1
	h.mu.Unlock()
	for _, fd := range open {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	return h.nl.Close()
}

func (h *Host) learn(index int, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names[index], h.indexes[name] = name, index
}

// Index gives the index of a device.
func (h *Host) Index(dev string) (int, error) {
	h.mu.Lock()
	index, ok := h.indexes[dev]
	h.mu.Unlock()
	if ok {
		return index, nil
	}
	l, err := h.nl.link(0, dev)
	if err != nil {
		return 0, fmt.Errorf("device %q: %w", dev, err)
	}
	h.learn(l.index, l.name)
	return l.index, nil
}

// Name gives the name of a device, and an empty one where there is no such index.
func (h *Host) Name(index int) string {
	h.mu.Lock()
	name, ok := h.names[index]
	h.mu.Unlock()
	if ok {
		return name
	}
	l, err := h.nl.link(index, "")
	if err != nil {
		return ""
	}
	h.learn(l.index, l.name)
	return l.name
}

// MTU gives the largest packet of a device, in octets.
func (h *Host) MTU(dev string) (int, error) {
	r, err := h.request(dev, unix.SIOCGIFMTU)
	return int(native.Uint32(r.value[:])), err
}

// HardwareAddr gives the link-layer address of a device.
func (h *Host) HardwareAddr(dev string) ([6]byte, error) {
	r, err := h.request(dev, unix.SIOCGIFHWADDR)
	return [6]byte(r.value[2:]), err // behind the family
}

// A deviceRequest is struct ifreq.
type deviceRequest struct {
	name  [unix.IFNAMSIZ]byte
	value [24]byte
}

// request asks about a device without rtnetlink, whose lock for devices others in
// the machine may hold for milliseconds: this is asked while packets wait.
func (h *Host) request(dev string, what uintptr) (r deviceRequest, err error) {
	if len(dev) >= len(r.name) {
		return r, fmt.Errorf("device %q: %w", dev, unix.ENODEV)
	}
	copy(r.name[:], dev)
	h.mu.Lock() // as Close may be called
	defer h.mu.Unlock()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(h.ask), what, uintptr(unsafe.Pointer(&r))); errno != 0 {
		err = fmt.Errorf("device %q: %w", dev, errno)
	}
	return r, err
}

// SetSysctl sets a value under /proc/sys/net/ipv6, such as conf/lte/proxy_ndp.
func (h *Host) SetSysctl(name, value string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/"+name, []byte(value), 0)
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(h.held, name); err == nil {
		h.held[name] = value
	}
	return err
}

// hold is SetSysctl for a value that this process may have set before: to set one
// takes longer than to change an address.
func (h *Host) hold(name, value string) error {
	h.mu.Lock()
	held := h.held[name]
	h.mu.Unlock()
	if held == value {
		return nil
	}
	return h.SetSysctl(name, value)
}

// SetSysctl4 sets a value under /proc/sys/net/ipv4, such as conf/lte/rp_filter.
func (h *Host) SetSysctl4(name, value string) error {
	return os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0)
}

// SetForwarding makes the node a router for IPv6 and IPv4, or a host.
func (h *Host) SetForwarding(router bool) error {
	value := "0"
	if router {
		value = "1"
	}
	return allOf(h.SetSysctl("conf/all/forwarding", value), h.SetSysctl4("conf/all/forwarding", value))
}

// TakeAnySource makes the node take IPv4 packets by whichever device they come, as
// it does with those of IPv6: the way back to their source may be another, or a
// tunnel (RFC 3704, section 2.2, is what is put off).
func (h *Host) TakeAnySource() error {
	names, err := os.ReadDir("/proc/sys/net/ipv4/conf")
	for _, name := range names { // those of this namespace, with all and default
		if failed := h.SetSysctl4("conf/"+name.Name()+"/rp_filter", "0"); !errors.Is(failed, os.ErrNotExist) { // it has just gone
			err = allOf(err, failed)
		}
	}
	return err
}

// Priorities of rules: the kernel asks the lowest first. A role's rules stand
// between PriorityRole and PriorityRoleEnd, behind the local table and before the
// main one.
const (
	prioritySilent  = 10
	priorityTunnel  = 20
	priorityLocal   = 100
	PriorityRole    = 1000
	PriorityRoleEnd = 29999

	priorityOptimized = 30000
)

// orderRules moves the rule of the local table behind those of this package. It
// is there at every moment.
func (h *Host) orderRules() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ordered {
		return nil
	}
	var b batch
	b.rule("local table", unix.RTM_NEWRULE, Rule{Priority: priorityLocal, Table: unix.RT_TABLE_LOCAL}, unix.EEXIST)
	b.rule("local table", unix.RTM_DELRULE, Rule{Priority: 0, Table: unix.RT_TABLE_LOCAL}, unix.ENOENT)
	err := h.nl.do(&b)
	h.ordered = err == nil
	return err
}

// allOf says what of several things went wrong.
func allOf(errs ...error) error { return errors.Join(errs...) }
