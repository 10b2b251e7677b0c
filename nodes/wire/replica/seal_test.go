package replica

import "testing"

func TestASealProvesTheNextFrameOfItsConnectionOnly(t *testing.T) {
	key := []byte("0123456789abcdef")
	a, b := [NonceSize]byte{1}, [NonceSize]byte{2}
	first := NewSeal(key, "to-standby", a, b)
	one, two := []byte("one"), []byte("two")
	p1 := first.Append(nil, one)
	p2 := first.Append(nil, two)
	reader := NewSeal(key, "to-standby", a, b)
	if !reader.Proves(one, p1) || !reader.Proves(two, p2) {
		t.Error("its own frames are not proven")
	}
	for name, s := range map[string]*Seal{
		"another key":        NewSeal([]byte("fedcba9876543210"), "to-standby", a, b),
		"another direction":  NewSeal(key, "to-active", a, b),
		"another connection": NewSeal(key, "to-standby", a, [NonceSize]byte{3}),
	} {
		if s.Proves(one, p1) {
			t.Errorf("%s: proven", name)
		}
	}
	missing := NewSeal(key, "to-standby", a, b)
	if missing.Proves(two, p2) {
		t.Error("a frame is missing, and it was not seen")
	}
	altered := NewSeal(key, "to-standby", a, b)
	if altered.Proves([]byte("onf"), p1) {
		t.Error("an altered frame is proven")
	}
}
