// Package lab is a running lab: it brings a topology up, changes it while it
// runs, and ends its processes.
//
// It runs inside the namespaces that a supervisor owns, so that what it makes
// ends with them. It knows nothing of scenarios, and writes no file.
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/netns"
	"s2clab/orchestrator/launch"
	"s2clab/orchestrator/link"
	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// A Lab is a topology that runs.
type Lab struct {
	Topology *topologies.Topology
	Engine   link.Engine

	configs map[string]*control.Config
	sink    func(control.Event)

	mu    sync.Mutex
	nodes map[string]*node
	links map[string]link.Link
}

// Options are how a lab is brought up.
type Options struct {
	Seed     uint64              // of every random choice
	Sink     func(control.Event) // takes what happens, from any goroutine
	Observer link.Observer       // sees each frame; nil: nobody
	Begin    int64               // when traces of links begin: CLOCK_MONOTONIC, nanoseconds; 0: now
	ShowKeys bool                // events may have the values of keys
}

// A node is one node of a lab.
type node struct {
	topo  *topologies.Node
	space *netns.Space
	ports map[string]*netns.Port // by link

	process *launch.Process // nil: stopped
	traffic *launch.Process // nil: not asked for yet
	dark    []string        // links that lost this end when the node was stopped
	memory  *os.File        // what it keeps from one life to the next; nil: nothing

	signals map[string]*float64 // what its radio hears, by link: dBm; nil: nothing
}

// readyTimeout is how long a node process may take to become ready.
const readyTimeout = 20 * time.Second

// Up brings up a topology: namespaces, devices, links, then processes. It returns
// when every node is ready, or with all that went wrong, and then nothing is left.
func Up(ctx context.Context, t *topologies.Topology, o Options) (*Lab, error) {
	l := &Lab{
		Topology: t,
		sink:     o.Sink,
		configs:  configs(t, o.Seed),
		nodes:    make(map[string]*node, len(t.Nodes)),
		links:    make(map[string]link.Link, len(t.Links)),
	}
	for _, cfg := range l.configs {
		cfg.ShowKeys = o.ShowKeys
	}
	engine, err := link.NewEngine(link.Options{Seed: o.Seed, Observer: o.Observer, Begin: o.Begin})
	if err != nil {
		return nil, err
	}
	l.Engine = engine
	if err := l.bringUp(ctx); err != nil {
		l.Stop()
		return nil, err
	}
	return l, nil
}

func (l *Lab) bringUp(ctx context.Context) error {
	hosts := hosts(l.Topology)
	if err := each(l.Topology.Nodes, func(n *topologies.Node) error { return l.makeNode(n, hosts[n.Name]) }); err != nil {
		return err
	}
	for i := range l.Topology.Links {
		if err := l.makeLink(&l.Topology.Links[i]); err != nil {
			return err
		}
	}
	return each(l.Topology.Nodes, func(n *topologies.Node) error { return l.StartNode(ctx, n.Name) })
}

// workers is how many nodes are worked on at once.
const workers = 4

// each does f for every node, some at once, and returns all errors.
func each(nodes []topologies.Node, f func(*topologies.Node) error) error {
	errs := make([]error, len(nodes))
	next := make(chan int)
	var done sync.WaitGroup
	for range min(workers, len(nodes)) {
		done.Go(func() {
			for i := range next {
				errs[i] = f(&nodes[i])
			}
		})
	}
	for i := range nodes {
		next <- i
	}
	close(next)
	done.Wait()
	return errors.Join(errs...)
}

// mostStored is how many octets an HSS may keep.
const mostStored = 256 << 20

// makeNode makes a node's namespaces and devices.
func (l *Lab) makeNode(t *topologies.Node, hosts string) error {
	space, err := netns.New(t.Name, hosts)
	if err != nil {
		return err
	}
	n := &node{topo: t, space: space, ports: make(map[string]*netns.Port, len(t.Interfaces))}
	l.mu.Lock()
	l.nodes[t.Name] = n
	l.mu.Unlock()

	if text := resolver(l.Topology, t.Name); text != "" {
		if err := space.SetResolver(text); err != nil {
			return fmt.Errorf("node %s: %w", t.Name, err)
		}
	}
	if t.HSS != nil {
		if err := space.MakeScratch(mostStored); err != nil {
			return fmt.Errorf("node %s: %w", t.Name, err)
		}
	}
	var b netns.Batch
	index := make(map[string]int, len(t.Interfaces))
	for _, i := range t.Interfaces {
		port, err := space.OpenPort(netns.PortConfig{Name: i.Name, Index: i.Index, MAC: i.MAC, MTU: l.Topology.Link(i.Link).MTU})
		if err != nil {
			return err
		}
		n.ports[i.Link] = port
		index[i.Name] = i.Index
		for _, p := range i.Addresses {
			b.AddAddress(i.Index, p)
		}
		if t.MobileNode == nil {
			l.introduce(&b, t, &i)
		}
	}
	for _, r := range t.Routes {
		b.AddRoute(r.To, r.Via, index[r.Dev])
	}
	if err := space.Configure(&b); err != nil {
		return fmt.Errorf("node %s: %w", t.Name, err)
	}
	for _, i := range t.Interfaces {
		if i.Advertise != nil {
			// A mobile that tells its new address is believed at once (RFC 9131);
			// kernels before 5.19 ask first, which costs a round trip.
			space.SetSysctl("net/ipv6/conf/"+i.Name+"/accept_untracked_na", "1")
		}
	}
	if t.Forwards() {
		return space.SetForwarding()
	}
	return nil
}

