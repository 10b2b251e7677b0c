package ub

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// By hand from the schema of TS 24.109, annex C, as another implementation writes it.
const infoExample = `<?xml version="1.0" encoding="UTF-8"?>
<BootstrappingInfo xmlns="uri:3gpp-gba">
  <btid>MzQ0a2xrbGtmbGtsZm9wbw==@bsf.home1.example</btid>
  <lifetime>2030-01-01T12:00:00Z</lifetime>
</BootstrappingInfo>`

func TestABootstrappingInfoIsRead(t *testing.T) {
	want := Info{"MzQ0a2xrbGtmbGtsZm9wbw==@bsf.home1.example", time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}
	for what, body := range map[string]string{
		"as it is":                infoExample,
		"with a prefix":           `<g:BootstrappingInfo xmlns:g="uri:3gpp-gba"><g:btid>` + want.BTID + `</g:btid><g:lifetime>2030-01-01T12:00:00Z</g:lifetime></g:BootstrappingInfo>`,
		"with another zone":       strings.Replace(infoExample, "12:00:00Z", "14:30:00+02:30", 1),
		"without a zone":          strings.Replace(infoExample, "12:00:00Z", "12:00:00", 1),
		"with a comment after it": infoExample + "\n<!-- so -->\n",
		"as it is written":        string(want.Append(nil)),
	} {
		got, err := ParseInfo([]byte(body))
		if err != nil || *got != want {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}

func TestWhatIsNoBootstrappingInfoIsRefused(t *testing.T) {
	for what, body := range map[string]string{
		"nothing":             "",
		"another name space":  strings.Replace(infoExample, "uri:3gpp-gba", "uri:other", 1),
		"none":                strings.Replace(infoExample, ` xmlns="uri:3gpp-gba"`, "", 1),
		"another element":     strings.ReplaceAll(infoExample, "BootstrappingInfo", "Info"),
		"no lifetime":         strings.ReplaceAll(infoExample, "lifetime>", "life>"),
		"two B-TIDs":          strings.Replace(infoExample, "<lifetime>", "<btid/><lifetime>", 1),
		"a lifetime in words": strings.Replace(infoExample, "2030-01-01T12:00:00Z", "tomorrow", 1),
		"an end too early":    infoExample[:len(infoExample)-5],
		"a second document":   infoExample + infoExample[strings.Index(infoExample, "\n"):],
		"words after it":      infoExample + "more",
		"an entity":           strings.Replace(infoExample, "<btid>", "<btid>&lol;", 1),
		"too much":            infoExample + strings.Repeat(" ", MostBody),
	} {
		if got, err := ParseInfo([]byte(body)); !errors.Is(err, ErrInfo) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}

func FuzzInfo(f *testing.F) {
	f.Add([]byte(infoExample))
	f.Add([]byte(`<BootstrappingInfo xmlns="uri:3gpp-gba"><btid>&lt;&#x41;</btid><lifetime>2030-01-01T12:00:00.5-01:00</lifetime></BootstrappingInfo>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		info, err := ParseInfo(body)
		if err != nil {
			if !errors.Is(err, ErrInfo) {
				t.Fatal(err)
			}
			return
		}
		if info.Lifetime.Year() < 0 || info.Lifetime.Year() > 9999 {
			return // a zone took it there
		}
		written := info.Append(nil)
		if len(written) > MostBody {
			return
		}
		got, err := ParseInfo(written)
		if err != nil || got.BTID != info.BTID || !got.Lifetime.Equal(info.Lifetime.Truncate(time.Second)) {
			t.Fatalf("%+v was written and read as %+v, %v", info, got, err)
		}
	})
}
