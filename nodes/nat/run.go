package nat

import (
	"context"
	"sync"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/translate"
)

// Run is role nat: it runs until ctx or the lab ends.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	return run(ctx, c, c.Commands(), cfg)
}

// teller is what a control.Conn does for this role.
type teller interface {
	Event(name string, fields map[string]any)
	Reply(id uint64, value any, err error)
}

// kernel is the translator of this network namespace.
type kernel struct{}

func (kernel) Start(t translate.Translation) error    { return translate.Start(t) }
func (kernel) Mappings() ([]translate.Mapping, error) { return translate.Mappings() }
func (kernel) Forget() error                          { return translate.Forget() }

func run(ctx context.Context, t teller, commands <-chan control.Command, cfg *control.Config) error {
	b := newBox(cfg, kernel{})
	if err := b.start(); err != nil {
		return err
	}
	h, err := host.Open(cfg)
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
		case cmd, ok := <-commands:
			if !ok {
				return nil
			}
			event, fields, err := b.do(cmd.Name)
			if err == nil {
				t.Event(event, fields)
			}
			t.Reply(cmd.ID, nil, err)
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}
