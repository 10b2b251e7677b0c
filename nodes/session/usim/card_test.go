package usim

import (
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"s2clab/nodes/keys"
)

// fataler is a test or a property of rapid.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

var subscriber = keys.NewMilenage([16]byte([]byte("subscriber's key")), [16]byte([]byte("operator's value")))

func card(t fataler, n Numbering) *Card {
	t.Helper()
	c, err := New(subscriber, n)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func vector(t fataler, a keys.Algorithm, sqn keys.SQN, amf [2]byte) keys.Vector {
	t.Helper()
	v, err := keys.NewVector(a, [16]byte{byte(sqn), byte(sqn >> 8), byte(sqn >> 16)}, sqn, amf)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// takes presents a number to a card and says whether it is accepted. A refusal must
// have a token that tells the network the highest number accepted.
func takes(t fataler, c *Card, sqn keys.SQN) bool {
	t.Helper()
	v := vector(t, subscriber, sqn, [2]byte{})
	before, highest := c.Accepted(), c.highest()
	r, err := c.Authenticate(v.RAND, v.AUTN)
	if err == nil {
		if !slices.Equal(r.RES, v.XRES) || r.CK != v.CK || r.IK != v.IK {
			t.Fatalf("the answer to %#x is not that of its vector", sqn)
		}
		return true
	}
	var refused *SyncError
	if !errors.As(err, &refused) {
		t.Fatalf("%#x: %v, want a SyncError", sqn, err)
	}
	if ms, err := keys.OpenAUTS(subscriber, v.RAND, refused.AUTS); err != nil || ms != highest {
		t.Fatalf("the token tells %#x, %v, want %#x", ms, err, highest)
	}
	if !slices.Equal(c.Accepted(), before) {
		t.Fatalf("a refused number changed the counters")
	}
	return false
}

// RFC 9048, appendix C, case 1: its AKA is set 19 of Milenage.
func TestACardAnswersTheChallengeOfRFC9048(t *testing.T) {
	of := func(text string) [16]byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return [16]byte(b)
	}
	c, err := New(keys.NewMilenage(of("5122250214c33e723a5dd523fc145fc0"), of("981d464c7c52eb6e5036234984ad0bcf")), Numbering{INDBits: 5})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.AuthenticateSeparated(of("81e92b6c0ee0e12ebceba8d92a99dfa5"), of("bb52e91c747ac3ab2a5c23d15ee351d5"))
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(r.RES) != "28d7b0f2a2ec3de5" || r.CK != of("5349fbe098649f948f5d2e973a81c00f") || r.IK != of("9744871ad32bf9bbd1dd5ce54e3e2e5a") {
		t.Errorf("RES %x, CK %x, IK %x", r.RES, r.CK, r.IK)
	}
}

// TS 33.102, annex C.2, number by number.
func TestANumberIsFreshIfItsSEQIsAboveThatOfItsIND(t *testing.T) {
	n := Numbering{INDBits: 5, Delta: 1000, Limit: 50}
	c := card(t, n)
	for _, step := range []struct {
		seq, ind uint64
		fresh    bool
		why      string
	}{
		{0, 0, false, "SEQ 0 is above nothing"},
		{1, 0, true, "the first"},
		{1, 0, false, "the same again"},
		{1, 1, true, "the same SEQ under another IND"},
		{100, 2, true, "a jump"},
		{60, 3, true, "behind, under an IND of its own"},
		{51, 4, true, "49 behind, of less than 50"},
		{50, 5, false, "50 behind"},
		{51, 4, false, "used before it got old"},
		{1100, 6, true, "1000 ahead, the most"},
		{2101, 7, false, "1001 ahead"},
		{1101, 6, true, "one more"},
	} {
		if got := takes(t, c, n.sqn(step.seq, step.ind)); got != step.fresh {
			t.Errorf("SEQ %d, IND %d: fresh is %v, want %v: %s", step.seq, step.ind, got, step.fresh, step.why)
		}
	}
}

func TestACardThatHasAcceptedNothingTellsTheNumberZero(t *testing.T) {
	if sqn := card(t, Profile2()).highest(); sqn != 0 {
		t.Errorf("%#x", sqn)
	}
}

func TestACardNeverAcceptsANumberTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNumbering(t)
		c, accepted := card(t, n), map[keys.SQN]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "challenges") {
			sqn := keys.SQN(rapid.Uint64Max(1<<10).Draw(t, "sqn"))
			if !takes(t, c, sqn) {
				continue
			}
			if accepted[sqn] {
				t.Fatalf("%#x was accepted twice", sqn)
			}
			accepted[sqn] = true
			if rapid.Bool().Draw(t, "the card is restarted") {
				again := card(t, n)
				if err := again.Restore(c.Accepted()); err != nil {
					t.Fatal(err)
				}
				c = again
			}
		}
	})
}

