package supervise

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"s2clab/nodes/netns"
	"s2clab/nodes/translate"
	"s2clab/orchestrator/door"
)

// A Finding is one thing that a kernel and a user can do, or cannot.
type Finding struct {
	What   string `json:"what"` // "network namespaces"
	Has    bool   `json:"has"`
	Needed bool   `json:"needed"`           // no lab runs without it
	Detail string `json:"detail,omitempty"` // what was seen
	Mend   string `json:"mend,omitempty"`   // what to do where it is missing
}

// Probe tries, from outside any lab, what a lab needs. It changes nothing.
func Probe() []Finding {
	findings := []Finding{kernel()}
	s, err := Spawn(fmt.Sprintf("doctor-%d", os.Getpid()))
	if err != nil {
		return append(findings, Finding{What: "namespaces of one's own", Needed: true, Detail: err.Error(), Mend: mendNamespaces()})
	}
	defer s.Kill()
	findings = append(findings, Finding{What: "namespaces of one's own", Has: true, Needed: true, Detail: who()})
	call, err := door.Ask(s.line, "probe", nil)
	if err == nil {
		var inside []Finding
		if err = call.Wait(&inside); err == nil {
			return append(findings, inside...)
		}
	}
	return append(findings, Finding{What: "an answer from inside", Needed: true, Detail: err.Error()})
}

// who says whose rights these are. Inside a user namespace anybody is root; there
// the map of users is not the whole of them.
func who() string {
	const everybody = "0 0 4294967295"
	users, err := os.ReadFile("/proc/self/uid_map")
	if os.Geteuid() == 0 && (err != nil || strings.Join(strings.Fields(string(users)), " ") == everybody) {
		return "as root"
	}
	return "as an ordinary user, by a user namespace"
}

func kernel() Finding {
	var u unix.Utsname
	unix.Uname(&u)
	release := unix.ByteSliceToString(u.Release[:])
	var major, minor int
	fmt.Sscanf(release, "%d.%d", &major, &minor)
	return Finding{
		What: "Linux 5.11 or later", Needed: true, Has: major > 5 || major == 5 && minor >= 11,
		Detail: release, Mend: "use a newer kernel: 5.11 is the first with epoll_pwait2",
	}
}

// mendNamespaces looks for the setting that forbids them.
func mendNamespaces() string {
	for _, s := range []struct{ file, forbids, mend string }{
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1, or run as root"},
		{"/proc/sys/user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=10000, or run as root"},
	} {
		if value, err := os.ReadFile(s.file); err == nil && strings.TrimSpace(string(value)) == s.forbids {
			return s.mend
		}
	}
	return "run as root; inside a container: start it with --privileged"
}

// probe tries, inside the lab's namespaces, what nodes and links need.
func (s *server) probe(ctx context.Context, r *door.Request) error {
	space, err := netns.New("probe", "")
	if err != nil {
		return r.Send([]Finding{{What: "a node's namespaces", Needed: true, Detail: err.Error(), Mend: "run as root; inside a container: start it with --privileged"}})
	}
	defer space.Close()
	findings := []Finding{{What: "a node's namespaces", Has: true, Needed: true}}

	port, err := space.OpenPort(netns.PortConfig{Name: "probe", Index: 2, MAC: [6]byte{2, 0, 0, 0, 0, 1}, MTU: 1500})
	f := Finding{What: "devices for links", Needed: true, Has: err == nil, Mend: "load the tun or the veth module: sudo modprobe tun"}
	if err != nil {
		f.Detail = err.Error()
	} else {
		f.Detail = "by " + port.Kind()
		port.Close()
	}
	findings = append(findings, f)

	tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	f = Finding{What: "/dev/net/tun", Has: err == nil, Detail: "links and tunnels at full speed", Mend: "sudo chmod 666 /dev/net/tun (the usual mode); until then links and tunnels go by packet sockets, more slowly"}
	if err != nil {
		f.Detail = err.Error()
	} else {
		tun.Close()
	}
	findings = append(findings, f)

	f = Finding{What: "real-time priority", Mend: "run as root, or allow it in /etc/security/limits.conf: USER - rtprio 1; until then link delays are less exact (each run says by how much)"}
	f.Detail, f.Has = realTime()
	findings = append(findings, f)

	f = Finding{What: "address translation (role nat)", Detail: "nftables and connection tracking", Mend: "sudo modprobe -a nf_tables nft_ct nft_nat nft_chain_nat nf_conntrack_netlink; until then topologies with a node of role nat cannot run"}
	if err := space.Do(translate.Probe); err != nil {
		f.Detail, _, _ = strings.Cut(err.Error(), "\n")
	} else {
		f.Has = true
	}
	findings = append(findings, f)

	for _, have := range []struct{ what, file, mend string }{
		{"IPv6", "/proc/sys/net/ipv6/conf/all/forwarding", "boot without ipv6.disable=1"},
		{"optimistic duplicate address detection", "/proc/sys/net/ipv6/conf/default/optimistic_dad", "a kernel built with CONFIG_IPV6_OPTIMISTIC_DAD; until then use \"dad: none\" or \"dad: full\""},
		{"tunnels in the kernel (seg6)", "/proc/sys/net/ipv6/conf/default/seg6_enabled", "a kernel built with CONFIG_IPV6_SEG6_LWTUNNEL; until then tunnels run in user space"},
	} {
		_, err := os.Stat(have.file)
		findings = append(findings, Finding{What: have.what, Has: err == nil, Needed: have.what == "IPv6", Detail: have.file, Mend: have.mend})
	}
	return r.Send(findings)
}

// realTime says whether a thread of this process may have SCHED_FIFO.
func realTime() (detail string, has bool) {
	done := make(chan error)
	go func() {
		// The thread is thrown away with its priority.
		lockForEver()
		done <- unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
	}()
	if err := <-done; err != nil {
		return "SCHED_FIFO: " + err.Error(), false
	}
	return "SCHED_FIFO", true
}
