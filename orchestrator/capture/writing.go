package capture

import (
	"fmt"
	"slices"
	"time"

	"s2clab/nodes/control"
	"s2clab/orchestrator/link"
)

// writing is what the Recorder's goroutine has and does.
type writing struct {
	r       *Recorder
	file    *file  // nil: none
	out     []byte // blocks that are not in the file yet
	emptied int64  // when out was last handed to the file: CLOCK_MONOTONIC, nanoseconds
	packets uint64 // handed to the file
	lost    uint64 // sights that could not be written

	ends       []*recorded // by the number that the engine gave them
	links      map[string]*recordedLink
	interfaces uint32
	streams    map[int32]*streams     // by the end that sends them
	pending    map[uint64][]*crossing // by frame
	limits     limits
	seen       seen
	carried    carried
	live       []*Live
}

// A recorded is an end of a link.
type recorded struct {
	link    *recordedLink
	node    string
	number  uint32 // of its interface in the file
	packets uint64
}

// A recordedLink is a link.
type recordedLink struct {
	name   string
	ends   []*recorded
	places map[[6]byte]*recorded // behind which end an address was seen
	lost   uint32                // number of the interface of what was lost on its way; 0: none yet
}

// join takes a link in.
func (w *writing) join(j joined) {
	k := &recordedLink{name: j.link, places: map[[6]byte]*recorded{}}
	for i, node := range j.ends {
		e := &recorded{link: k, node: node, number: w.describe(j.link+":"+node, fmt.Sprintf("end of link %s at %s", j.link, node))}
		k.ends = append(k.ends, e)
		for len(w.ends) <= j.first+i {
			w.ends = append(w.ends, nil)
		}
		w.ends[j.first+i] = e
	}
	w.links[j.link] = k
	for _, l := range w.live {
		l.join(k)
	}
}

// describe describes an interface and gives its number.
func (w *writing) describe(name, description string) uint32 {
	w.emit(appendInterface(w.out, name, description))
	w.interfaces++
	return w.interfaces - 1
}

// name gives an address a name.
func (w *writing) name(n named) {
	w.emit(appendName(w.out, n.a, n.name))
	for _, l := range w.live {
		l.out = appendName(l.out, n.a, n.name)
	}
}

// see writes a sight down.
func (w *writing) see(rec *record, data []byte) {
	if most := int(max(rec.from, rec.to)); most >= len(w.ends) || w.ends[rec.from] == nil {
		if w.r.joinAll(); most >= len(w.ends) || w.ends[rec.from] == nil {
			w.lost++ // of a link that nobody has told of
			return
		}
	}
	complete(data)
	octets := data[vnetLen:]
	from, to := w.ends[rec.from], w.ends[rec.to]
	switch rec.what {
	case link.Entered:
		number := w.packet(from, rec.since, rec, octets, outbound, w.entryComment(rec, from))
		w.entered(rec, octets, from, number)
	case link.Left:
		number := w.packet(to, rec.at, rec, octets, inbound, w.exitComment(rec, from))
		if rec.marks&link.Copied != 0 && w.pending[rec.frame] == nil {
			w.entered(rec, octets, from, number)
		}
		w.left(rec, to)
	case link.Crossed:
		number := w.packet(from, rec.since, rec, octets, outbound, "")
		w.packet(to, rec.at, rec, octets, inbound, "")
		w.entered(rec, octets, from, number)
		w.left(rec, to)
	case link.Dropped:
		number := w.lose(rec, octets, from)
		if rec.marks&link.Copied != 0 && w.pending[rec.frame] == nil {
			w.entered(rec, octets, from, number)
		}
		w.dropped(rec)
	}
}

// complete puts the checksum into a frame that is whole.
func complete(data []byte) {
	data[1] = 0 // a large segment gets one too: it is shown as one
	link.Complete(data)
}

// packet writes one packet and gives its number in the file, from 1; 0: it is
// not in the file.
func (w *writing) packet(e *recorded, at int64, rec *record, octets []byte, direction uint32, comment string) uint64 {
	p := packet{number: e.number, at: uint64(at + w.r.wall), octets: octets, length: int(rec.length), direction: direction, comment: comment}
	e.packets++
	for _, l := range w.live {
		l.packet(e, p)
	}
	return w.write(&p)
}

func (w *writing) write(p *packet) uint64 {
	if w.file == nil {
		return 0
	}
	w.packets++
	w.emit(appendPacket(w.out, p))
	return w.packets
}

