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

func TestTheLongestStillnessApartFromHandoversIsFound(t *testing.T) {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	voice := Direction{Flow: "voice", From: "cn", To: "ue", Kind: "voice", Spacing: at(20)}
	for _, ms := range []int{0, 20, 40, 540, 560, 1560, 1580} { // 500 ms, then a second in a handover
		voice.samples = append(voice.samples, sample{received: at(ms)})
	}
	file := Direction{Flow: "file", From: "cn", To: "ue", Kind: "bulk", stream: true, samples: []sample{{received: 0}, {received: at(5000)}}}
	asked := Direction{Flow: "web", From: "cn", To: "ue", Kind: "request", samples: []sample{{received: 0}, {received: at(5000)}}}
	a := &Analysis{Flows: []Direction{file, voice, asked}, Handovers: []Handover{{Interruptions: []Interruption{
		{Flow: "voice", From: "cn", To: "ue", Start: at(560), End: at(1560)}, {Flow: "voice", From: "ue", To: "cn", Start: at(40), End: at(540)}}}}}
	want := Stillness{"voice", "cn", "ue", at(40), at(480), at(20)}
	if got, ok := a.LongestApart(); !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	a.Flows = []Direction{file}
	if got, ok := a.LongestApart(); ok {
		t.Errorf("%+v of a connection", got)
	}
}
