package link

import "time"

// A table is what a link of more than two ends has learned: behind which end an
// address is.
type table struct {
	known map[[6]byte]place
}

type place struct {
	end  *end
	seen int64
}

const (
	tableSize = 4096            // addresses
	tableAge  = 5 * time.Minute // as bridges have it
)

// learn notes that a frame with this source came from an end.
func (t *table) learn(now int64, source [6]byte, from *end) {
	if source[0]&1 != 0 {
		return // a group sends nothing
	}
	p, known := t.known[source]
	if known && p.end == from && now-p.seen < int64(time.Second) {
		return
	}
	if !known && len(t.known) >= tableSize {
		for mac, p := range t.known {
			if now-p.seen > int64(tableAge) {
				delete(t.known, mac)
			}
		}
		if len(t.known) >= tableSize {
			return // flooding still reaches it
		}
	}
	if t.known == nil {
		t.known = make(map[[6]byte]place)
	}
	t.known[source] = place{from, now}
}

// find gives the end that an address is behind, or nil for all.
func (t *table) find(now int64, to [6]byte) *end {
	if to[0]&1 != 0 {
		return nil
	}
	p, known := t.known[to]
	if !known || now-p.seen > int64(tableAge) {
		return nil
	}
	return p.end
}

// forget takes out what was behind an end.
func (t *table) forget(gone *end) {
	for mac, p := range t.known {
		if p.end == gone {
			delete(t.known, mac)
		}
	}
}
