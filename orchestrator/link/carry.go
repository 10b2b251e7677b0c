package link

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// This file is the way of a frame through a link, on the thread of its loop:
//
//	arrived -> enter -> pass -> (the lane) -> deliver
//
// A frame that is lost on it ends in lose.

const minFrame = 14 // octets: the Ethernet header

func duration(ns int64) time.Duration { return time.Duration(ns) }

// arrived takes what was read from an end's port. f is the loop's scratch frame.
func (k *relayLink) arrived(e *end, f *frame, now int64) {
	if len(f.data) < vnetLen+minFrame {
		e.counters.Sent++
		e.dropped[NotALink]++
		return
	}
	if large(f.data) && (isRow(f.data) || wantsWire(&e.lane.impairment)) {
		l := k.loop
		var cut *frame
		room := func(n int) []byte {
			if cut = l.pool.get(n); cut == nil {
				e.dropped[OutOfMemory]++
				return nil
			}
			return cut.data
		}
		if segments(f.data, room, func([]byte) { k.enter(e, cut, now) }) {
			return
		}
	}
	k.enter(e, f, now)
}

// enter takes a frame that an end has sent.
func (k *relayLink) enter(e *end, f *frame, now int64) {
	l := k.loop
	l.ids++
	f.id, f.from, f.since, f.marks = l.ids, e, now, 0
	f.jitter, f.ahead, f.held, f.seen = 0, false, false, false
	e.counters.Sent++
	e.counters.SentOctets += uint64(f.length())
	if k.down || !e.attached {
		k.refuse(f, NoCarrier)
		return
	}
	if len(k.ends) > 2 {
		k.table.learn(now, [6]byte(f.octets()[6:]), e)
	}
	if len(k.aims) > 0 && k.aimedAt(e, f, now) {
		return
	}
	k.pass(f, now)
}

// pass lets chance decide, then sends the frame down its lane, or straight on
// where the lane is clear.
func (k *relayLink) pass(f *frame, now int64) {
	l, e := k.loop, f.from
	fate := e.dice.draw(&e.lane.impairment, f.length())
	if fate.lost {
		k.refuse(f, Loss)
		return
	}
	if fate.flip >= 0 {
		f.marks |= Corrupted
		e.counters.Corrupted++
	}
	f.jitter, f.ahead = fate.jitter, fate.ahead
	if f.ahead {
		f.marks |= Overtook
		e.counters.Overtook++
	}
	var copy *frame
	if fate.duplicate {
		if copy = k.copy(f); copy != nil {
			copy.marks = Copied
			copy.jitter, copy.ahead = fate.again, false
			f.marks |= Duplicated
			e.counters.Duplicated++
		}
	}
	if e.lane.clear() {
		if f.marks != 0 || len(k.ends) > 2 {
			k.seeEntry(f, NotDropped)
		}
		k.corrupt(f, fate.flip)
		k.deliver(f, now, now)
	} else {
		reason := NotDropped
		kept := f
		if !e.lane.room(now, f) {
			reason = QueueFull
		} else if kept = l.keep(f); kept == nil {
			reason = OutOfMemory
		}
		if reason != NotDropped {
			k.refuse(f, reason)
		} else {
			k.seeEntry(kept, NotDropped)
			k.corrupt(kept, fate.flip)
			e.lane.push(now, kept)
		}
		l.schedule(e)
	}
	if copy != nil {
		k.passCopy(copy, now)
	}
}

// passCopy sends a copy down the lane of the frame that it was made of.
func (k *relayLink) passCopy(f *frame, now int64) {
	e := f.from
	switch {
	case e.lane.clear():
		k.deliver(f, now, now)
	case e.lane.room(now, f):
		e.lane.push(now, f)
	default:
		k.lose(f, QueueFull)
	}
	k.loop.schedule(e)
}

// copy makes a copy with an identity of its own.
func (k *relayLink) copy(f *frame) *frame {
	g := k.loop.pool.copy(f)
	if g == nil {
		return nil
	}
	k.loop.ids++
	g.id, g.seen = k.loop.ids, true
	return g
}

// corrupt turns a bit over. The checksum is completed before that, so that the
// receiver can find out.
func (k *relayLink) corrupt(f *frame, bit int) {
	if bit >= 0 {
		Complete(f.data)
		flip(f.data, bit)
	}
}

// carryDue takes a frame whose time has come.
func (l *loop) carryDue(f *frame) {
	k := f.from.link
	if !f.held {
		k.deliver(f, f.due, l.clock.now())
		return
	}
	f.held = false
	if f.marks&Copied != 0 {
		k.passCopy(f, f.due)
		return
	}
	k.pass(f, f.due)
}

