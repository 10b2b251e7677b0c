package diampeer

import (
	"errors"
	"strings"

	"s2clab/nodes/wire/diameter"
)

// A draft is a request before it goes on its way. It is any request: what must be
// known of it is read from its octets, and what it leaves empty is filled in there.
type draft struct {
	*diameter.Message
	octets []byte
}

// draw makes a draft of a request that Local sends under an End-to-End Identifier.
func (l *Local) draw(r Request, endToEnd uint32) (*draft, error) {
	octets, err := r.AppendTo(nil, diameter.Header{EndToEnd: endToEnd})
	if err != nil {
		return nil, err
	}
	m, err := diameter.Parse(octets)
	if err != nil {
		return nil, err
	}
	d := &draft{m, octets}
	host := m.Find(diameter.DestinationHost)
	switch {
	case !m.IsRequest():
		return nil, errors.New("an answer cannot be asked")
	case !strings.EqualFold(d.text(diameter.OriginHost), l.Host):
		return nil, errors.New("the request has another origin")
	case host != nil && len(host.Data) == 0:
		return nil, errors.New("the Destination-Host is empty")
	}
	return d, nil
}

func (d *draft) text(c diameter.Code) string { return valueOf(d.Message, c) }

// valueOf is the value of an AVP as text; empty where there is none.
func valueOf(m *diameter.Message, c diameter.Code) string {
	if a := m.Find(c); a != nil {
		return string(a.Data)
	}
	return ""
}

// fill gives a value to an AVP that stands there without one.
func (d *draft) fill(c diameter.Code, value func() string) {
	if a := d.Find(c); a != nil && len(a.Data) == 0 {
		a.Data = []byte(value())
		d.octets = nil
	}
}

// done gives the octets.
func (d *draft) done() ([]byte, error) {
	if d.octets != nil {
		return d.octets, nil
	}
	return d.AppendTo(nil)
}
