package router

import (
	"fmt"
	"math/rand/v2"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// A kernel does what a Machine says in this network namespace, and asks AAA servers.
type kernel struct {
	host     *host.Host
	ports    map[string]devicePort
	client   *host.DiameterClient
	answered func(AAAAnswered) // is given what became of each Ask
}

// A devicePort is the port of a device, and the way to who wants to pass it.
type devicePort struct {
	eapol      *host.EAPOLPort
	controlled *host.ControlledPort
}

// openPorts shuts the devices on links that authenticate.
func (k *kernel) openPorts(cfg *control.Config) (err error) {
	k.ports = map[string]devicePort{}
	for _, i := range cfg.Interfaces {
		if i.Auth == "" {
			continue
		}
		var p devicePort
		if p.controlled, err = k.host.ControlledPort(i.Name); err != nil {
			return err
		}
		k.ports[i.Name] = p
		if p.eapol, err = k.host.EAPOLPort(i.Name); err != nil {
			return err
		}
		k.ports[i.Name] = p
	}
	return nil
}

// closePorts leaves devices shut: the kernel forwards also without the role, and
// whoever was on a link has no session any more.
func (k *kernel) closePorts() {
	for _, p := range k.ports {
		p.controlled.Shut()
		if p.eapol != nil {
			p.eapol.Close()
		}
	}
}

// connect makes the Diameter client. It gives requests of AAA servers to requested.
func (k *kernel) connect(cfg *control.Config, identity diameter.Identity, t host.Teller, requested func(AAARequested)) (err error) {
	r := cfg.Router
	o := diampeer.ClientOptions{
		Local: diampeer.Local{
			Identity:     identity,
			Product:      "s2clab",
			Applications: []diameter.Application{diameter.STa},
			Serves:       []diampeer.Service{{Application: diameter.STa, Command: diameter.AbortSession}, {Application: diameter.STa, Command: diameter.ReAuth}},
			Watchdog:     r.Watchdog,
			Rand:         rand.New(rand.NewPCG(cfg.Seed, 0xaaa)),
		},
		Timeout: r.Timeout,
		Now:     time.Now(),
	}
	for _, p := range r.AAA {
		o.Servers = append(o.Servers, diampeer.Remote{Host: p.Host, Realm: p.Realm, Address: p.Address})
	}
	k.client, err = host.NewDiameterClient(o, func(o diampeer.Output) {
		if d, ok := o.(diampeer.Deliver); ok {
			requested(AAARequested{ID: d.ID, Message: d.Message})
		} else if name, fields := peerEvent(o); name != "" {
			t.Event(name, fields)
		}
	})
	return err
}

// peerEvent gives the event that tells of a Diameter peer; an empty name: none.
func peerEvent(o diampeer.Output) (name string, fields map[string]any) {
	switch o := o.(type) {
	case diampeer.Up:
		return "peer-up", map[string]any{"peer": o.Peer}
	case diampeer.Down:
		return "peer-down", map[string]any{"peer": o.Peer, "reason": o.Reason}
	case diampeer.Suspected:
		return "peer-suspected", map[string]any{"peer": o.Peer}
	case diampeer.Restored:
		return "peer-restored", map[string]any{"peer": o.Peer}
	case diampeer.Rejected:
		return "peer-rejected", map[string]any{"peer": o.Peer, "reason": o.Reason}
	}
	return "", nil
}

func (k *kernel) do(o Output) error {
	switch o := o.(type) {
	case SendEAPOL:
		return k.ports[o.Dev].eapol.Send(o.To, o.Octets)
	case Admit:
		return k.ports[o.Dev].controlled.Admit(o.Station)
	case Bar:
		return k.ports[o.Dev].controlled.Bar(o.Station)
	case Ask:
		k.client.Ask(o.Request, func(r diampeer.Outcome) { k.answered(AAAAnswered{ID: o.ID, Outcome: r}) })
	case AnswerAAA:
		k.client.Answer(o.ID, o.Octets, true)
	default:
		return fmt.Errorf("no hand for %T", o)
	}
	return nil
}
