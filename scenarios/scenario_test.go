package scenarios

import "testing"

func TestShippedScenariosAreInOrder(t *testing.T) {
	for _, name := range Shipped() {
		t.Run(name, func(t *testing.T) {
			s, err := Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != name {
				t.Errorf("scenario in folder %s is called %s", name, s.Name)
			}
			for _, x := range s.Steps {
				t.Log(x)
			}
			for _, x := range s.Expect {
				t.Log(x.Text)
			}
		})
	}
}