// deliver hands a frame to the ends it is for. due is when it should be there.
func (k *relayLink) deliver(f *frame, due, now int64) {
	l := k.loop
	targets := l.targets[:0]
	if len(k.ends) == 2 {
		to := k.ends[0]
		if to == f.from {
			to = k.ends[1]
		}
		if to.attached {
			targets = append(targets, to)
		}
	} else {
		only := k.table.find(now, [6]byte(f.octets()[:6]))
		for _, to := range k.ends {
			if to.attached && to != f.from && (only == nil || to == only) {
				targets = append(targets, to)
			}
		}
	}
	l.targets = targets
	if len(targets) == 0 {
		k.refuse(f, NoCarrier)
		return
	}
	for i, to := range targets {
		at := now
		if l.observer != nil || i > 0 || due != f.since {
			at = l.clock.now()
		}
		if i == 0 && due != f.since {
			f.from.late.add(at - due)
			l.late.add(at - due)
		}
		ok := l.write(to.fd, f.data)
		if ok {
			to.counters.Arrived++
			to.counters.ArrivedOctets += uint64(f.length())
		} else {
			f.from.dropped[Refused]++
		}
		if l.observer == nil {
			continue
		}
		s := &l.sight
		*s = Sight{What: Left, Marks: f.marks, Last: i == len(targets)-1, Loop: l.number,
			Frame: f.id, From: f.from.id, To: to.id, At: at, Since: f.since, Data: f.data}
		switch {
		case !ok && !f.seen:
			s.What, s.Reason, s.At = Entered, Refused, f.since
		case !ok:
			s.What, s.Reason = Dropped, Refused
		case !f.seen:
			s.What = Crossed
		}
		l.observer.See(s)
	}
	l.release(f)
}

// refuse drops a frame that may not have been seen yet.
func (k *relayLink) refuse(f *frame, why Reason) {
	if f.seen {
		k.lose(f, why)
		return
	}
	f.from.dropped[why]++
	k.seeEntry(f, why)
	k.loop.release(f)
}

// seeEntry shows a frame as it enters, once.
func (k *relayLink) seeEntry(f *frame, why Reason) {
	l := k.loop
	if f.seen {
		return
	}
	f.seen = true
	if l.observer == nil {
		return
	}
	l.sight = Sight{What: Entered, Marks: f.marks, Reason: why, Last: why != NotDropped, Loop: l.number,
		Frame: f.id, From: f.from.id, To: f.from.id, At: f.since, Since: f.since, Data: f.data}
	if f.marks&Held != 0 {
		l.sight.Until = f.due
	}
	l.observer.See(&l.sight)
}

// lose drops a frame that has entered.
func (k *relayLink) lose(f *frame, why Reason) {
	l := k.loop
	f.from.dropped[why]++
	if l.observer != nil {
		l.sight = Sight{What: Dropped, Marks: f.marks, Reason: why, Last: true, Loop: l.number,
			Frame: f.id, From: f.from.id, To: f.from.id, At: l.clock.now(), Since: f.since, Data: f.data}
		l.observer.See(&l.sight)
	}
	l.release(f)
}

// drain loses all that an end has on its way.
func (k *relayLink) drain(e *end, why Reason) {
	lose := func(f *frame) { k.lose(f, why) }
	e.lane.empty(lose)
	e.lane.clearWay(lose)
	k.loop.schedule(e)
}

// Inject sends a frame into the link as if the end had sent it.
func (k *relayLink) Inject(name string, octets []byte) error {
	e, err := k.end(name)
	if err != nil {
		return err
	}
	if len(octets) < minFrame || len(octets) > maxFrame {
		return fmt.Errorf("inject: a frame of %d octets: want %d to %d", len(octets), minFrame, maxFrame)
	}
	k.loop.do(func() {
		l := k.loop
		if k.closed {
			err = errClosed
			return
		}
		f := l.pool.get(vnetLen + len(octets))
		if f == nil {
			err = fmt.Errorf("inject: %w", unix.ENOMEM)
			return
		}
		clear(f.data[:vnetLen])
		copy(f.data[vnetLen:], octets)
		l.ids++
		now := l.clock.now()
		f.id, f.from, f.since, f.marks = l.ids, e, now, Injected
		e.counters.Sent++
		e.counters.SentOctets += uint64(f.length())
		if k.down {
			k.refuse(f, LinkDown)
			return
		}
		k.pass(f, now)
	})
	return err
}