// lose writes a packet that was lost on its way: it is in the file once already,
// where it entered, and now on an interface of its own with the reason.
func (w *writing) lose(rec *record, octets []byte, from *recorded) uint64 {
	if w.file == nil {
		return 0
	}
	k := from.link
	if k.lost == 0 {
		k.lost = w.describe(k.name+":lost", fmt.Sprintf("what link %s dropped after it had entered", k.name))
	}
	return w.write(&packet{number: k.lost, at: uint64(rec.at + w.r.wall), octets: octets, length: int(rec.length),
		direction: outbound, comment: fmt.Sprintf("dropped by link %s: %v", k.name, rec.reason)})
}

// emit takes what out has become by appending a block.
func (w *writing) emit(out []byte) {
	if w.file == nil {
		return
	}
	if w.out = out; len(w.out) >= piece {
		w.out = w.file.write(w.out)
	}
}

// behind is how far the file may be behind the links. The kernel takes large pieces
// at half the cost of small ones, and more than half of what a packet costs in all
// is to write it.
const behind = 100 * time.Millisecond

// flush hands over what is pending: to the file what has been for a while, or all.
func (w *writing) flush(all bool) {
	if now := control.Now(); w.file != nil && len(w.out) > 0 && (all || now-w.emptied >= int64(behind)) {
		w.out, w.emptied = w.file.write(w.out), now
	}
	w.count()
	for _, l := range w.live {
		l.flush()
	}
}

// count makes the statistics those of now.
func (w *writing) count() {
	s := &Stats{Packets: w.packets, Lost: w.lost}
	if w.file != nil {
		octets, lost, failure := w.file.state()
		s.Octets, s.Error = uint64(octets), text(failure)
		s.Packets -= min(lost, s.Packets)
		s.Lost += lost
	}
	w.r.stats.Store(s)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// finish ends the file and the live captures.
func (w *writing) finish() {
	w.carried.sweep(w, control.Now(), true)
	w.limits.tell(w, control.Now(), true)
	if w.file != nil {
		at := uint64(control.Now() + w.r.wall)
		for _, e := range w.ends {
			if e != nil {
				w.emit(appendStatistics(w.out, e.number, at, e.packets))
			}
		}
	}
	w.flush(true)
	if w.file != nil {
		w.file.close()
		w.count()
	}
	for _, l := range slices.Clone(w.live) {
		l.end(nil)
	}
	s := w.r.Stats()
	w.r.options.Sink(control.Event{At: control.Now(), Name: "capture-ended", Fields: map[string]any{
		"packets": float64(s.Packets), "lost": float64(s.Lost), "octets": float64(s.Octets), "waited": s.Waited.Seconds(),
	}})
}

// entryComment says what the link does to a frame that enters.
func (w *writing) entryComment(rec *record, from *recorded) string {
	name := from.link.name
	switch {
	case rec.reason == link.Aimed:
		return fmt.Sprintf("dropped by link %s: aimed at", name)
	case rec.reason != link.NotDropped:
		return fmt.Sprintf("dropped by link %s: %v", name, rec.reason)
	case rec.marks == 0:
		return ""
	}
	var parts []string
	if rec.marks&link.Injected != 0 {
		parts = append(parts, "sent into the link by the lab, not by "+from.node)
	}
	if rec.marks&link.Held != 0 {
		parts = append(parts, fmt.Sprintf("held by link %s for %v: aimed at", name, time.Duration(rec.until-rec.since)))
	}
	if rec.marks&link.Corrupted != 0 {
		parts = append(parts, fmt.Sprintf("corrupted by link %s after this: one bit", name))
	}
	if rec.marks&link.Duplicated != 0 {
		parts = append(parts, fmt.Sprintf("duplicated by link %s", name))
	}
	if rec.marks&link.Overtook != 0 {
		parts = append(parts, fmt.Sprintf("let past others by link %s", name))
	}
	return join(parts)
}

// exitComment says what the link has done to a frame that leaves.
func (w *writing) exitComment(rec *record, from *recorded) string {
	if rec.marks == 0 {
		return ""
	}
	name := from.link.name
	var parts []string
	switch {
	case rec.marks&link.Replayed != 0:
		parts = append(parts, fmt.Sprintf("sent again on link %s by the lab", name))
	case rec.marks&link.Copied != 0:
		parts = append(parts, fmt.Sprintf("a copy made by link %s", name))
	}
	if rec.marks&link.Corrupted != 0 {
		parts = append(parts, fmt.Sprintf("corrupted by link %s: one bit", name))
	}
	if rec.marks&link.Held != 0 {
		parts = append(parts, fmt.Sprintf("was held by link %s", name))
	}
	return join(parts)
}

func join(parts []string) string {
	all := ""
	for i, p := range parts {
		if i > 0 {
			all += "; "
		}
		all += p
	}
	return all
}
