package play

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"s2clab/nodes/control"
	"s2clab/orchestrator/lab"
	"s2clab/scenarios"
)

// do does one step.
func (p *Player) do(ctx context.Context, a scenarios.Action) error {
	switch a := a.(type) {
	case *scenarios.Attach:
		return each(a.Nodes, func(node string) error { return p.lab.Attach(node, a.Link) })
	case *scenarios.Detach:
		return each(a.Nodes, func(node string) error { return p.detach(node, a.Link) })
	case *scenarios.Move:
		return p.move(ctx, a)
	case *scenarios.Trace:
		return p.trace(a)
	case *scenarios.Link:
		return p.link(a)
	case *scenarios.Traffic:
		return p.traffic(ctx, a)
	case *scenarios.StopTraffic:
		return p.stopFlows(a.Flows)
	case *scenarios.Exec:
		return p.exec(ctx, a)
	case *scenarios.Aim:
		return p.aim(ctx, a)
	case *scenarios.Stop:
		if a.All {
			return errEnd
		}
		return each(a.Nodes, func(node string) error { return p.stopNode(node, a.How) })
	case *scenarios.Start:
		return each(a.Nodes, func(node string) error { return p.lab.StartNode(ctx, node) })
	case *scenarios.Restart:
		return p.restart(ctx, a)
	case *scenarios.Deregister:
		return each(a.Nodes, func(node string) error { return p.lab.Ask(node, "deregister", nil, nil) })
	case *scenarios.Register:
		return each(a.Nodes, func(node string) error { return p.lab.Ask(node, "register", nil, nil) })
	case *scenarios.Revoke:
		return each(a.Mobiles, func(mobile string) error { return p.revoke(a, mobile) })
	case *scenarios.Subscription:
		return each(a.Mobiles, func(mobile string) error { return p.subscription(a, mobile) })
	case *scenarios.Switch:
		return each(a.Mobiles, func(mobile string) error { return p.switchHomeAgent(a, mobile) })
	case *scenarios.Wait:
		return p.watch.await(ctx, &a.For, a.Timeout)
	case *scenarios.Note:
		return nil // the step itself, with its text, is in the journal
	case *scenarios.Flood:
		return p.flood(ctx, a)
	case *scenarios.MoveFlow:
		return each(a.Nodes, func(node string) error {
			return p.lab.Ask(node, "flow", control.MoveFlow{Flow: a.Name, Link: a.To}, nil)
		})
	case *scenarios.Lie:
		return each(a.Nodes, func(node string) error { return p.lab.Ask(node, "lie", map[string]any{"about": a.About}, nil) })
	case *scenarios.Look:
		return each(a.Nodes, p.look)
	case *scenarios.NAT:
		return each(a.Nodes, func(node string) error { return p.lab.Ask(node, a.Do, nil, nil) })
	}
	panic(fmt.Sprintf("play: no rule for %T", a))
}

// each does f for each node, in order, to the first error.
func each(nodes []string, f func(string) error) error {
	for _, node := range nodes {
		if err := f(node); err != nil {
			return err
		}
	}
	return nil
}

func stopOf(how string) lab.Stop {
	if how == "kill" {
		return lab.StopHard
	}
	return lab.StopSoft
}

// detach parts a node from a link, or from all where none is named.
func (p *Player) detach(node, link string) error {
	if link != "" {
		return p.lab.Detach(node, link)
	}
	return each(p.lab.Attached(node), func(link string) error { return p.lab.Detach(node, link) })
}

