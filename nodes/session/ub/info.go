package ub

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Info is what bootstrapping ends with: the element BootstrappingInfo of TS 24.109,
// annex C.
type Info struct {
	BTID     string
	Lifetime time.Time // when Ks ends, whole seconds
}

// ErrInfo says that a body is no BootstrappingInfo.
var ErrInfo = errors.New("no BootstrappingInfo")

const infoSpace = "uri:3gpp-gba"

// Append appends it as an XML document, its time in UTC.
func (i *Info) Append(b []byte) []byte {
	w := bytes.NewBuffer(b)
	w.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<BootstrappingInfo xmlns="` + infoSpace + `"><btid>`)
	xml.EscapeText(w, []byte(i.BTID)) // a Buffer does not fail
	fmt.Fprintf(w, "</btid><lifetime>%s</lifetime></BootstrappingInfo>\n", i.Lifetime.UTC().Format(time.RFC3339))
	return w.Bytes()
}

// ParseInfo reads an XML document, which has each element once and nothing of that
// name space besides. A time without a zone is in UTC. Every error wraps ErrInfo.
func ParseInfo(b []byte) (*Info, error) {
	if len(b) > MostBody {
		return nil, fmt.Errorf("%w: %d octets, want %d or fewer", ErrInfo, len(b), MostBody)
	}
	var held struct {
		XMLName  xml.Name
		BTID     []string `xml:"btid"`
		Lifetime []string `xml:"lifetime"`
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&held); err != nil {
		return nil, fmt.Errorf("%w: no XML document", ErrInfo)
	}
	if held.XMLName.Local != "BootstrappingInfo" || held.XMLName.Space != infoSpace {
		return nil, fmt.Errorf("%w: another element", ErrInfo)
	}
	if len(held.BTID) != 1 || len(held.Lifetime) != 1 {
		return nil, fmt.Errorf("%w: %d of btid and %d of lifetime, want 1 of each", ErrInfo, len(held.BTID), len(held.Lifetime))
	}
	if err := ends(d); err != nil {
		return nil, err
	}
	at, err := parseDateTime(strings.TrimSpace(held.Lifetime[0]))
	if err != nil {
		return nil, fmt.Errorf("%w: the lifetime is no time", ErrInfo)
	}
	return &Info{BTID: strings.TrimSpace(held.BTID[0]), Lifetime: at}, nil
}

// ends sees that nothing follows the element but space and comments.
func ends(d *xml.Decoder) error {
	for {
		t, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: no XML document", ErrInfo)
		}
		switch t := t.(type) {
		case xml.Comment, xml.ProcInst:
			continue
		case xml.CharData:
			if len(bytes.TrimSpace(t)) == 0 {
				continue
			}
		}
		return fmt.Errorf("%w: more than one element", ErrInfo)
	}
}

// parseDateTime reads xs:dateTime, of years of four digits: XML Schema Part 2,
// section 3.2.7.
func parseDateTime(s string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		at, err = time.Parse("2006-01-02T15:04:05", s)
	}
	return at.UTC(), err
}
