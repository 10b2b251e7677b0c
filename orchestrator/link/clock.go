package link

import (
	"sync"
	"time"

	"s2clab/nodes/control"
)

// A clock reads CLOCK_MONOTONIC without a system call.
type clock struct {
	base time.Time
	mono int64 // what CLOCK_MONOTONIC showed at base, nanoseconds
}

// theClock is calibrated when it is first asked for.
var theClock = sync.OnceValue(func() clock {
	c := clock{base: time.Now()}
	best := time.Hour
	for range 16 {
		before := time.Since(c.base)
		mono := control.Now()
		after := time.Since(c.base)
		if d := after - before; d < best {
			best = d
			c.mono = mono - int64(before+d/2)
		}
	}
	return c
})

// now is CLOCK_MONOTONIC in nanoseconds.
func (c *clock) now() int64 { return int64(time.Since(c.base)) + c.mono }
