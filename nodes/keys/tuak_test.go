package keys

import (
	"testing"
)

func TestTuakIsThatOfTS35233InAllLengths(t *testing.T) {
	sets := testSets(t, "tuak.txt")
	if len(sets) != 6 {
		t.Fatalf("%d sets, want 6", len(sets))
	}
	for _, s := range sets {
		iterations := int(s.get("iterations")[0])
		topc, err := TOPc(s.get("K"), [32]byte(s.get("TOP")), iterations)
		if err != nil {
			t.Fatal(err)
		}
		s.is("TOPc", topc[:])
		c, err := newTuakCore(s.get("K"), topc, iterations)
		if err != nil {
			t.Fatal(err)
		}
		s.is("f1", c.f1(s.rand(), s.sqn(), s.amf(), len(s.get("f1"))))
		s.is("f1*", c.f1Star(s.rand(), s.sqn(), s.amf(), len(s.get("f1*"))))
		res, ck, ik, ak := c.f2345(s.rand(), len(s.get("f2")), len(s.get("f3")), len(s.get("f4")))
		s.is("f2", res)
		s.is("f3", ck)
		s.is("f4", ik)
		s.is("f5", ak[:])
		akStar := c.f5Star(s.rand())
		s.is("f5*", akStar[:])
	}
}

// Set 1 has the lengths of a Vector; set 4 has them but for its MACs.
func TestTuakMakesWhatAVectorHolds(t *testing.T) {
	sets := testSets(t, "tuak.txt")
	tuak, err := NewTuak(sets[0].get("K"), [32]byte(sets[0].get("TOPc")), TuakChoices{RES: 4, Iterations: 1})
	if err != nil {
		t.Fatal(err)
	}
	sets[0].holds(tuak)

	s := sets[3]
	if tuak, err = NewTuak(s.get("K"), [32]byte(s.get("TOPc")), TuakChoices{RES: 16}); err != nil {
		t.Fatal(err)
	}
	answer := tuak.F2345(s.rand())
	s.is("f2", answer.RES)
	s.is("f3", answer.CK[:])
	s.is("f4", answer.IK[:])

	if tuak, err = NewTuak(s.get("K"), [32]byte(s.get("TOPc")), TuakChoices{}); err != nil {
		t.Fatal(err)
	}
	if got := tuak.F2345(s.rand()).RES; len(got) != 8 {
		t.Errorf("RES has %d octets by default, want 8", len(got))
	}
}

func TestTuakRefusesWhatItsStandardDoesNotHave(t *testing.T) {
	for what, try := range map[string]func() error{
		"a key of 24 octets": func() error { _, err := NewTuak(make([]byte, 24), [32]byte{}, TuakChoices{}); return err },
		"a RES of 32 octets": func() error { _, err := NewTuak(make([]byte, 16), [32]byte{}, TuakChoices{RES: 32}); return err },
		"256 iterations": func() error {
			_, err := NewTuak(make([]byte, 16), [32]byte{}, TuakChoices{Iterations: 256})
			return err
		},
		"-1 iterations":       func() error { _, err := NewTuak(make([]byte, 16), [32]byte{}, TuakChoices{Iterations: -1}); return err },
		"a key of 15 octets":  func() error { _, err := TOPc(make([]byte, 15), [32]byte{}, 1); return err },
		"no key":              func() error { _, err := TOPc(nil, [32]byte{}, 1); return err },
		"a thousand to TOPc ": func() error { _, err := TOPc(make([]byte, 16), [32]byte{}, 1000); return err },
	} {
		if try() == nil {
			t.Errorf("%s passed", what)
		}
	}
}

func BenchmarkTuakVector(b *testing.B) {
	tuak, err := NewTuak(make([]byte, 16), [32]byte{2}, TuakChoices{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewVector(tuak, [16]byte{3}, 32, [2]byte{Separation}); err != nil {
			b.Fatal(err)
		}
	}
}
