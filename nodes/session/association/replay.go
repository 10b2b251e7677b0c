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
