package keys

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// A testSet is values by their names, of a file in testdata.
type testSet struct {
	t      *testing.T
	name   string
	values map[string][]byte
}

// testSets reads a file of sets and fails where it finds none.
func testSets(t *testing.T, file string) (sets []testSet) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case name == "" || name == "#":
		case name == "set":
			sets = append(sets, testSet{t, "set " + value, map[string][]byte{}})
		default:
			b, err := hex.DecodeString(value)
			if err != nil {
				t.Fatalf("%s: %s: %v", file, name, err)
			}
			sets[len(sets)-1].values[name] = b
		}
	}
	if len(sets) == 0 {
		t.Fatalf("%s has no sets", file)
	}
	return sets
}

func (s testSet) get(name string) []byte {
	s.t.Helper()
	if s.values[name] == nil {
		s.t.Fatalf("%s has no %s", s.name, name)
	}
	return s.values[name]
}

func (s testSet) is(name string, got []byte) {
	s.t.Helper()
	if want := s.get(name); hex.EncodeToString(got) != hex.EncodeToString(want) {
		s.t.Errorf("%s: %s is %x, want %x", s.name, name, got, want)
	}
}

func (s testSet) rand() [16]byte { return [16]byte(s.get("RAND")) }
func (s testSet) sqn() [6]byte   { return [6]byte(s.get("SQN")) }
func (s testSet) amf() [2]byte   { return [2]byte(s.get("AMF")) }

// holds compares all functions of an algorithm.
func (s testSet) holds(a Algorithm) {
	s.t.Helper()
	answer := a.F2345(s.rand())
	macA, macS := a.F1(s.rand(), s.sqn(), s.amf()), a.F1Star(s.rand(), s.sqn(), s.amf())
	akStar := a.F5Star(s.rand())
	s.is("f1", macA[:])
	s.is("f1*", macS[:])
	s.is("f2", answer.RES)
	s.is("f3", answer.CK[:])
	s.is("f4", answer.IK[:])
	s.is("f5", answer.AK[:])
	s.is("f5*", akStar[:])
}
