package hss

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
	"s2clab/nodes/wire/diameter"
)

// A recorder keeps nothing.
type recorder struct{}

func (recorder) Event(string, map[string]any) {}
func (recorder) Reply(uint64, any, error)     {}

// said are the names of events since it was asked last, with whom they are about.
func (s *server) said() (all []string) {
	for _, e := range s.events.Take(time.Unix(1e9, 0)) {
		all = append(all, fmt.Sprint(e.Name, " ", e.Fields["nai"]))
	}
	return all
}

func (s *server) ask(name string, args any) (any, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		panic(err)
	}
	value, _, err := s.command(time.Unix(1e9, 0), control.Command{Name: name, Args: raw})
	return value, err
}

// serving is a server with the subscriber, whom aaa.example serves.
func serving(t *testing.T) *server {
	t.Helper()
	m := with(t, subscriber())
	if a := m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: diameter.Registration}); a.Result != diameter.Success {
		t.Fatal(a.Result)
	}
	return newServer(&control.Config{HSS: &control.HSS{Host: "hss.example", Realm: "example", Watchdog: 30 * time.Second}}, m, recorder{}, time.Unix(1e9, 0))
}

func TestAnExportIsImportedAgain(t *testing.T) {
	s := serving(t)
	if err := s.machine.store.SetSQN(imsi, 7<<5); err != nil {
		t.Fatal(err)
	}
	for _, keys := range []bool{true, false} {
		value, err := s.ask("export", map[string]bool{"keys": keys})
		text, ok := value.(string)
		if err != nil || !ok || strings.Contains(text, "465b5ce8") != keys {
			t.Fatalf("%v, %v", value, err)
		}
		did, err := s.ask("import", map[string]string{"file": "f.yaml", "text": text})
		if err != nil || did != (Imported{Subscribers: 1}) {
			t.Errorf("%+v, %v", did, err)
		}
		if again, _ := s.ask("export", map[string]bool{"keys": keys}); again != text {
			t.Errorf("now it is\n%s\nand was\n%s", again, text)
		}
	}
}

func TestAnImportTellsTheAAAServerWhatHasChanged(t *testing.T) {
	s := serving(t)
	file := `subscribers:
  - {subscriber: "001010000000001", sqn: "000000000fe0", gba: {allowed: true}, apns: [{apn: internet}], registered: {server: other.example}}
  - {subscriber: "001010000000002", k: "465b5ce8b199b49faa5f0a2ee238a6bc", opc: "cd63cb71954a9f4e48a5994e37a02baf"}
`
	did, err := s.ask("import", map[string]string{"file": "f.yaml", "text": file})
	if err != nil || did != (Imported{Subscribers: 2, Told: 1}) {
		t.Fatalf("%+v, %v", did, err)
	}
	if told := s.said(); !slices.Equal(told, []string{"profile-told " + imsi}) {
		t.Errorf("told %q", told)
	}
	if sqn, _ := s.machine.store.SQN(imsi); sqn != keys.SQN(0xfe0) {
		t.Errorf("SQN %x", uint64(sqn))
	}
	if r, _ := s.machine.store.Registration(imsi); r.Server != "aaa.example" {
		t.Errorf("a file has made %q serve it", r.Server)
	}
	barred := strings.Replace(file, "gba", "non-3gpp-access: barred, gba", 1)
	if did, err := s.ask("import", map[string]string{"file": "f.yaml", "text": barred}); err != nil || did != (Imported{Subscribers: 2, Told: 1}) {
		t.Fatalf("%+v, %v", did, err)
	}
	if told := s.said(); !slices.Equal(told, []string{"deregistration-told " + imsi}) {
		t.Errorf("told %q", told)
	}
	if r, _ := s.machine.store.Registration(imsi); r.Server != "" {
		t.Errorf("%q serves one who is barred", r.Server)
	}
}

func TestAnImportWithSomethingWrongChangesNothingAndTellsNoKey(t *testing.T) {
	s := serving(t)
	before, _ := s.ask("export", map[string]bool{"keys": true})
	did, err := s.ask("import", map[string]string{"file": "f.yaml", "text": `subscribers:
  - {subscriber: "001010000000001", apns: []}
  - {subscriber: "001010000000002", k: "565b5ce8b199b49faa5f0a2ee238a6b", opc: "cd63cb71954a9f4e48a5994e37a02baf"}
`})
	i, ok := did.(Imported)
	if err != nil || !ok || i.Subscribers != 0 || !strings.HasPrefix(i.Problems, "f.yaml:3: k is not 32 hexadecimal digits") || strings.Contains(i.Problems, "565b") {
		t.Errorf("%+v, %v", did, err)
	}
	if after, _ := s.ask("export", map[string]bool{"keys": true}); after != before {
		t.Errorf("now it is\n%s\nand was\n%s", after, before)
	}
}

func TestCommandsOfAnHSSAreChecked(t *testing.T) {
	s := serving(t)
	for name, args := range map[string]any{"bar": map[string]any{"barred": true}, "remove": map[string]any{}, "import": 7, "dance": nil} {
		if value, err := s.ask(name, args); err == nil || value != nil {
			t.Errorf("%s %v: %v, %v", name, args, value, err)
		}
	}
	if _, err := s.ask("remove", map[string]any{"imsi": "001010000000009"}); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("nobody is removed: %v", err)
	}
	if value, err := s.ask("bar", map[string]any{"imsi": imsi, "barred": true}); err != nil || value.(map[string]int)["told"] != 1 {
		t.Errorf("barred: %v, %v", value, err)
	}
}
