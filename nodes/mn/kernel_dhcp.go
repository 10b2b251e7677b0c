package mn

import (
	"context"
	"net/netip"

	"s2clab/nodes/host"
)

// openDHCP6 opens the ports of DHCP for IPv6.
func (k *kernel) openDHCP6() (err error) {
	k.dhcp6 = map[string]*host.DHCPPort{}
	for _, dev := range k.devices {
		if k.dhcp6[dev], err = k.host.DHCP6Port(dev, host.DHCPClient); err != nil {
			delete(k.dhcp6, dev)
			return err
		}
	}
	return nil
}

func (k *kernel) sendDHCP(o SendDHCP) error {
	if o.To.Addr().Is4() {
		return k.dhcp4[o.Dev].Send(o.Octets, o.From, o.To)
	}
	return k.dhcp6[o.Dev].Send(o.Octets, o.To)
}

// hearDHCP tells the loop of messages of DHCP servers.
func hearDHCP(ctx context.Context, dev string, port *host.DHCPPort, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		b, from, err := port.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		give(ctx, inputs, DHCPReceived{Dev: dev, From: from.WithZone(""), Octets: append([]byte(nil), b...)})
	}
}

// hearARP tells the loop who says that it has an address.
func (k *kernel) hearARP(ctx context.Context, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		messages, err := k.arp.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		for i := range messages {
			if m := &messages[i]; m.Sender != netip.IPv4Unspecified() {
				give(ctx, inputs, AddressClaimed{Dev: m.Dev, Address: m.Sender, LinkLayer: m.SenderMAC})
			}
		}
	}
}