// move hands nodes over, all at once.
func (p *Player) move(ctx context.Context, m *scenarios.Move) error {
	begin := time.Now()
	was := make(map[string][]string, len(m.Nodes))
	for _, node := range m.Nodes {
		was[node] = p.lab.Attached(node)
	}
	leave := func() error {
		return each(m.Nodes, func(node string) error {
			for _, link := range was[node] {
				if link != m.To {
					if err := p.lab.Detach(node, link); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	join := func() error { return each(m.Nodes, func(node string) error { return p.lab.Attach(node, m.To) }) }
	first, second, between := leave, join, m.Gap
	if m.Overlap > 0 {
		first, second, between = join, leave, m.Overlap
	}
	if err := first(); err != nil {
		return err
	}
	if between == 0 {
		return second()
	}
	p.beside(func() error {
		if err := sleepUntil(ctx, begin.Add(between)); err != nil {
			return err
		}
		return second()
	})
	return nil
}

func (p *Player) link(a *scenarios.Link) error {
	err := p.lab.SetLink(a.Link, a.From, a.Change)
	if err == nil && a.State != "" {
		err = p.lab.SetLinkDown(a.Link, a.State == "down")
	}
	return err
}

// stopNode ends a node's process. One that has died already is left so: the
// journal tells of its death.
func (p *Player) stopNode(node, how string) error {
	if err := p.lab.StopNode(node, stopOf(how)); !errors.Is(err, lab.ErrNotRunning) {
		return err
	}
	return nil
}

func (p *Player) restart(ctx context.Context, r *scenarios.Restart) error {
	if err := each(r.Nodes, func(node string) error { return p.stopNode(node, r.How) }); err != nil {
		return err
	}
	begin := time.Now()
	p.beside(func() error {
		if err := sleepUntil(ctx, begin.Add(r.Gap)); err != nil {
			return err
		}
		return each(r.Nodes, func(node string) error { return p.lab.StartNode(ctx, node) })
	})
	return nil
}

// revoke has a home agent or an AAA server take a mobile's binding away.
func (p *Player) revoke(a *scenarios.Revoke, mobile string) error {
	t := p.scenario.Topology
	m := t.Node(mobile).MobileNode
	if t.Node(a.Node).AAA != nil {
		return p.lab.Ask(a.Node, "revoke", map[string]any{"nai": m.NAI}, nil)
	}
	return p.lab.Ask(a.Node, "revoke", map[string]any{"nai": m.NAI, "home-address": m.HomeAddress, "trigger": a.Trigger}, nil)
}

// subscription has an HSS change what it knows of a mobile.
func (p *Player) subscription(a *scenarios.Subscription, mobile string) error {
	t := p.scenario.Topology
	for _, s := range t.Node(a.Node).HSS.Subscriptions {
		if s.NAI != t.Node(mobile).MobileNode.NAI {
			continue
		}
		if a.Do == "remove" {
			return p.lab.Ask(a.Node, "remove", map[string]any{"imsi": s.IMSI}, nil)
		}
		return p.lab.Ask(a.Node, "bar", map[string]any{"imsi": s.IMSI, "barred": a.Do == "bar"}, nil)
	}
	return fmt.Errorf("%s is no subscriber of %s", mobile, a.Node)
}

// switchHomeAgent has a home agent send a mobile to another.
func (p *Player) switchHomeAgent(a *scenarios.Switch, mobile string) error {
	t := p.scenario.Topology
	m := t.Node(mobile).MobileNode
	var to []netip.Addr
	for _, name := range a.To {
		to = append(to, t.Node(name).HomeAgent.Address)
	}
	return p.lab.Ask(a.Node, "switch", map[string]any{"nai": m.NAI, "home-address": m.HomeAddress, "to": to}, nil)
}

// exec runs a command in nodes and holds it to its exit status.
func (p *Player) exec(ctx context.Context, a *scenarios.Exec) error {
	for _, node := range a.Nodes {
		if a.Background {
			p.beside(func() error { return p.execIn(ctx, node, a) })
			continue
		}
		if err := p.execIn(ctx, node, a); err != nil {
			return err
		}
	}
	return nil
}

func (p *Player) execIn(ctx context.Context, node string, a *scenarios.Exec) error {
	path, err := exec.LookPath(a.Command[0])
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd := &exec.Cmd{Path: path, Args: a.Command, Env: os.Environ(), Stdout: &out, Stderr: &out, WaitDelay: time.Second}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.lab.Exec(node, cmd); err != nil {
		return err
	}
	kill := func() { unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	stop := context.AfterFunc(ctx, kill)
	defer stop()
	var late *time.Timer
	if a.Timeout > 0 {
		late = time.AfterFunc(a.Timeout, kill)
		defer late.Stop()
	}
	err = cmd.Wait()
	status := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		status = exit.ExitCode()
	case err != nil:
		return err
	}
	text := strings.TrimSpace(tail(out.String()))
	p.say("command-ended", node, map[string]any{"command": strings.Join(a.Command, " "), "exit": status, "output": text})
	if status != a.Exit {
		return fmt.Errorf("%s in %s ended with status %d, want %d:\n%s", a.Command[0], node, status, a.Exit, text)
	}
	return nil
}

// tail keeps the end of a long output.
func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}