func TestAsManyChallengesAsThereAreCountersMayOvertakeOneAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := Profile2()
		c := card(t, n)
		last := keys.SQN(rapid.Uint64Max(1<<32).Draw(t, "last"))
		var batch []keys.SQN
		for range 1 << n.INDBits {
			next, err := n.Next(last)
			if err != nil {
				t.Fatal(err)
			}
			batch, last = append(batch, next), next
		}
		for _, sqn := range rapid.Permutation(batch).Draw(t, "order") {
			if !takes(t, c, sqn) {
				t.Fatalf("%#x is refused", sqn)
			}
		}
	})
}

func TestAChallengeOvertakenByMoreThanThereAreCountersIsRefused(t *testing.T) {
	n := Profile2()
	c := card(t, n)
	first, err := n.Next(0)
	if err != nil {
		t.Fatal(err)
	}
	last := first
	for range 1 << n.INDBits {
		if last, err = n.Next(last); err != nil {
			t.Fatal(err)
		}
		if !takes(t, c, last) {
			t.Fatalf("%#x is refused", last)
		}
	}
	if takes(t, c, first) {
		t.Error("the first is accepted after all others")
	}
}

// Whatever network and card have come to, short of the end of all numbers.
func TestResynchronisationAlwaysLeadsToSuccess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNumbering(t)
		c := card(t, n)
		state := make([]uint64, 1<<n.INDBits)
		for i := range state {
			state[i] = rapid.Uint64Max(1<<40).Draw(t, "SEQ_MS")
		}
		if err := c.Restore(state); err != nil {
			t.Fatal(err)
		}
		last := keys.SQN(rapid.Uint64Max(uint64(keys.MaxSQN)-1<<n.INDBits).Draw(t, "SQN_HE"))

		sqn, err := n.Next(last)
		if err != nil {
			t.Fatal(err)
		}
		v := vector(t, subscriber, sqn, [2]byte{})
		_, err = c.Authenticate(v.RAND, v.AUTN)
		var refused *SyncError
		if errors.As(err, &refused) {
			ms, err := keys.OpenAUTS(subscriber, v.RAND, refused.AUTS)
			if err != nil {
				t.Fatal(err)
			}
			if sqn, err = n.Next(n.Resync(sqn, ms)); err != nil {
				t.Fatal(err)
			}
			if !takes(t, c, sqn) {
				t.Fatalf("%#x is refused after the card told %#x", sqn, ms)
			}
		} else if err != nil {
			t.Fatal(err)
		}
		if takes(t, c, sqn) {
			t.Fatalf("%#x is accepted again", sqn)
		}
	})
}

// An old token that comes again, with its RAND, may not make the network use a number
// again that it has used since.
func TestAnOldTokenDoesNotTurnTheNetworkBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := Profile2()
		ms := keys.SQN(rapid.Uint64Max(1<<40).Draw(t, "SQN_MS"))
		last := n.Resync(keys.SQN(rapid.Uint64Max(1<<40).Draw(t, "SQN_HE")), ms)
		for range rapid.IntRange(0, 100).Draw(t, "challenges since") {
			next, err := n.Next(last)
			if err != nil {
				t.Fatal(err)
			}
			last = next
		}
		if got := n.Resync(last, ms); n.seq(got) < n.seq(last) {
			t.Fatalf("%#x, was %#x", got, last)
		}
	})
}

func TestAChallengeOfAnotherSubscriberIsNotAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "K"))
		opc := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "OPc"))
		c := card(t, Profile2())
		v := vector(t, keys.NewMilenage(k, opc), keys.SQN(rapid.Uint64Max(uint64(keys.MaxSQN)).Draw(t, "sqn")), [2]byte{})
		if _, err := c.Authenticate(v.RAND, v.AUTN); !errors.Is(err, ErrMAC) {
			t.Fatalf("%v, want ErrMAC", err)
		}
	})
}

