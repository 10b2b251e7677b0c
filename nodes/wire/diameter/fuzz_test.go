package diameter

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(files) == 0 {
		f.Fatal("no golden files to begin with", err)
	}
	for _, file := range files {
		f.Add(golden(f, strings.TrimSuffix(filepath.Base(file), ".hex")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			var failure *Failure
			if errors.As(err, &failure) != (m != nil) {
				t.Fatalf("message %v with error %v", m, err)
			}
			if m != nil && m.IsRequest() {
				refused(t, m, failure)
			}
			return
		}
		again, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) != len(b) {
			t.Fatalf("appended %d octets, parsed %d", len(again), len(b))
		}
		back, err := Parse(again)
		if err != nil || !reflect.DeepEqual(m, back) {
			t.Fatalf("%v: parsed %+v\nand again %+v", err, m, back)
		}
		if err := Check(m); err != nil {
			var failure *Failure
			if !errors.As(err, &failure) {
				t.Fatalf("%v is no failure", err)
			}
			if m.IsRequest() {
				refused(t, m, failure)
			}
		}
		// What a parser understood is written again and understood the same.
		for _, parse := range parsers() {
			v, err := parse(m)
			if err != nil || m.Flags&Error != 0 || unwritable(v) {
				continue
			}
			b, err := v.(command).AppendTo(nil, m.Header)
			if err != nil {
				t.Fatal(err)
			}
			m, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parse(m)
			if err != nil {
				t.Fatalf("%T: %v", v, err)
			}
			if b2, err := got.(command).AppendTo(nil, m.Header); err != nil || !bytes.Equal(b, b2) {
				t.Fatalf("wrote %x, then %x (%v)", b, b2, err)
			}
		}
	})
}

// parsers are those of all samples, each once.
var parsers = sync.OnceValue(func() (all []func(*Message) (any, error)) {
	seen := map[reflect.Type]bool{}
	for _, s := range samples() {
		if of := reflect.TypeOf(s.value); !seen[of] {
			seen[of] = true
			all = append(all, s.parse)
		}
	}
	return all
})

// unwritable says whether a value that could be read is one that we do not write so:
// answers with a protocol error get the E bit.
func unwritable(v any) bool {
	o := reflect.ValueOf(v).Elem().FieldByName("Outcome")
	return o.IsValid() && o.Interface().(Outcome).Result.ProtocolError()
}
