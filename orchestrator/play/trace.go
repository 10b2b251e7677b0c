package play

import (
	"errors"
	"time"

	"s2clab/scenarios"
	"s2clab/topologies"
)

// trace has nodes go through a drive. What holds from its beginning is done at
// once, the rest beside the next steps, until the run ends.
func (p *Player) trace(t *scenarios.Trace) error {
	begin := time.Now()
	rows := t.Rows
	for len(rows) > 0 && rows[0].At == 0 {
		if err := p.drive(t, &rows[0]); err != nil {
			return err
		}
		rows = rows[1:]
	}
	p.apart(&p.traces, func() error {
		for i := range rows {
			if err := sleepUntil(p.running, begin.Add(rows[i].At)); errors.Is(err, errEnd) {
				return nil
			} else if err != nil {
				return err
			}
			if err := p.drive(t, &rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return nil
}

// drive does what one row says. The radio hears an access before it is there, and
// nothing any more once it is gone.
func (p *Player) drive(t *scenarios.Trace, row *scenarios.Row) error {
	if row.Change != (topologies.Change{}) {
		if err := p.lab.TraceLink(row.Link, t.File, row.Change); err != nil {
			return err
		}
	}
	return each(t.Nodes, func(node string) error {
		hear := func() error { return p.lab.SetSignal(node, row.Link, row.Signal) }
		reach := func() error { return p.lab.Reach(node, row.Link, !row.Gone) }
		if row.Gone {
			hear, reach = reach, hear
		}
		if err := hear(); err != nil {
			return err
		}
		return reach()
	})
}
