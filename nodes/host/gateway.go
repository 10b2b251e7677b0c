package host

import (
	"context"
	"sync"

	"s2clab/nodes/control"
)

// A Teller is what a *control.Conn does for a role.
type Teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

// Gateway is what routers of every kind do on their links: they make themselves
// known to mobile nodes and give them addresses, as the configuration says, and
// answer the lab's commands by do. It returns when ctx or commands end, or when
// nothing can be told or given any more.
func Gateway(ctx context.Context, t Teller, commands <-chan control.Command, cfg *control.Config, do func(control.Command) (any, error)) error {
	h, err := Open(cfg)
	if err != nil {
		return err
	}
	defer h.Close()
	a, err := h.Advertiser(cfg)
	if err != nil {
		return err
	}
	servers, err := h.AddressServers(cfg)
	if err != nil {
		a.Close()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 2)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	start := func(run func() error) {
		running.Go(func() {
			if err := run(); err != nil {
				ended <- err
			}
		})
	}
	start(func() error { return a.Run(ctx) })
	start(func() error { return servers.Run(ctx, t.Event) })
	t.Event("ready", nil)
	for {
		select {
		case c, ok := <-commands:
			if !ok {
				return nil
			}
			value, err := do(c)
			t.Reply(c.ID, value, err)
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}
