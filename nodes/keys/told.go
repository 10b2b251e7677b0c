package keys

// Provisioned is a key that was put into those who hold it.
func Provisioned(name string, value []byte) Derived {
	return Derived{Name: name, How: "provisioned", Value: value}
}

// FromCard are the keys that a card and an HSS make of K and a challenge: TS 33.102,
// section 6.3.
func FromCard(k, ck, ik []byte) []Derived {
	of := []Ancestor{Of(NameK, k)}
	return []Derived{Provisioned(NameK, k), {Name: NameCK, Of: of, How: "f3 of K, RAND", Value: ck}, {Name: NameIK, Of: of, How: "f4 of K, RAND", Value: ik}}
}

// mostTold is how many keys Told remembers. A node that has told of more tells of
// some of them again.
const mostTold = 4096

// Told is what a node has told of keys, so that it tells of each once. The zero
// value has told nothing.
type Told struct {
	Show bool // the keys themselves too

	last map[told]string // the fingerprint
}

type told struct{ nai, name string }

// News says whether d is another than the key of its name and subscriber that was
// told last, and takes it as told.
func (t *Told) News(nai string, d Derived) bool {
	about, print := told{nai, d.Name}, Print(d.Value)
	if t.last[about] == print {
		return false
	}
	if t.last == nil || len(t.last) >= mostTold {
		t.last = make(map[told]string)
	}
	t.last[about] = print
	return true
}
