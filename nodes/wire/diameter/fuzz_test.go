package diameter

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
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
		same := func(v interface {
			AppendTo([]byte, Header) ([]byte, error)
		}, parse func(*Message) (any, error)) {
			t.Helper()
			// What a parser understood is written again and understood the same.
			b, err := v.AppendTo(nil, m.Header)
			if err != nil {
				t.Fatal(err)
			}
			m, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parse(m)
			if err != nil {
				t.Fatal(err)
			}
			b2, _ := got.(interface {
				AppendTo([]byte, Header) ([]byte, error)
			}).AppendTo(nil, m.Header)
			if !bytes.Equal(b, b2) {
				t.Fatalf("wrote %x, then %x", b, b2)
			}
		}
		if v, err := ParseMIP6Request(m); err == nil && v.Mode == AuthMNAAA {
			same(v, func(m *Message) (any, error) { return ParseMIP6Request(m) })
		}
		if v, err := ParseMIP6Answer(m); err == nil && !v.Result.ProtocolError() { // those would get the E bit
			same(v, func(m *Message) (any, error) { return ParseMIP6Answer(m) })
		}
		if v, err := ParseCapabilitiesExchangeRequest(m); err == nil && len(v.Addresses) > 0 {
			same(v, func(m *Message) (any, error) { return ParseCapabilitiesExchangeRequest(m) })
		}
		if v, err := ParseAbortSessionRequest(m); err == nil {
			same(v, func(m *Message) (any, error) { return ParseAbortSessionRequest(m) })
		}
		if v, err := ParseAbortSessionAnswer(m); err == nil && !v.Result.ProtocolError() {
			same(v, func(m *Message) (any, error) { return ParseAbortSessionAnswer(m) })
		}
		if v, err := ParseDisconnectPeerRequest(m); err == nil {
			same(v, func(m *Message) (any, error) { return ParseDisconnectPeerRequest(m) })
		}
	})
}
