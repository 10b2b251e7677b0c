package association

import (
	"errors"
	"time"

	"s2clab/nodes/keys"
)

// DefaultWindow is how far a timestamp may be from the home agent's clock: RFC
// 4285, sections 5.1 and 6. It should be more than 3 s.
const DefaultWindow = 7 * time.Second

// Why a timestamp is refused, with status mh.IDMismatch.
var (
	ErrWindow = errors.New("timestamp is outside the window")
	ErrStale  = errors.New("timestamp is not later than one accepted before")
)

// A ReplayGuard is the home agent's side of the timestamps of one mobile node:
// RFC 4285, section 6. It is asked after the update has been authenticated. It
// must outlive the binding, or a replayed update could bring the binding back
// within the window.
type ReplayGuard struct {
	Window time.Duration // 0: DefaultWindow

	last uint64 // accepted
	some bool   // one was accepted
}

// Check says whether a Binding Update with this timestamp may be accepted now:
// nil, ErrWindow or ErrStale. It changes nothing.
//
// Later is meant on the circle of 2^64 that timestamps run on, so the year 2036
// passes without harm.
func (g *ReplayGuard) Check(now time.Time, stamp uint64) error {
	window := g.Window
	if window == 0 {
		window = DefaultWindow
	}
	if d := keys.Until(now, stamp); d > window || d < -window {
		return ErrWindow
	}
	if g.some && int64(stamp-g.last) <= 0 {
		return ErrStale
	}
	return nil
}

// Accept takes note that an update with this timestamp was authenticated and
// passed Check.
func (g *ReplayGuard) Accept(stamp uint64) { g.last, g.some = stamp, true }

// Last is the latest timestamp accepted, if there is one.
func (g *ReplayGuard) Last() (stamp uint64, ok bool) { return g.last, g.some }

// Refusal is the timestamp of an acknowledgement that refuses stamp: the upper
// half of the home agent's own time, the lower half of the mobile's. RFC 4285,
// section 6.
func Refusal(now time.Time, stamp uint64) uint64 {
	return keys.NTP(now)>>32<<32 | stamp&(1<<32-1)
}

// ErrMismatch is a timestamp in an acknowledgement that does not belong to the
// update it should answer.
var ErrMismatch = errors.New("timestamp answers another update")

// A Clock makes a mobile node's timestamps: RFC 4285, section 6. Each is later
// than all before it, but for those that the home agent refused because the
// clock was ahead.
type Clock struct {
	Window time.Duration // of the association; 0: DefaultWindow

	offset   time.Duration // of the home agent's clock from ours, as far as we know
	newest   uint64        // given out
	accepted uint64        // newest that the home agent accepted
	gave     bool
	learned  bool // accepted is set
}

// Offset is what is added to the mobile's own clock.
func (c *Clock) Offset() time.Duration { return c.offset }

// Stamp gives the timestamp of an update sent now. A time.Time is finer than
// nanoseconds nowhere, so random fills the two lowest bits.
func (c *Clock) Stamp(now time.Time, random uint64) uint64 {
	stamp := keys.NTP(now.Add(c.offset))&^3 | random&3
	if c.gave && int64(stamp-c.newest) <= 0 {
		stamp = c.newest + 1
	}
	c.newest, c.gave = stamp, true
	return stamp
}

// Match says whether an acknowledgement other than a refusal with
// mh.IDMismatch answers the update with timestamp sent: nil or ErrMismatch. It
// is asked before the authenticator is checked: RFC 4285, section 6.
func Match(sent, received uint64) error {
	if sent != received {
		return ErrMismatch
	}
	return nil
}

// Accepted takes note that the home agent accepted an update.
func (c *Clock) Accepted(stamp uint64) {
	if !c.learned || int64(stamp-c.accepted) > 0 {
		c.accepted, c.learned = stamp, true
	}
}

// Resynchronise sets the clock after an authenticated refusal with
// mh.IDMismatch that carried the timestamp received and answers the update with
// timestamp sent. It returns the offset from then on. It changes nothing and
// returns ErrMismatch where the lower halves differ: as RFC 5944, section
// 5.7.1, asks; RFC 4285 does not.
//
// The home agent tells whole seconds, and the middle of its second is taken.
// The new offset is off by half a second and the way back at most.
func (c *Clock) Resynchronise(now time.Time, sent, received uint64) (time.Duration, error) {
	if uint32(sent) != uint32(received) {
		return c.offset, ErrMismatch
	}
	theirs := received>>32<<32 | 1<<31
	c.offset = keys.Until(now, theirs)

	// Timestamps must stay later than any the home agent accepted. What is too
	// far ahead of its clock it cannot have accepted.
	window := c.Window
	if window == 0 {
		window = DefaultWindow
	}
	ahead := int64(c.newest - theirs)
	if ahead > int64(window/time.Second)<<32 {
		c.newest, c.gave = c.accepted, c.learned
	}
	return c.offset, nil
}
