package keys

import (
	"sync"
	"testing"
)

func TestMilenageIsThatOfTS35208(t *testing.T) {
	sets := testSets(t, "milenage.txt")
	if len(sets) != 20 {
		t.Fatalf("%d sets, want 20", len(sets))
	}
	for _, s := range sets {
		k := [16]byte(s.get("K"))
		opc := OPc(k, [16]byte(s.get("OP")))
		s.is("OPc", opc[:])
		m := NewMilenage(k, opc)
		for range 2 { // it is as good the second time
			s.holds(m)
		}
	}
}

func TestGoroutinesMayShareAMilenage(t *testing.T) {
	s := testSets(t, "milenage.txt")[0]
	m := NewMilenage([16]byte(s.get("K")), [16]byte(s.get("OPc")))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				s.holds(m)
			}
		})
	}
	wg.Wait()
}

func BenchmarkMilenageVector(b *testing.B) {
	m := NewMilenage([16]byte{1}, [16]byte{2})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewVector(m, [16]byte{3}, 32, [2]byte{Separation}); err != nil {
			b.Fatal(err)
		}
	}
}
