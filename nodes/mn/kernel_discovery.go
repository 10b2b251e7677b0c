package mn

import (
	"context"
	"net/netip"

	"s2clab/nodes/host"
	"s2clab/nodes/wire/icmp6"
)

// openDiscovery opens the port for home agent address discovery.
func (k *kernel) openDiscovery() (err error) {
	k.replies, err = k.host.DiscoveryPort(icmp6.TypeHomeAgentReply)
	return err
}

func newResolver(ctx context.Context, inputs chan<- Input) *host.Resolver {
	return host.NewResolver(func(server netip.AddrPort, tcp bool, message []byte) {
		give(ctx, inputs, NamesAnswered{Server: server, TCP: tcp, Octets: message})
	})
}

func (k *kernel) solicitHomeAgents(o SolicitHomeAgents) error {
	b, err := icmp6.Append(make([]byte, 0, 8), o.Request, o.Source, o.To)
	if err != nil {
		return err
	}
	return k.replies.Send(o.Dev, o.Source, o.To, b)
}

// hearReplies tells the loop of Home Agent Address Discovery Replies.
func (k *kernel) hearReplies(ctx context.Context, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		messages, err := k.replies.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		for i := range messages {
			if in := replied(&messages[i]); in != nil {
				give(ctx, inputs, in)
			}
		}
	}
}

// replied makes an Input of a message; nil: it cannot be read.
func replied(m *host.ICMPMessage) Input {
	message, err := icmp6.Parse(m.Message)
	if err != nil {
		return nil
	}
	reply, ok := message.(*icmp6.HomeAgentReply)
	if !ok {
		return nil
	}
	return HomeAgentsReplied{From: m.Src, To: m.Dst, Reply: reply}
}
