package eap

import (
	"errors"
	"slices"
	"testing"

	"s2clab/nodes/wire/wiretest"
)

// sample is the golden message of that name.
func sample(t *testing.T, name string) *Message {
	t.Helper()
	for _, s := range wiretest.Golden(t) {
		if s.Name == name {
			m, err := ParseMessage(s.Octets)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	t.Fatalf("no %q", name)
	return nil
}

func TestOfAnUnknownAttributeTheNumberSaysWhetherItIsSkipped(t *testing.T) {
	for n := range 256 {
		a := AttributeType(n)
		if _, known := shapes[a]; known {
			continue
		}
		m := sample(t, "AKA-Identity request")
		m.Attributes = append(m.Attributes, Attribute{a, []byte{0, 0}})
		if err := Check(m); a.Skippable() != (err == nil) || err != nil && !errors.Is(err, ErrUnknown) {
			t.Errorf("%v: %v", a, err)
		}
	}
}

func TestAMessageHasWhatItMustAndNothingElse(t *testing.T) {
	for name := range goldenMessages {
		m := sample(t, name)
		for i, a := range m.Attributes {
			if a.Type > ATBIDDING {
				continue
			}
			twice := *m
			twice.Attributes = append(slices.Clone(m.Attributes), a)
			if err := Check(&twice); a.Type != ATKDF && !errors.Is(err, ErrUnexpected) {
				t.Errorf("%s with a second %v: %v", name, a.Type, err)
			}
			without := *m
			without.Attributes = slices.Delete(slices.Clone(m.Attributes), i, i+1)
			var optional bool
			switch a.Type {
			case ATKDF, ATKDFINPUT, ATCHECKCODE, ATRESULTIND, ATBIDDING:
				optional = true
			case ATMAC:
				optional = m.Subtype == Notification
			}
			if m.AsksForKDF() {
				optional = false // nothing is no RES
			}
			if err := Check(&without); optional != (err == nil) || err != nil && !errors.Is(err, ErrMissing) {
				t.Errorf("%s without %v: %v", name, a.Type, err)
			}
		}
		m.Attributes = append(m.Attributes, Attribute{ATNONCES, make([]byte, 16)}) // never outside AT_ENCR_DATA
		if err := Check(m); !errors.Is(err, ErrUnexpected) {
			t.Errorf("%s with %v: %v", name, ATNONCES, err)
		}
	}
}

func TestAttributesOfOneMethodAreNotInTheOther(t *testing.T) {
	for name, other := range map[string]Type{"AKA'-Challenge request": TypeAKA, "AKA-Challenge request": TypeAKAPrime, "AKA-Synchronization-Failure": TypeAKA} {
		m := sample(t, name)
		m.Type = other
		if err := Check(m); !errors.Is(err, ErrUnexpected) {
			t.Errorf("%s as %v: %v", name, other, err)
		}
	}
}

func TestOneIdentityIsAskedForAtATime(t *testing.T) {
	m := sample(t, "AKA-Identity request")
	m.Attributes = append(m.Attributes, Attribute{ATFULLAUTHIDREQ, []byte{}})
	if err := Check(m); !errors.Is(err, ErrUnexpected) {
		t.Error(err)
	}
}

func TestHiddenAttributesHaveRulesToo(t *testing.T) {
	counter, nonce, padding := Number(ATCOUNTER, 1), Attribute{ATNONCES, make([]byte, 16)}, Attribute{ATPADDING, make([]byte, 2)}
	request, challenge := sample(t, "AKA-Reauthentication request"), sample(t, "AKA-Challenge request")
	for what, c := range map[string]struct {
		in     *Message
		hidden []Attribute
		want   error
	}{
		"a counter and a nonce":               {request, []Attribute{counter, nonce}, nil},
		"padding last":                        {request, []Attribute{counter, nonce, padding}, nil},
		"an unknown one that is skippable":    {request, []Attribute{counter, nonce, {200, []byte{0, 0}}}, nil},
		"padding first":                       {request, []Attribute{padding, counter, nonce}, ErrUnexpected},
		"no nonce":                            {request, []Attribute{counter}, ErrMissing},
		"two counters":                        {request, []Attribute{counter, counter, nonce}, ErrUnexpected},
		"a counter in a challenge":            {challenge, []Attribute{counter}, ErrUnexpected},
		"an unknown one that is not":          {challenge, []Attribute{{99, []byte{0, 0}}}, ErrUnknown},
		"anything in a message that has none": {sample(t, "AKA-Identity request"), nil, ErrUnexpected},
	} {
		if err := CheckNested(c.in, c.hidden); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}
