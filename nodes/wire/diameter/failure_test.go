package diameter

import "testing"

func TestATextThatQuotesWhatIsNoTextIsPutRight(t *testing.T) {
	request, err := Parse(mustAppend(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := AppendFailure(nil, request, Identity{Host: "a.example", Realm: "example"}, &Failure{Result: RealmNotServed, What: "realm \xff\xfe is not served"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(b)
	if err == nil {
		err = Check(m)
	}
	if err != nil || text(m.AVPs, ErrorMessage) != "realm ? is not served" {
		t.Errorf("%q, %v", text(m.AVPs, ErrorMessage), err)
	}
}

func mustAppend(t *testing.T) []byte {
	t.Helper()
	b, err := (&SessionTerminationRequest{Session: "a;1", Identity: Identity{Host: "b.example", Realm: "example"}, DestinationRealm: "example", Cause: Logout}).AppendTo(nil, Header{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
