package host

import (
	"context"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
)

// A Change is a LinkChange or an AddressChange.
type Change interface{ change() }

// A LinkChange says that a device gained or lost its carrier.
type LinkChange struct {
	Dev     string
	Carrier bool // up, and the link answers
}

// An AddressChange says that an address came into another state.
type AddressChange struct {
	Dev     string
	Address netip.Addr
	State   AddressState
}

func (LinkChange) change()    {}
func (AddressChange) change() {}

// An AddressState is where an address stands in duplicate address detection: RFC
// 4862, section 5.4, and RFC 4429.
type AddressState int

const (
	Tentative  AddressState = iota // not to be used yet
	Optimistic                     // to be used, while detection goes on
	Ready                          // unique as far as known, or not to be asked
	Failed                         // another node has it
	Removed
)

func (s AddressState) String() string {
	return [...]string{"tentative", "optimistic", "ready", "failed", "removed"}[s]
}

// Watch tells of all devices and addresses as they are, then of every change,
// until ctx ends; then it closes the channel. It may be called once.
func (h *Host) Watch(ctx context.Context) <-chan Change {
	h.mu.Lock()
	fd := h.watch
	h.watch = -1
	h.mu.Unlock()
	if fd < 0 {
		out := make(chan Change)
		close(out)
		return out
	}
	return h.watchBy(ctx, fd)
}

// watchBy is Watch with a socket of its own, which it closes.
func (h *Host) watchBy(ctx context.Context, fd int) <-chan Change {
	out := make(chan Change, 64)
	for _, group := range []int{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV6_IFADDR} {
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
	}
	w := &watcher{
		host: h, out: out, file: os.NewFile(uintptr(fd), "rtnetlink"),
		carrier: map[int]bool{}, addresses: map[heldAddress]AddressState{},
	}
	w.look(fd, unix.RTM_GETLINK)
	stop := context.AfterFunc(ctx, func() { w.file.Close() })
	go func() {
		defer close(out)
		defer w.file.Close()
		defer stop()
		w.run(ctx, fd)
	}()
	return out
}

type watcher struct {
	host      *Host
	file      *os.File
	out       chan<- Change
	carrier   map[int]bool
	addresses map[heldAddress]AddressState
}

type heldAddress struct {
	index   int
	address netip.Addr
}

// look asks the kernel for all devices or all addresses as they are now.
func (w *watcher) look(fd int, kind uint16) {
	var b batch
	header := rtnetlink.LinkHeader(0, 0, 0)
	if kind == unix.RTM_GETADDR {
		header = addressHeader(everywhere, 0, 0)
	}
	b.End(b.Begin("look", kind, unix.NLM_F_DUMP, header))
	unix.Sendto(fd, b.Octets(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

func (w *watcher) run(ctx context.Context, fd int) {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 32<<10)
	looking := true // at devices; addresses come next, as one socket does one dump at a time
	for ctx.Err() == nil {
		var size int
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			size, _, failed = unix.Recvfrom(int(fd), buf, 0)
			return failed != unix.EAGAIN && failed != unix.EINTR
		})
		if err != nil {
			return
		}
		if failed == unix.ENOBUFS { // changes were lost: look again
			w.look(fd, unix.RTM_GETLINK)
			looking = true
			continue
		}
		if failed != nil {
			return
		}
		rtnetlink.EachMessage(buf[:size], func(kind uint16, _ uint32, body []byte) {
			switch kind {
			case unix.RTM_NEWLINK, unix.RTM_DELLINK:
				w.link(ctx, body, kind == unix.RTM_DELLINK)
			case unix.RTM_NEWADDR, unix.RTM_DELADDR:
				w.address(ctx, body, kind == unix.RTM_DELADDR)
			case unix.NLMSG_DONE:
				if looking {
					looking = false
					w.look(fd, unix.RTM_GETADDR)
				}
			}
		})
	}
}

func (w *watcher) link(ctx context.Context, body []byte, gone bool) {
	if len(body) > 0 && body[0] == unix.AF_BRIDGE {
		return
	}
	l, ok := parseLink(body)
	if !ok {
		return
	}
	if gone {
		w.host.forget(l.index)
		l.carrier = false
	} else {
		w.host.learn(l.index, l.name)
	}
	before, known := w.carrier[l.index]
	if known && before == l.carrier {
		return
	}
	w.carrier[l.index] = l.carrier
	w.tell(ctx, LinkChange{Dev: l.name, Carrier: l.carrier})
	if gone {
		delete(w.carrier, l.index)
	}
}

// An addressHeld is an address with the state it is in.
type addressHeld struct {
	heldAddress
	state AddressState
}

// parseAddress reads the body of an RTM_NEWADDR of IPv6.
func parseAddress(body []byte) (held addressHeld, ok bool) {
	if len(body) < unix.SizeofIfAddrmsg || body[0] != unix.AF_INET6 {
		return held, false
	}
	flags := uint32(body[2])
	held.index = int(native.Uint32(body[4:]))
	rtnetlink.EachAttribute(body[unix.SizeofIfAddrmsg:], func(kind uint16, value []byte) {
		switch {
		case kind == unix.IFA_ADDRESS && !held.address.IsValid(), kind == unix.IFA_LOCAL:
			held.address, _ = netip.AddrFromSlice(value)
		case kind == unix.IFA_FLAGS && len(value) == 4:
			flags = native.Uint32(value)
		}
	})
	held.state = Ready
	switch {
	case flags&unix.IFA_F_DADFAILED != 0:
		held.state = Failed
	case flags&unix.IFA_F_OPTIMISTIC != 0:
		held.state = Optimistic
	case flags&unix.IFA_F_TENTATIVE != 0:
		held.state = Tentative
	}
	return held, held.address.IsValid()
}

func (w *watcher) address(ctx context.Context, body []byte, gone bool) {
	held, ok := parseAddress(body)
	if !ok {
		return
	}
	if gone {
		held.state = Removed
	}
	before, known := w.addresses[held.heldAddress]
	if known == !gone && before == held.state {
		return
	}
	w.addresses[held.heldAddress] = held.state
	if gone {
		delete(w.addresses, held.heldAddress)
	}
	w.tell(ctx, AddressChange{Dev: w.host.Name(held.index), Address: held.address, State: held.state})
}

func (w *watcher) tell(ctx context.Context, c Change) {
	select {
	case w.out <- c:
	case <-ctx.Done():
	}
}

func (h *Host) forget(index int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.indexes, h.names[index])
	delete(h.names, index)
}