// introduce tells a fixed node the link-layer addresses of the fixed nodes beside
// it: they have met before the story begins, so that what is measured is the
// mobile's coming, not the network's own.
func (l *Lab) introduce(b *netns.Batch, t *topologies.Node, i *topologies.Interface) {
	for _, end := range l.Topology.Link(i.Link).Ends {
		n := l.Topology.Node(end)
		if end == t.Name || n.MobileNode != nil {
			continue
		}
		beside := n.Interface(i.Link)
		for _, p := range beside.Addresses {
			b.AddNeighbor(i.Index, p.Addr(), beside.MAC)
		}
	}
}

// makeLink joins the ports of a link's ends. The ends of mobile nodes have no
// carrier until they attach.
func (l *Lab) makeLink(t *topologies.Link) error {
	cfg := link.Config{Name: t.Name, Engine: t.Engine, From: t.From}
	for _, name := range t.Ends {
		n := l.nodes[name]
		cfg.Ends = append(cfg.Ends, link.End{Node: name, Port: n.ports[t.Name]})
	}
	made, err := l.Engine.Join(cfg)
	if err != nil {
		return fmt.Errorf("link %s: %w", t.Name, err)
	}
	l.links[t.Name] = made
	for _, name := range t.Ends {
		if l.nodes[name].topo.MobileNode == nil {
			if err := made.Attach(name); err != nil {
				return fmt.Errorf("link %s: %w", t.Name, err)
			}
		}
	}
	return nil
}