func TestAChallengeThatIsChangedOnItsWayIsNotAccepted(t *testing.T) {
	c := card(t, Profile2())
	v := vector(t, subscriber, 33, [2]byte{keys.Separation, 0})
	for bit := range 256 {
		changed := v
		if bit < 128 {
			changed.RAND[bit/8] ^= 1 << (bit % 8)
		} else {
			changed.AUTN[bit/8-16] ^= 1 << (bit % 8)
		}
		for name, authenticate := range map[string]func(_, _ [16]byte) (Response, error){"": c.Authenticate, ", separated": c.AuthenticateSeparated} {
			if r, err := authenticate(changed.RAND, changed.AUTN); !errors.Is(err, ErrMAC) || r.RES != nil {
				t.Fatalf("bit %d%s: %v, want ErrMAC", bit, name, err)
			}
		}
	}
	if _, err := c.Authenticate(v.RAND, v.AUTN); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

func TestAChallengeWithoutTheSeparationBitDoesNotCountWhereItIsWanted(t *testing.T) {
	c := card(t, Profile2())
	v := vector(t, subscriber, 33, [2]byte{0x7f, 0xff})
	if r, err := c.AuthenticateSeparated(v.RAND, v.AUTN); !errors.Is(err, ErrSeparation) || r.RES != nil {
		t.Fatalf("%v, want ErrSeparation", err)
	}
	if _, err := c.Authenticate(v.RAND, v.AUTN); err != nil {
		t.Errorf("where it is not wanted: %v", err)
	}
	if _, err := c.AuthenticateSeparated(v.RAND, v.AUTN); !errors.Is(err, ErrSeparation) {
		t.Errorf("an old one tells the network a number: %v", err)
	}
	v = vector(t, subscriber, 66, [2]byte{keys.Separation})
	if _, err := c.AuthenticateSeparated(v.RAND, v.AUTN); err != nil {
		t.Errorf("with the bit: %v", err)
	}
	var refused *SyncError
	if _, err := c.AuthenticateSeparated(v.RAND, v.AUTN); !errors.As(err, &refused) {
		t.Errorf("with the bit, again: %v", err)
	}
}

func TestWhatACardRemembersIsOfItsNumbering(t *testing.T) {
	c := card(t, Profile2())
	takes(t, c, 33)
	before := c.Accepted()
	before[5] = 77 // a copy
	if c.Accepted()[5] != 0 {
		t.Error("the card shares its counters")
	}
	tooHigh := make([]uint64, 32)
	tooHigh[31] = 1 << 43
	for _, accepted := range [][]uint64{nil, make([]uint64, 31), make([]uint64, 33), tooHigh} {
		if err := c.Restore(accepted); err == nil {
			t.Errorf("%d counters passed", len(accepted))
		}
	}
	if got := c.Accepted(); got[1] != 1 {
		t.Errorf("counters are %v after what was refused", got)
	}
}

func TestTUAKMayBeTheAlgorithmOfACard(t *testing.T) {
	tuak, err := keys.NewTuak(make([]byte, 32), [32]byte{1}, keys.TuakChoices{RES: 16})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(tuak, Profile2())
	if err != nil {
		t.Fatal(err)
	}
	v := vector(t, tuak, 33, [2]byte{})
	r, err := c.Authenticate(v.RAND, v.AUTN)
	if err != nil || !slices.Equal(r.RES, v.XRES) || r.CK != v.CK || r.IK != v.IK {
		t.Errorf("%v", err)
	}
	var refused *SyncError
	if _, err := c.Authenticate(v.RAND, v.AUTN); !errors.As(err, &refused) {
		t.Fatalf("again: %v", err)
	}
	if sqn, err := keys.OpenAUTS(tuak, v.RAND, refused.AUTS); err != nil || sqn != 33 {
		t.Errorf("the token tells %#x, %v", sqn, err)
	}
}

// A card must stand whatever comes over the air, and refuse the second time what it
// accepted the first.
func FuzzAuthenticate(f *testing.F) {
	for _, sqn := range []keys.SQN{0, 33, keys.MaxSQN} {
		v := vector(f, subscriber, sqn, [2]byte{keys.Separation})
		f.Add(append(v.RAND[:], v.AUTN[:]...), []byte{1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, challenge, remembered []byte) {
		if len(challenge) != 32 {
			return
		}
		rand, autn := [16]byte(challenge), [16]byte(challenge[16:])
		c := card(t, Profile2())
		state := make([]uint64, 32)
		for i, b := range remembered {
			state[i%32] = state[i%32]<<8 | uint64(b)
		}
		c.Restore(state) // or not, where that is out of range
		if _, err := c.AuthenticateSeparated(rand, autn); err == nil {
			var refused *SyncError
			if _, err := c.Authenticate(rand, autn); !errors.As(err, &refused) {
				t.Fatalf("again: %v", err)
			}
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	n := Profile2()
	c := card(b, n)
	var sqn keys.SQN
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if sqn, err = n.Next(sqn); err != nil {
			b.Fatal(err)
		}
		v := vector(b, subscriber, sqn, [2]byte{})
		if _, err := c.Authenticate(v.RAND, v.AUTN); err != nil {
			b.Fatal(err)
		}
	}
}
