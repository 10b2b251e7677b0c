package mn

import (
	"context"
	"slices"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
)

// A devicePort is the port of a device, and the way to who opens it.
type devicePort struct {
	*host.EAPOLPort
	controlled *host.ControlledPort
}

// openPorts shuts the ports of devices on links that authenticate.
func (k *kernel) openPorts(cfg *control.Config) (err error) {
	k.ports = map[string]devicePort{}
	for _, i := range cfg.Interfaces {
		if i.Auth == "" {
			continue
		}
		var p devicePort
		if p.EAPOLPort, err = k.host.EAPOLPort(i.Name); err != nil {
			return err
		}
		if p.controlled, err = k.host.ControlledPort(i.Name); err != nil {
			p.EAPOLPort.Close()
			return err
		}
		k.ports[i.Name] = p
	}
	return nil
}

func (k *kernel) closePorts() {
	for _, p := range k.ports {
		p.EAPOLPort.Close()
		p.controlled.Close()
	}
}

// hearEAPOL tells the loop of frames of 802.1X.
func hearEAPOL(ctx context.Context, dev string, port *host.EAPOLPort, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		frames, err := port.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		for _, f := range frames {
			give(ctx, inputs, EAPOLReceived{Dev: dev, From: f.From, Octets: slices.Clone(f.Octets)})
		}
	}
}
