package analysis

import (
	"testing"
	"time"
)

func TestSilenceIsTheLongestTimeBetweenTwoArrivalsThatBeginsWhenAskedFor(t *testing.T) {
	d := &Direction{}
	for _, ms := range []int{0, 20, 40, 540, 560, 1560} {
		d.samples = append(d.samples, sample{received: time.Duration(ms) * time.Millisecond})
	}
	always := func(time.Duration) bool { return true }
	if longest, at, ok := d.silence(always); !ok || longest != time.Second || at != 560*time.Millisecond {
		t.Errorf("%v at %v", longest, at)
	}
	early := func(at time.Duration) bool { return at < 100*time.Millisecond }
	if longest, at, ok := d.silence(early); !ok || longest != 500*time.Millisecond || at != 40*time.Millisecond {
		t.Errorf("%v at %v", longest, at)
	}
	if _, _, ok := d.silence(func(time.Duration) bool { return false }); ok {
		t.Error("found a silence when none was asked for")
	}
	if _, _, ok := (&Direction{}).silence(always); ok {
		t.Error("found a silence where nothing came")
	}
}
