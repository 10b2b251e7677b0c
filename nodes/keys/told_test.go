package keys

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"testing"
	"time"
)

func TestAKeyIsToldOnceUntilThereIsAnother(t *testing.T) {
	one, other := []byte("0123456789abcdef"), []byte("fedcba9876543210")
	var told Told
	for i, c := range []struct {
		nai, name string
		value     []byte
		news      bool
	}{
		{"a", NameMNHA, one, true},
		{"a", NameMNHA, one, false},
		{"a", NameMNAAA, one, true},
		{"b", NameMNHA, one, true},
		{"a", NameMNHA, other, true},
		{"a", NameMNHA, other, false},
		{"a", NameMNHA, one, true},
	} {
		if got := told.News(c.nai, Provisioned(c.name, c.value)); got != c.news {
			t.Errorf("step %d: %v, want %v", i, got, c.news)
		}
	}
}

func TestWhatIsRememberedOfKeysIsBounded(t *testing.T) {
	var told Told
	for i := range 3 * mostTold {
		if !told.News(fmt.Sprint(i), Provisioned(NameMNHA, []byte("0123456789abcdef"))) {
			t.Fatalf("subscriber %d is not news", i)
		}
		if len(told.last) > mostTold {
			t.Fatalf("%d are remembered", len(told.last))
		}
	}
}

func TestTheKeyItselfIsAmongTheFieldsOnlyWhereItIsToBeShown(t *testing.T) {
	root, value := []byte("root"), []byte("0123456789abcdef")
	d := Derived{Name: NameMNHA, Of: []Ancestor{Of(NameMNAAA, root)}, How: "f(MN-AAA key)", Value: value, Lifetime: time.Hour}
	want := map[string]any{
		"nai": "a", "key": NameMNHA, "octets": 16, "print": Print(value), "how": "f(MN-AAA key)", "lifetime": 3600.0,
		"of": []any{NameMNAAA}, "of-prints": []any{Print(root)},
	}
	if got := d.Fields("a", false); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	want["value"] = hex.EncodeToString(value)
	if got := d.Fields("a", true); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got, want := d.Fields("a", false)["print"], Print(root); got == want || len(want) != 8 {
		t.Errorf("fingerprints %v and %v, want different ones of 8 digits", got, want)
	}
}
