package usim

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"s2clab/nodes/keys"
)

func drawNumbering(t *rapid.T) Numbering {
	return Numbering{
		INDBits: rapid.IntRange(0, 6).Draw(t, "bits of IND"),
		Delta:   rapid.Uint64Range(0, 20).Draw(t, "delta"),
		Limit:   rapid.Uint64Range(0, 20).Draw(t, "L"),
	}
}

func TestProfile2CountsSEQInTheUpper43BitsAndGoesRoundInIND(t *testing.T) {
	n := Profile2()
	var sqn keys.SQN
	for i := uint64(1); i <= 70; i++ {
		next, err := n.Next(sqn)
		if err != nil {
			t.Fatal(err)
		}
		if want := keys.SQN(i*32 + i%32); next != want {
			t.Fatalf("number %d is %#x, want %#x", i, next, want)
		}
		sqn = next
	}
}

func TestTheNextNumberHasAHigherSEQ(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNumbering(t)
		last := keys.SQN(rapid.Uint64Max(uint64(keys.MaxSQN)).Draw(t, "last"))
		next, err := n.Next(last)
		switch {
		case n.seq(last) == n.seq(keys.MaxSQN):
			if !errors.Is(err, ErrExhausted) {
				t.Fatalf("%#x after the last SEQ: %v", next, err)
			}
		case err != nil || next > keys.MaxSQN || n.seq(next) != n.seq(last)+1:
			t.Fatalf("%#x after %#x, %v", next, last, err)
		}
	})
}

func TestTheLastNumberHasNoneAfterIt(t *testing.T) {
	n := Profile2()
	if sqn, err := n.Next(keys.MaxSQN - 32); err != nil || n.seq(sqn) != 1<<43-1 {
		t.Errorf("the last: %#x, %v", sqn, err)
	}
	for _, last := range []keys.SQN{keys.MaxSQN - 31, keys.MaxSQN} {
		if sqn, err := n.Next(last); !errors.Is(err, ErrExhausted) {
			t.Errorf("%#x after %#x: %v", sqn, last, err)
		}
	}
}

func TestATokenTurnsTheNetworkBackOnlyWhereTheCardWouldTakeNothingElse(t *testing.T) {
	n := Numbering{INDBits: 5, Delta: 100}
	at := func(seq uint64) keys.SQN { return n.sqn(seq, 3) }
	for _, c := range []struct {
		what           string
		last, ms, want keys.SQN
	}{
		{"the network is behind", at(5), at(9), at(9)},
		{"the network has the same SEQ", at(9), at(9), at(9)},
		{"the network is one behind", at(8), at(9), at(9)},
		{"the network is ahead, as after losses", at(50), at(9), at(50)},
		{"the network is as far ahead as it may", at(108), at(9), at(108)},
		{"the network is too far ahead", at(109), at(9), at(9)},
		{"the network is at its end", keys.MaxSQN, at(9), at(9)},
	} {
		if got := n.Resync(c.last, c.ms); got != c.want {
			t.Errorf("%s: SEQ %d, want %d", c.what, n.seq(got), n.seq(c.want))
		}
	}
}

func TestACardOfImpossibleNumberingIsNotMade(t *testing.T) {
	for _, bits := range []int{-1, 17} {
		if _, err := New(keys.NewMilenage([16]byte{}, [16]byte{}), Numbering{INDBits: bits}); err == nil {
			t.Errorf("IND of %d bits passed", bits)
		}
	}
}
