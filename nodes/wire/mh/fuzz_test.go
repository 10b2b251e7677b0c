package mh

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"s2clab/nodes/wire/wiretest"
)

// No octets make Parse panic; what parses appends; what was appended parses to
// the same value; octets and values break the same rules.
func FuzzParse(f *testing.F) {
	wiretest.Seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		_ = ChecksumOK(b, home, agent)
		byOctets := CheckOctets(b)
		if err != nil {
			return
		}
		if byValue := Check(m); (byValue == nil) != (byOctets == nil) {
			_, unknown := m.(*Unknown)
			_, authorized := Find[BindingAuthorization](Options(m)) // padding after it is seen in octets only
			if !unknown && !authorized {
				t.Errorf("rules by value: %v; by octets: %v", byValue, byOctets)
			}
		}
		again, err := Append(nil, m, home, agent)
		if err != nil {
			if n := len(b); n > 2048-256 { // alignment may make it longer than it was
				return
			}
			t.Fatalf("%#v does not append: %v", m, err)
		}
		if !ChecksumOK(again, home, agent) {
			t.Error("checksum is wrong")
		}
		m2, err := Parse(again)
		if err != nil {
			t.Fatalf("%x does not parse: %v", again, err)
		}
		if d := cmp.Diff(m, m2, compare); d != "" {
			t.Errorf("-first +again\n%s", d)
		}
	})
}

// A view takes what Parse takes and sees the same.
func FuzzView(f *testing.F) {
	wiretest.Seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		v := BindingUpdateView{Identifier: []byte("left over"), HasTimestamp: true}
		viewErr := v.Decode(b)
		m, err := Parse(b)
		u, ok := m.(*BindingUpdate)
		if (viewErr == nil) != (err == nil && ok) {
			t.Fatalf("view: %v; parse: %T, %v", viewErr, m, err)
		}
		if !ok {
			return
		}
		if v.Seq != u.Seq || v.Flags != u.Flags || v.Lifetime != u.Lifetime {
			t.Errorf("view %+v of %+v", v, u)
		}
		altCoA, _ := Find[AlternateCareOf](u.Options)
		ipv4CoA, _ := Find[IPv4CareOf](u.Options)
		ipv4, hasIPv4 := Find[IPv4HomeAddress](u.Options)
		stamp, hasStamp := Find[ReplayProtection](u.Options)
		apn, _ := Find[ServiceSelection](u.Options)
		if v.AlternateCareOf != altCoA.Address || v.IPv4CareOf != ipv4CoA.Address ||
			v.HasIPv4Home != hasIPv4 || v.IPv4Home != ipv4 ||
			v.HasTimestamp != hasStamp || v.Timestamp != stamp.Timestamp ||
			string(v.ServiceSelection) != apn.APN {
			t.Errorf("view %+v of %+v", v, u)
		}
		var nai string
		auth := map[AuthSubtype]Authentication{}
		for i := len(u.Options) - 1; i >= 0; i-- {
			switch o := u.Options[i].(type) {
			case MNIdentifier:
				if o.Subtype == NAI {
					nai = o.Identifier
				}
			case Authentication:
				auth[o.Subtype] = o
			}
		}
		if string(v.Identifier) != nai {
			t.Errorf("identifier %q, want %q", v.Identifier, nai)
		}
		for subtype, got := range map[AuthSubtype]AuthenticationView{MNHA: v.MNHA, MNAAA: v.MNAAA} {
			want, there := auth[subtype]
			if (got.At != 0) != there || got.SPI != want.SPI || !bytes.Equal(got.Data, want.Data) {
				t.Errorf("%v: %+v, want %+v", subtype, got, want)
			}
		}
	})
}
