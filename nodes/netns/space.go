// Package netns makes the places where nodes live: a network, UTS and mount
// namespace each, and the devices in it that a link's relay reads and writes.
//
// It knows nothing of nodes' roles, of links or of what runs in a Space. It needs
// CAP_SYS_ADMIN over the user namespace it is called in, not root.
package netns

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"s2clab/nodes/rtnetlink"
)

// A Space is a node's own network, UTS and mount namespace. One OS thread lives
// inside it for as long as the Space is open; all work inside is done there.
type Space struct {
	name string
	work chan func()
	gone chan struct{}
	nl   *rtnetlink.Socket
}

// New makes a Space with a host name, its loopback up, and hosts as the text of
// its /etc/hosts.
func New(name, hosts string) (*Space, error) {
	s := &Space{name: name, work: make(chan func()), gone: make(chan struct{})}
	made := make(chan error)
	go s.live(hosts, made)
	if err := <-made; err != nil {
		return nil, fmt.Errorf("node %s: %w", name, err)
	}
	return s, nil
}

// live is the thread inside. It is never unlocked: when it ends, the thread ends
// with it, and with the thread the last hold on the namespaces.
func (s *Space) live(hosts string, made chan<- error) {
	defer close(s.gone)
	runtime.LockOSThread()
	if err := s.enter(hosts); err != nil {
		made <- err
		return
	}
	defer s.nl.Close()
	made <- nil
	for f := range s.work {
		f()
	}
}

func (s *Space) enter(hosts string) error {
	const spaces = unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWNS
	if err := unix.Unshare(unix.CLONE_FS | spaces); err != nil {
		return fmt.Errorf("namespaces: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	if err := unix.Sethostname([]byte(s.name)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := placeFile("/etc/hosts", hosts); err != nil {
		return fmt.Errorf("/etc/hosts: %w", err)
	}
	// A view of its own devices: the old mount shows those of the lab's own
	// network namespace. Refused where the kernel hides parts of /sys already;
	// nothing of ours reads it.
	unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RDONLY, "")
	for path, value := range defaults {
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return err
		}
	}
	var err error
	if s.nl, err = rtnetlink.Open(); err != nil {
		return err
	}
	var b Batch
	b.SetUp(loopbackIndex)
	return s.nl.Do(&b.requests)
}

const loopbackIndex = 1

// defaults hold for every device made in a Space afterwards. Duplicate address
// detection would keep each link-local address unusable for a second; a role
// that wants it asks for it by address. Router advertisements are read by roles,
// not by the kernel. Redirects are not believed, which differs from RFC 4861,
// section 8.3: Linux sends them to nodes that are no neighbors, and takes them from
// routers that it has not asked, so one home agent's would cut a correspondent off
// that sends by another. Every route is there anyway. Settings of IPv4 come from the
// machine's own network namespace unless they are made: no packet is refused for
// the way it came by, and a link is asked and told only of addresses that are on it.
var defaults = map[string]string{
	"/proc/sys/net/ipv6/conf/default/accept_dad":       "0",
	"/proc/sys/net/ipv6/conf/default/accept_ra":        "0",
	"/proc/sys/net/ipv6/conf/default/accept_redirects": "0",
	"/proc/sys/net/ipv6/conf/default/autoconf":         "0",

	"/proc/sys/net/ipv4/ip_forward":                "0",
	"/proc/sys/net/ipv4/conf/all/rp_filter":        "0",
	"/proc/sys/net/ipv4/conf/default/rp_filter":    "0",
	"/proc/sys/net/ipv4/conf/default/arp_ignore":   "1",
	"/proc/sys/net/ipv4/conf/default/arp_announce": "2",
}

// placeFile gives the calling thread's mount namespace a file of its own at path.
// The file system that holds it is detached at once, so it hides nothing.
func placeFile(path, text string) error {
	if _, err := os.Stat(path); err != nil {
		return nil // nothing to cover: the system has no such file
	}
	const aside = "/tmp"
	if err := unix.Mount("s2clab", aside, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=64k"); err != nil {
		return err
	}
	defer unix.Unmount(aside, unix.MNT_DETACH)
	file := aside + "/" + strings.ReplaceAll(strings.Trim(path, "/"), "/", "-")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	return unix.Mount(file, path, "", unix.MS_BIND, "")
}

// Scratch is where a Space with room of its own has it.
const Scratch = "/mnt"

// MakeScratch gives what is started inside from now on a file system of its own
// at Scratch: in memory, of size octets at most, gone with the Space.
func (s *Space) MakeScratch(size int) error {
	err := s.Do(func() error {
		return unix.Mount("s2clab", Scratch, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,mode=700", size))
	})
	if err != nil {
		return fmt.Errorf("room for files at %s: %w", Scratch, err)
	}
	return nil
}

// SetResolver makes text the /etc/resolv.conf of what is started inside from now on.
func (s *Space) SetResolver(text string) error {
	const file = "/etc/resolv.conf"
	if err := s.Do(func() error { return placeFile(file, text) }); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Do runs f on the thread inside and returns its error. f must not start
// goroutines that are to be inside too.
func (s *Space) Do(f func() error) error {
	done := make(chan error, 1)
	s.work <- func() { done <- f() }
	return <-done
}

// Start starts a command inside. The caller waits for it as usual.
func (s *Space) Start(cmd *exec.Cmd) error { return s.Do(cmd.Start) }

// Configure does a batch of changes to the devices inside.
func (s *Space) Configure(b *Batch) error { return s.Do(func() error { return s.nl.Do(&b.requests) }) }

// SetSysctl changes a setting of the kernel inside, named as below /proc/sys.
func (s *Space) SetSysctl(name, value string) error {
	return s.Do(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) })
}

// SetForwarding makes the node inside a router, of both families.
func (s *Space) SetForwarding() error {
	if err := s.SetSysctl("net/ipv6/conf/all/forwarding", "1"); err != nil {
		return err
	}
	return s.SetSysctl("net/ipv4/ip_forward", "1")
}

// Handle opens the Space's network namespace. The caller closes it.
func (s *Space) Handle() (handle netns.NsHandle, err error) {
	err = s.Do(func() error {
		handle, err = netns.Get()
		return err
	})
	return handle, err
}

// Close lets the Space go. Processes started inside keep the namespaces until
// they end.
func (s *Space) Close() {
	close(s.work)
	<-s.gone
}
