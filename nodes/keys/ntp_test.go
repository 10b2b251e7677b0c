package keys

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNTPCountsFrom1900(t *testing.T) {
	for _, c := range []struct {
		t     time.Time
		stamp uint64
	}{
		{time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), 0},
		{time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), 0x83aa7e80_00000000}, // RFC 5905, figure 4
		{time.Date(2007, 10, 26, 13, 20, 0, 5e8, time.UTC), 0xcacc6800_80000000},
		{time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), 0xffffffff_00000000}, // the last second of era 0
		{time.Date(2036, 2, 7, 6, 28, 16, 25e7, time.UTC), 0x00000000_40000000},
	} {
		if got := NTP(c.t); got != c.stamp {
			t.Errorf("%v is %#x, want %#x", c.t, got, c.stamp)
		}
		if got := NTPTime(c.stamp, c.t.Add(50*365*24*time.Hour)); !got.Equal(c.t) {
			t.Errorf("%#x is %v, want %v", c.stamp, got, c.t)
		}
	}
}

func TestNTPTimestampsKeepNanosecondsAndOrder(t *testing.T) {
	epoch := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		now := epoch.Add(time.Duration(rapid.Int64Range(0, 50*365*24*3600e9).Draw(t, "now")))
		d := time.Duration(rapid.Int64Range(-60*365*24*3600e9, 60*365*24*3600e9).Draw(t, "d"))
		other := NTP(now.Add(d))
		if got := NTPTime(other, now); !got.Equal(now.Add(d)) {
			t.Fatalf("%v, want %v", got, now.Add(d))
		}
		if got := Until(now, other); got != d {
			t.Fatalf("%v, want %v", got, d)
		}
		if later := NTP(now.Add(d + 1)); int64(later-other) <= 0 {
			t.Fatalf("a nanosecond later is %#x after %#x", later, other)
		}
	})
}
