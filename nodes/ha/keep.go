package ha

import (
	"fmt"
	"io"
	"os"
	"time"

	"s2clab/nodes/wire/replica"
)

// A diary is the memory that outlives this process: records, one behind the other,
// in a file that the lab has in its own memory and hands to each life of a node.
type diary struct {
	file    *os.File
	size    int64
	longest int64 // when that is reached, it is written anew
	state   uint32
	buffer  []byte
}

// longestDiary is how many octets a diary may have before it is written anew: a
// hundred times what the largest lab's bindings need.
const longestDiary = 64 << 20

// openDiary reads what an earlier life has left. A record that was not finished
// is where that life ended; what cannot be read at all is an error, for then
// something else has written there.
func openDiary(f *os.File) (d *diary, records []replica.Record, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, nil, fmt.Errorf("memory of the lab: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, 2*longestDiary))
	if err != nil {
		return nil, nil, fmt.Errorf("memory of the lab: %w", err)
	}
	d = &diary{file: f, longest: longestDiary}
	for {
		r, rest, err := replica.Next(b)
		if err != nil {
			return nil, nil, fmt.Errorf("memory of the lab: %w", err)
		}
		if r == nil {
			return d, records, nil
		}
		if o, ok := r.(replica.Origin); ok {
			d.state = o.State
		}
		records, b = append(records, r), rest
	}
}

// rewrite lets the diary hold these records only.
func (d *diary) rewrite(all []replica.Record) error {
	b, err := replica.Append(nil, replica.Origin{State: d.state})
	for _, r := range all {
		if err == nil {
			b, err = replica.Append(b, r)
		}
	}
	if err != nil {
		return err
	}
	if err := d.file.Truncate(0); err != nil {
		return err
	}
	d.size = int64(len(b))
	_, err = d.file.WriteAt(b, 0)
	return err
}

// write adds a record.
func (d *diary) write(r replica.Record) error {
	var err error
	if d.buffer, err = replica.Append(d.buffer[:0], r); err != nil {
		return err
	}
	_, err = d.file.WriteAt(d.buffer, d.size)
	d.size += int64(len(d.buffer))
	return err
}

// keep writes a record, and all that is remembered where the diary has become too
// long.
func (k *kernel) keep(o Keep) error {
	if k.replicator != nil {
		if err := k.replicator.keep(o.Record); err != nil {
			return err
		}
	}
	if k.diary == nil {
		return nil
	}
	if k.diary.size >= k.diary.longest {
		return k.diary.rewrite(k.remembered())
	}
	return k.diary.write(o.Record)
}

// recall gives a Machine what an earlier life has kept, and has it keep more.
func (k *kernel) recall(m *Machine, l *loop) error {
	if k.diary != nil || k.replicator != nil {
		m.Keeps()
	}
	if k.diary != nil {
		if err := k.diary.rewrite(k.remembered()); err != nil {
			return err
		}
	}
	if len(k.records) == 0 {
		return nil
	}
	out, bindings := m.Restore(time.Now(), k.records)
	l.act(out)
	l.flush()
	k.records = nil
	l.teller.Event("bindings-restored", map[string]any{"bindings": bindings})
	return nil
}

// life is the Origin-State-Id of this life: that of the one before, whose sessions
// are kept with everything else, or a new one.
func (k *kernel) life(start time.Time) uint32 {
	switch {
	case k.state != 0:
		return k.state
	case k.diary == nil:
		return originState(start)
	case k.diary.state == 0:
		k.diary.state = originState(start)
	}
	return k.diary.state
}
