package association

import (
	"errors"
	"testing"
	"time"

	"s2clab/nodes/keys"
)

func TestATimestampWithinSevenSecondsIsAccepted(t *testing.T) {
	for _, c := range []struct {
		window, off time.Duration
		want        error
	}{
		{0, 0, nil},
		{0, 7 * time.Second, nil},
		{0, -7 * time.Second, nil},
		{0, 7*time.Second + time.Nanosecond, ErrWindow},
		{0, -7*time.Second - time.Nanosecond, ErrWindow},
		{0, time.Hour, ErrWindow},
		{0, -100 * 365 * 24 * time.Hour, ErrWindow},
		{4 * time.Second, 4 * time.Second, nil},
		{4 * time.Second, 5 * time.Second, ErrWindow},
	} {
		g := ReplayGuard{Window: c.window}
		if err := g.Check(stamped, keys.NTP(stamped.Add(c.off))); !errors.Is(err, c.want) {
			t.Errorf("window %v, %v off: %v, want %v", c.window, c.off, err, c.want)
		}
	}
}

func TestATimestampIsGoodOnce(t *testing.T) {
	var g ReplayGuard
	at := func(d time.Duration) (now time.Time, stamp uint64) {
		return stamped.Add(d), keys.NTP(stamped.Add(d))
	}
	now, first := at(0)
	if err := g.Check(now, first); err != nil {
		t.Fatal(err)
	}
	if err := g.Check(now, first); err != nil {
		t.Error("a check alone has used the timestamp up")
	}
	g.Accept(first)
	if err := g.Check(now.Add(time.Second), first); !errors.Is(err, ErrStale) {
		t.Errorf("replayed after 1 s: %v", err)
	}
	if err := g.Check(now.Add(time.Second), first-1); !errors.Is(err, ErrStale) {
		t.Errorf("delayed update from before: %v", err)
	}
	if err := g.Check(now.Add(time.Minute), first); !errors.Is(err, ErrWindow) {
		t.Errorf("replayed after a minute: %v", err)
	}
	if err := g.Check(now, first+1); err != nil {
		t.Errorf("the next possible timestamp: %v", err)
	}
	if last, ok := g.Last(); last != first || !ok {
		t.Errorf("last is %#x, %v", last, ok)
	}
}

func TestTimestampsGoOnThroughTheYear2036(t *testing.T) {
	var g ReplayGuard
	before := time.Date(2036, 2, 7, 6, 28, 15, 9e8, time.UTC)
	after := before.Add(200 * time.Millisecond)
	if keys.NTP(after) > keys.NTP(before) {
		t.Fatal("the test is in the wrong year")
	}
	g.Accept(keys.NTP(before))
	if err := g.Check(after, keys.NTP(after)); err != nil {
		t.Error(err)
	}
	g.Accept(keys.NTP(after))
	if err := g.Check(after, keys.NTP(before)); !errors.Is(err, ErrStale) {
		t.Errorf("a timestamp of the old era: %v", err)
	}
}

func TestARefusalHasTheUpperHalfOfTheAgentsTimeAndTheLowerOfTheMobiles(t *testing.T) {
	if got := Refusal(stamped, 0x12345678_9abcdef0); got != 0xcacc6800_9abcdef0 {
		t.Errorf("%#x", got)
	}
}
