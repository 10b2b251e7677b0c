package nat

import (
	"context"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/translate"
)

// Run is role nat: it runs until ctx or the lab ends.
func Run(ctx context.Context, c *control.Conn, cfg *control.Config) error {
	return run(ctx, c, c.Commands(), cfg)
}

// kernel is the translator of this network namespace.
type kernel struct{}

func (kernel) Start(t translate.Translation) error    { return translate.Start(t) }
func (kernel) Mappings() ([]translate.Mapping, error) { return translate.Mappings() }
func (kernel) Forget() error                          { return translate.Forget() }

func (kernel) Babble(seed uint64) (end func() int, err error) {
	send, closing, err := rawSender()
	if err != nil {
		return nil, err
	}
	b := babble(seed, translate.Mappings, send)
	return func() int {
		defer closing()
		return b.end()
	}, nil
}

func run(ctx context.Context, t host.Teller, commands <-chan control.Command, cfg *control.Config) error {
	b := newBox(cfg, kernel{})
	defer b.close()
	if err := b.start(); err != nil {
		return err
	}
	return host.Gateway(ctx, t, commands, cfg, func(c control.Command) (any, error) {
		event, fields, err := b.do(c.Name)
		if err == nil {
			t.Event(event, fields)
		}
		return nil, err
	})
}