// StartNode starts the process of a node that has none, and returns when it is
// ready.
func (l *Lab) StartNode(ctx context.Context, name string) error {
	n, err := l.node(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	running := n.process != nil
	l.mu.Unlock()
	if running {
		return fmt.Errorf("node %s runs already", name)
	}
	p, err := l.start(ctx, n, l.configs[name])
	if err != nil {
		return err
	}
	l.mu.Lock()
	n.process = p
	dark := n.dark
	n.dark = nil
	l.mu.Unlock()
	if err := l.tellSignals(n); err != nil {
		return err
	}
	for _, link := range dark {
		if err := l.Attach(name, link); err != nil {
			return err
		}
	}
	return nil
}

// start starts a process in a node and waits until it is ready.
func (l *Lab) start(ctx context.Context, n *node, cfg *control.Config) (*launch.Process, error) {
	ready := make(chan struct{})
	var once sync.Once
	memory, err := n.memoryFor(cfg)
	if err != nil {
		return nil, err
	}
	p, err := launch.Start(n.space, cfg, memory, func(e control.Event) {
		if e.Name == "ready" {
			once.Do(func() { close(ready) })
			return
		}
		l.sink(e)
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-ready:
	case <-p.Done():
		return nil, fmt.Errorf("node %s: role %s ended before it was ready: %w\n%s", cfg.Node, cfg.Role, ended(p), p.Log())
	case <-time.After(readyTimeout):
		p.Kill()
		return nil, fmt.Errorf("node %s: role %s was not ready after %v\n%s", cfg.Node, cfg.Role, readyTimeout, p.Log())
	case <-ctx.Done():
		p.Kill()
		return nil, context.Cause(ctx)
	}
	l.tell(control.Now(), "node-started", cfg.Node, map[string]any{"role": cfg.Role, "pid": p.PID()})
	go l.watch(n, p, cfg)
	return p, nil
}

// memoryFor is the memory that a process finds, if it is to find one: without a
// name anywhere, so that it is gone with this process.
func (n *node) memoryFor(cfg *control.Config) (*os.File, error) {
	if cfg.HomeAgent == nil || !cfg.HomeAgent.KeepsBindings {
		return nil, nil
	}
	if n.memory == nil {
		var err error
		if n.memory, err = launch.NewMemory(cfg.Node); err != nil {
			return nil, err
		}
	}
	return n.memory, nil
}

func ended(p *launch.Process) error {
	if err := p.Exit(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

// watch tells at once of a process that ends without having been asked to.
func (l *Lab) watch(n *node, p *launch.Process, cfg *control.Config) {
	<-p.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case n.process == p:
		n.process = nil
	case n.traffic == p:
		n.traffic = nil
	default:
		return // StopNode or KillNode did it
	}
	go l.tell(control.Now(), "node-died", cfg.Node, map[string]any{"role": cfg.Role, "exit": ended(p).Error(), "log": p.Log()})
}

func (l *Lab) tell(at int64, name, node string, fields map[string]any) {
	l.sink(control.Event{At: at, Node: node, Name: name, Fields: fields})
}

// ErrNotRunning says that a node has no process: it was stopped, or has died.
var ErrNotRunning = errors.New("does not run")

// StopNode ends a node's process: in good order, or as a power failure would. The
// node's ends of links lose their carrier: what its kernel still knows does not
// forward for a machine that is off.
func (l *Lab) StopNode(name string, how Stop) error {
	n, err := l.node(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	p := n.process
	n.process = nil
	l.mu.Unlock()
	if p == nil {
		return fmt.Errorf("node %s %w", name, ErrNotRunning)
	}
	fields := map[string]any{"how": string(how)}
	if how == StopHard {
		p.Kill()
	} else if err := p.Stop(); err != nil {
		fields["note"] = err.Error()
	}
	dark := l.Attached(name)
	for _, link := range dark {
		if err := l.Detach(name, link); err != nil {
			return err
		}
	}
	l.mu.Lock()
	n.dark = dark
	l.mu.Unlock()
	l.tell(control.Now(), "node-stopped", name, fields)
	return nil
}

// A Stop is a way to end a node.
type Stop string

const (
	StopSoft Stop = "soft" // it may say goodbye
	StopHard Stop = "hard" // as a power failure
)

// Ask sends a command to a node's process.
func (l *Lab) Ask(name, command string, args, value any) error {
	n, err := l.node(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	p := n.process
	l.mu.Unlock()
	if p == nil {
		return fmt.Errorf("node %s %w", name, ErrNotRunning)
	}
	if err := p.Ask(command, args, value); err != nil {
		return fmt.Errorf("node %s: %s: %w", name, command, err)
	}
	return nil
}

// StartTraffic starts the traffic process of a node, if it has none.
func (l *Lab) StartTraffic(ctx context.Context, name string) error {
	n, err := l.node(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	running := n.traffic != nil
	l.mu.Unlock()
	if running {
		return nil
	}
	own := l.configs[name]
	p, err := l.start(ctx, n, &control.Config{Node: name, Role: "traffic", Seed: own.Seed, Interfaces: own.Interfaces})
	if err != nil {
		return err
	}
	l.mu.Lock()
	n.traffic = p
	l.mu.Unlock()
	return nil
}

// AskTraffic sends a command to a node's traffic process.
func (l *Lab) AskTraffic(name, command string, args, value any) error {
	n, err := l.node(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	p := n.traffic
	l.mu.Unlock()
	if p == nil {
		return fmt.Errorf("node %s has no traffic", name)
	}
	if err := p.Ask(command, args, value); err != nil {
		return fmt.Errorf("node %s: %s: %w", name, command, err)
	}
	return nil
}

// Exec starts a program in a node's namespaces. The caller waits for it.
func (l *Lab) Exec(name string, cmd *exec.Cmd) error {
	n, err := l.node(name)
	if err != nil {
		return err
	}
	return n.space.Start(cmd)
}

// Has is an error where no node has that name.
func (l *Lab) Has(name string) error {
	_, err := l.node(name)
	return err
}

func (l *Lab) node(name string) (*node, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.nodes[name]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%q is not a node of this lab\n    hint: %s", name, strict.Suggest(name, "nodes here", nodeNames(l.Topology)))
}

// Stop ends every process of the lab, in good order. Namespaces, devices and
// links end with the supervisor's own process, all at once, which is much quicker
// than one after another.
func (l *Lab) Stop() {
	l.mu.Lock()
	var processes []*launch.Process
	for _, n := range l.nodes {
		for _, p := range []*launch.Process{n.process, n.traffic} {
			if p != nil {
				processes = append(processes, p)
			}
		}
		n.process, n.traffic = nil, nil
	}
	l.mu.Unlock()
	var done sync.WaitGroup
	for _, p := range processes {
		done.Go(func() { p.Stop() })
	}
	done.Wait()
}
