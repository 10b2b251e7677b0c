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

// register is a round trip: the mobile sends an update, the agent, whose clock
// is ahead of the mobile's, checks it and answers at once.
func register(t *testing.T, c *Clock, g *ReplayGuard, mobile time.Time, ahead time.Duration) bool {
	t.Helper()
	sent := c.Stamp(mobile, 3)
	agent := mobile.Add(ahead).Add(10 * time.Millisecond)
	if g.Check(agent, sent) == nil {
		g.Accept(sent)
		if err := Match(sent, sent); err != nil {
			t.Fatal(err)
		}
		c.Accepted(sent)
		return true
	}
	if _, err := c.Resynchronise(mobile.Add(20*time.Millisecond), sent, Refusal(agent, sent)); err != nil {
		t.Fatal(err)
	}
	return false
}

func TestAClockThatIsWrongIsRightAfterOneRefusal(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 8 * time.Second, -8 * time.Second,
		40 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour, 7 * time.Second, 0} {
		for part := range 20 { // of a second, on the mobile's clock
			c, g := &Clock{}, &ReplayGuard{}
			now := stamped.Add(time.Duration(part) * 50 * time.Millisecond)
			refused := !register(t, c, g, now, ahead)
			now = now.Add(20 * time.Millisecond)
			if refused && !register(t, c, g, now, ahead) {
				t.Errorf("agent %v ahead, part %d: refused twice, with offset %v", ahead, part, c.Offset())
			}
			if off := c.Offset() - ahead; refused && (off < -510*time.Millisecond || off > 510*time.Millisecond) {
				t.Errorf("agent %v ahead: offset %v", ahead, c.Offset())
			}
			if !refused && c.Offset() != 0 {
				t.Errorf("agent %v ahead: offset %v without a refusal", ahead, c.Offset())
			}
		}
	}
}

func TestAClockThatIsSetBackInUseStaysLaterThanWhatWasAccepted(t *testing.T) {
	c, g := &Clock{}, &ReplayGuard{}
	if !register(t, c, g, stamped, 0) {
		t.Fatal("refused with a right clock")
	}
	// The mobile's clock jumps an hour ahead.
	jumped := stamped.Add(time.Hour + time.Second)
	if register(t, c, g, jumped, -time.Hour) {
		t.Fatal("accepted an hour off")
	}
	if !register(t, c, g, jumped.Add(20*time.Millisecond), -time.Hour) {
		t.Error("refused after the refusal had set the clock")
	}
}

func TestAnAcceptanceThatWasLostIsNotForgottenWhenTheClockIsSet(t *testing.T) {
	c, g := &Clock{}, &ReplayGuard{}
	// The mobile is 6 s ahead: accepted, but it never hears of it.
	lost := c.Stamp(stamped.Add(6*time.Second), 0)
	if err := g.Check(stamped, lost); err != nil {
		t.Fatal(err)
	}
	g.Accept(lost)
	// Something sets its offset 1 s before that.
	sent := lost
	if _, err := c.Resynchronise(stamped.Add(6*time.Second), sent, Refusal(stamped, sent)); err != nil {
		t.Fatal(err)
	}
	next := c.Stamp(stamped.Add(6100*time.Millisecond), 0)
	if err := g.Check(stamped.Add(100*time.Millisecond), next); err != nil {
		t.Errorf("the next timestamp, %v later than the lost one: %v", time.Duration(next-lost), err)
	}
}

func TestTimestampsOfAMobileGrowThoughItsClockStandsStill(t *testing.T) {
	var c Clock
	last := c.Stamp(stamped, 0)
	for i := range uint64(100) {
		next := c.Stamp(stamped.Add(-time.Duration(i)), i)
		if next <= last {
			t.Fatalf("%#x after %#x", next, last)
		}
		last = next
	}
}

func TestRandomFillsTheBitsThatTheClockHasNot(t *testing.T) {
	for random := range uint64(4) {
		var c Clock
		if got := c.Stamp(stamped, random); got != stamp|random {
			t.Errorf("%#x, want %#x", got, stamp|random)
		}
	}
}

func TestARefusalOfAnotherUpdateDoesNotSetTheClock(t *testing.T) {
	var c Clock
	sent := c.Stamp(stamped, 1)
	if _, err := c.Resynchronise(stamped, sent, Refusal(stamped.Add(time.Hour), sent+1)); !errors.Is(err, ErrMismatch) {
		t.Errorf("%v, want ErrMismatch", err)
	}
	if c.Offset() != 0 {
		t.Errorf("offset %v", c.Offset())
	}
	if err := Match(sent, sent|1<<40); !errors.Is(err, ErrMismatch) {
		t.Errorf("another upper half: %v", err)
	}
}
