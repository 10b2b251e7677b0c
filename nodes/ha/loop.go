package ha

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
)

// hands do in the node what a Machine says. Those of Run are over nodes/host;
// tests have others.
type hands interface {
	// do does all but the following.
	do(Output) error
	// send sends whole packets: by a device, or where routes lead.
	send(dev string, packets ...[]byte) error
	// sendUDP sends a whole packet in UDP over IPv4.
	sendUDP(to netip.AddrPort, packet []byte) error
	// ask asks the AAA; the answer comes as an Input.
	ask(*AskAAA)
	// counters are for the lab.
	counters() any
}

// A teller carries events and answers to the lab: a *control.Conn.
type teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

// A burst is packets that came in together. Whoever sent it waits for done
// before the memory of its packets is used again.
type burst struct {
	packets []host.Datagram
	udp     []host.UDPDatagram
	done    chan<- struct{}
}

// A loop owns a Machine: it alone calls it.
type loop struct {
	machine *Machine
	hands   hands
	teller  teller

	received Received
	queue    [][]byte // packets to be sent together, each in memory that is used again
	queued   int
	failures bucket
}

// longestQueue is how many packets are sent together at most.
const longestQueue = 64

// run turns inputs into outputs until ctx or commands end.
func (l *loop) run(ctx context.Context, bursts <-chan burst, inputs <-chan Input, commands <-chan control.Command) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Stop()
		if d := l.machine.Deadline(); !d.IsZero() {
			timer.Reset(time.Until(d))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case b := <-bursts:
			now := time.Now()
			for i := range b.packets {
				l.received = Received{Octets: b.packets[i].Packet}
				l.act(l.machine.Step(now, &l.received))
			}
			for i := range b.udp {
				l.received = Received{Octets: b.udp[i].Packet, From: b.udp[i].From}
				l.act(l.machine.Step(now, &l.received))
			}
			b.done <- struct{}{}
		case in := <-inputs:
			l.act(l.machine.Step(time.Now(), in))
		case <-timer.C:
			l.act(l.machine.Tick(time.Now()))
		case c, ok := <-commands:
			if !ok {
				return nil // the lab has gone
			}
			l.command(c)
		}
		l.flush()
	}
}

// act does what the machine says, in its order. What fails is told, and left to
// the mobile nodes, who try again.
func (l *loop) act(out []Output) {
	for _, o := range out {
		switch o := o.(type) {
		case Event:
			l.teller.Event(o.Name, o.Fields)
		case *SendMobility:
			l.enqueue(o)
		case *AskAAA:
			l.hands.ask(o)
		case Keep:
			l.told(o, l.hands.do(o)) // ahead of the answers that wait
		default:
			l.flush()
			l.told(o, l.hands.do(o))
		}
	}
}

// enqueue keeps a packet to be sent with others: one system call for each would
// cost more than everything else that is done for a Binding Update.
func (l *loop) enqueue(o *SendMobility) {
	switch {
	case o.To.IsValid():
		l.flush()
		l.told(o, l.hands.sendUDP(o.To, o.Octets))
		return
	case o.Dev != "":
		l.flush()
		l.told(o, l.hands.send(o.Dev, o.Octets))
		return
	}
	if l.queued == len(l.queue) {
		l.queue = append(l.queue, nil)
	}
	l.queue[l.queued] = append(l.queue[l.queued][:0], o.Octets...)
	if l.queued++; l.queued == longestQueue {
		l.flush()
	}
}

func (l *loop) flush() {
	if l.queued == 0 {
		return
	}
	err := l.hands.send("", l.queue[:l.queued]...)
	l.queued = 0
	l.told(&SendMobility{}, err)
}

// failureRate is how many failures are told one by one: an address that cannot
// be reached may be used again and again.
var failureRate = rate{perSecond: 10, burst: 20}

// told tells what could not be done.
func (l *loop) told(o Output, err error) {
	if err != nil && l.failures.take(time.Now(), failureRate) {
		l.teller.Event("action-failed", map[string]any{"action": actionName(o), "error": err.Error()})
	}
}

// actionName names what was to be done.
func actionName(o Output) string {
	switch o.(type) {
	case *SendMobility:
		return "send-mobility"
	case SetTunnel:
		return "set-tunnel"
	case SetWays:
		return "set-ways"
	case ClearTunnel:
		return "clear-tunnel"
	case SetProxy:
		return "set-proxy"
	case ClearProxy:
		return "clear-proxy"
	case SolicitNeighbor:
		return "solicit-neighbor"
	case AdvertiseNeighbor:
		return "advertise-neighbor"
	case WatchAddress:
		return "watch-address"
	case UnwatchAddress:
		return "unwatch-address"
	case AnswerAbort:
		return "answer-abort"
	case SendRegistration:
		return "send-registration"
	case AskRegistration:
		return "ask-registration"
	case AuthorizeService:
		return "authorize-service"
	case TerminateSession:
		return "terminate-session"
	case Keep:
		return "keep"
	}
	return fmt.Sprintf("%T", o)
}

// command answers what the lab asks.
func (l *loop) command(c control.Command) {
	switch c.Name {
	case "bindings":
		l.teller.Reply(c.ID, l.machine.Bindings(time.Now()), nil)
	case "counts":
		l.teller.Reply(c.ID, map[string]any{"machine": l.machine.Counts(), "tunnel": l.hands.counters()}, nil)
	case "revoke":
		l.teller.Reply(c.ID, nil, l.revoke(c))
	case "switch":
		l.teller.Reply(c.ID, nil, l.switchTo(c))
	default:
		l.teller.Reply(c.ID, nil, fmt.Errorf("a home agent has no command %q: want bindings, counts, revoke or switch", c.Name))
	}
}
