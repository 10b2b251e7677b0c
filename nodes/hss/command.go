package hss

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/hss/store"
	"s2clab/nodes/session/diampeer"
)

// Imported is what an import command has done.
type Imported struct {
	Subscribers int    `json:"subscribers"`        // of the file
	Told        int    `json:"told"`               // requests to AAA servers that they made
	Problems    string `json:"problems,omitempty"` // what is wrong with the file; then nothing was done
}

// command does what the lab asks: state tells Counts; bar {imsi, barred} changes
// whether a subscriber may use non-3GPP access, and remove {imsi} ends its
// subscription: both are told to the AAA server that serves it, as is what import
// {file, text} changes, which is a file of subscribers and its name for messages.
// export {keys} gives such a file.
func (s *server) command(now time.Time, c control.Command) (value any, out []diampeer.Output, err error) {
	var args struct {
		IMSI   string `json:"imsi"`
		Barred *bool  `json:"barred"`
		File   string `json:"file"`
		Text   string `json:"text"`
		Keys   bool   `json:"keys"`
	}
	if len(c.Args) > 0 && json.Unmarshal(c.Args, &args) != nil {
		return nil, nil, fmt.Errorf("%s: its arguments are not those of the command", c.Name)
	}
	var told []Output
	switch c.Name {
	case "state":
		counts := s.counts
		counts.Results = maps.Clone(counts.Results)
		return counts, nil, nil
	case "export":
		return string(s.machine.store.Export(store.ExportOptions{ShowKeys: args.Keys})), nil, nil
	case "import":
		records, wrong := store.Parse(args.File, []byte(args.Text), s.machine.store.Subscriber)
		if wrong != nil {
			return Imported{Problems: wrong.Error()}, nil, nil
		}
		told, err = s.batch(func() ([]Output, error) { return s.machine.Import(records) })
		value = Imported{Subscribers: len(records), Told: len(told)}
	case "bar", "remove":
		if args.IMSI == "" {
			return nil, nil, fmt.Errorf("%s: want {imsi: ...}", c.Name)
		}
		if c.Name == "bar" && args.Barred == nil {
			return nil, nil, errors.New("bar: want {imsi: ..., barred: true} or {imsi: ..., barred: false}")
		}
		told, err = s.batch(func() ([]Output, error) {
			if c.Name == "remove" {
				return s.machine.Remove(args.IMSI)
			}
			held, err := s.machine.store.Subscriber(args.IMSI)
			if err != nil {
				return nil, err
			}
			changed := *held
			changed.BarredNon3GPP = *args.Barred
			return s.machine.Put(changed)
		})
		value = map[string]int{"told": len(told)}
	default:
		return nil, nil, fmt.Errorf("an HSS has no command %q: want state, bar, remove, import or export", c.Name)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, o := range told {
		s.asks++
		s.asked[s.asks] = o
		out = append(out, s.did(now, s.peers.Step(now, diampeer.Ask{ID: s.asks, Request: s.front.Request(o)}), nil)...)
	}
	return value, out, nil
}

// batch makes a change of the store durable before anybody is told of it. A store
// that fails ends the server.
func (s *server) batch(change func() ([]Output, error)) (told []Output, err error) {
	s.failed = s.machine.store.Batch(func() { told, err = change() })
	return told, errors.Join(err, s.failed)
}
