package ha

import (
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"s2clab/nodes/control"
	"s2clab/nodes/session/association"
	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/replica"
)

// kept begins a story that writes down what its home agent keeps.
func kept(t *testing.T) (*story, *[]replica.Record) {
	t.Helper()
	s := tell(t, with(fromAAA))
	s.m.Keeps()
	return s, new([]replica.Record)
}

// keep adds what the last Step wants kept.
func (s *story) keep(to *[]replica.Record) {
	for _, k := range outputs[Keep](s) {
		*to = append(*to, k.Record)
	}
}

// nextLife is a home agent that is told what another has kept.
func (s *story) nextLife(records []replica.Record) (*story, int) {
	s.Helper()
	next := tell(s.TB, with(fromAAA))
	next.now = s.now
	out, n := next.m.Restore(next.now, records)
	next.out = keep(nil, out)
	return next, n
}

// keptBound is a story in which A is bound by a key of the AAA server.
func keptBound(t *testing.T) (*story, *[]replica.Record, *association.Association) {
	s, records := kept(t)
	s.send(s.asking(1))
	ask := s.asked()
	given := session(ask, 300)
	s.step(&AAAAnswered{ID: ask.ID, Result: 2001, HomeAddress: homeA, Session: given, SessionID: "ha.example.org;1;1", Server: "aaa.example.org"})
	s.wantStatus(mh.Accepted)
	s.keep(records)
	return s, records, association.New(300, given.Key)
}

func TestALaterLifeServesAsTheOneBefore(t *testing.T) {
	s, records, key := keptBound(t)
	s.pass(10 * time.Second)
	s.keep(records)
	next, n := s.nextLife(*records)
	if n != 1 {
		t.Fatalf("%d bindings", n)
	}
	next.wantBound(homeA, careOfWLAN)
	if len(outputs[SetTunnel](next)) != 1 || len(outputs[SetProxy](next)) != 1 || len(outputs[AdvertiseNeighbor](next)) != 1 {
		t.Error(next.words())
	}
	was, is := s.entry(homeA), next.entry(homeA)
	if diff := cmp.Diff(was, is, cmpopts.EquateApprox(0, 1e-6), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
	a := next.of(2)
	a.mnha = key
	next.send(a)
	next.wantStatus(mh.Accepted)
	if got := next.aborts(); got != resultSuccess { // the session is known too
		t.Error(got)
	}
}

func TestALaterLifeRefusesWhatWasRecorded(t *testing.T) { // RFC 4285, appendix A
	s, records, key := keptBound(t)
	s.pass(time.Second)
	a := s.of(2)
	a.mnha = key
	recorded := s.packet(a)
	s.step(&Received{Octets: recorded})
	s.wantStatus(mh.Accepted)
	s.keep(records)
	next, _ := s.nextLife(*records)
	next.step(&Received{Octets: recorded})
	next.wantStatus(mh.IDMismatch)
}

func TestWhatHasEndedIsNotRestored(t *testing.T) {
	t.Run("a binding that was deleted", func(t *testing.T) {
		s, records, key := keptBound(t)
		s.pass(time.Second)
		a := s.of(2)
		a.mnha, a.lifetime = key, 0
		s.send(a)
		s.keep(records)
		s.pass(20 * time.Second)
		s.keep(records)
		if next, n := s.nextLife(*records); n != 0 || len(next.m.sessions) != 0 {
			t.Errorf("%d bindings", n)
		}
	})
	t.Run("a binding that expired meanwhile", func(t *testing.T) {
		s, records, _ := keptBound(t)
		s.now = s.now.Add(time.Minute)
		if _, n := s.nextLife(*records); n != 0 {
			t.Errorf("%d bindings", n)
		}
	})
	t.Run("a key that expired meanwhile", func(t *testing.T) {
		s, records, _ := keptBound(t)
		s.now = s.now.Add(2 * time.Hour)
		if next, _ := s.nextLife(*records); len(next.m.sessions) != 0 || next.m.Counts().Bindings != 0 {
			t.Errorf("%+v", next.m.Counts())
		}
	})
}

func TestALaterLifeServesByIPv4AsTheOneBefore(t *testing.T) {
	configured := with(dual, func(h *control.HomeAgent) { h.HomeAddresses4 = nil })
	s := tell(t, configured)
	s.m.Keeps()
	records := new([]replica.Record)
	s.sendOver(requesting(over(s.of(1), private), anyHome4), byNAT)
	ba, _ := s.acknowledged()
	given, ok := mh.Find[mh.IPv4AddressAck](ba.Options)
	if !ok {
		t.Fatal("no IPv4 home address")
	}
	s.keep(records)
	want := outputs[SetTunnel](s)[0]

	next := tell(t, configured)
	next.now = s.now.Add(time.Second)
	out, n := next.m.Restore(next.now, *records)
	next.out = keep(nil, out)
	if n != 1 {
		t.Fatalf("%d bindings of %+v", n, *records)
	}
	next.wantTunnel(want)
	if e := next.m.Bindings(next.now)[0]; e.Outer != byNAT || !e.NAT || !e.UDP || e.HomeAddress4 != given.Address || e.CareOf.Unmap() != private {
		t.Errorf("%+v", e)
	}
	// The address goes to nobody else, and its mobile node keeps it.
	next.now = next.now.Add(time.Second)
	next.sendOver(requesting(over(next.of(3), private), anyHome4), byNAT)
	ba, _ = next.acknowledged()
	wantAck4(t, ba, mh.IPv4Accepted, given.Address)
	if got := outputs[SetTunnel](next); len(got) != 0 {
		t.Errorf("tunnels %+v though nothing has changed", got)
	}
}

func TestAnIPv4HomeAddressThatIsNotItsIsNotRestored(t *testing.T) {
	for what, spoil := range map[string]func(h *control.HomeAgent, b *replica.Binding){
		"not of the prefix": func(_ *control.HomeAgent, b *replica.Binding) { b.Home4 = private },
		"that of another": func(h *control.HomeAgent, b *replica.Binding) {
			h.HomeAddresses4 = []control.HomeAddress4{{NAI: "x", Address: homeA.Next(), Address4: b.Home4}}
		},
		"another than is set": func(h *control.HomeAgent, b *replica.Binding) {
			h.HomeAddresses4 = []control.HomeAddress4{{NAI: naiA, Address: homeA, Address4: b.Home4.Next()}}
		},
	} {
		cfg := with(dual, func(h *control.HomeAgent) { h.HomeAddresses4 = nil })
		s := tell(t, cfg)
		s.m.Keeps()
		records := new([]replica.Record)
		s.sendOver(requesting(over(s.of(1), private), anyHome4), byNAT)
		s.acknowledged()
		s.keep(records)
		for i, r := range *records {
			if b, ok := r.(replica.Binding); ok {
				spoil(cfg.HomeAgent, &b)
				(*records)[i] = b
			}
		}
		next := tell(t, cfg)
		if _, n := next.m.Restore(s.now, *records); n != 1 || next.m.Bindings(s.now)[0].HomeAddress4.IsValid() {
			t.Errorf("%s: %d bindings, %+v", what, n, next.m.Bindings(s.now))
		}
	}
}

func TestHostileRecordsBindNothing(t *testing.T) {
	s, records, _ := keptBound(t)
	for name, spoil := range map[string]func(b *replica.Binding){
		"a home address that is not ours":    func(b *replica.Binding) { b.Home = careOfLTE },
		"the home agent's own address":       func(b *replica.Binding) { b.Home = homeAgent },
		"a care-of address that loops":       func(b *replica.Binding) { b.CareOf = homeAgent },
		"an association that is not there":   func(b *replica.Binding) { b.SPI++ },
		"a subscriber who is not there":      func(b *replica.Binding) { b.NAI = "nobody@example.org" },
		"no care-of address":                 func(b *replica.Binding) { b.CareOf = replica.Binding{}.CareOf },
		"an IPv4 one, with no outer header":  func(b *replica.Binding) { b.CareOf = private },
		"an outer header that has no IPv4":   func(b *replica.Binding) { b.Outer = netip.AddrPortFrom(careOfLTE, 4191) },
		"an outer header here, without IPv4": func(b *replica.Binding) { b.CareOf, b.Outer = private, byNAT },
		"a time that was":                    func(b *replica.Binding) { b.Expires = start },
		"a care-of address of no one there":  func(b *replica.Binding) { b.CareOf = s.m.prefixes[0].Addr().Prev(); b.SPI = 0 },
	} {
		spoiled := slices.Clone(*records)
		for i, r := range spoiled {
			if b, ok := r.(replica.Binding); ok {
				spoil(&b)
				spoiled[i] = b
			}
		}
		if _, n := s.nextLife(spoiled); n != 0 {
			t.Errorf("%s: %d bindings", name, n)
		}
	}
}

func TestADiaryIsReadToWhereItsWriterDied(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "diary")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, records, err := openDiary(f)
	if err != nil || len(records) != 0 {
		t.Fatal(records, err)
	}
	d.state = 7
	if err := d.rewrite(nil); err != nil {
		t.Fatal(err)
	}
	_, all, _ := keptBound(t)
	for _, r := range *all {
		if err := d.write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(d.size - 3); err != nil {
		t.Fatal(err)
	}
	again, records, err := openDiary(f)
	if err != nil || again.state != 7 || len(records) != len(*all) { // the origin, and all but the last
		t.Errorf("state %d, %d records of %d, %v", again.state, len(records), len(*all), err)
	}
	f.WriteAt([]byte{0, 9, 99}, 0)
	if _, _, err := openDiary(f); err == nil {
		t.Error("read what nobody has written")
	}
}

func TestADiaryThatIsLongIsWrittenAnew(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "diary")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, all, _ := keptBound(t)
	d, _, err := openDiary(f)
	if err != nil {
		t.Fatal(err)
	}
	d.longest = 2000
	k := &kernel{diary: d, remembered: s.m.Remembered}
	for range 100 {
		if err := k.keep(Keep{(*all)[0]}); err != nil {
			t.Fatal(err)
		}
	}
	if d.size > 2500 {
		t.Errorf("%d octets", d.size)
	}
	if _, records, err := openDiary(f); err != nil {
		t.Error(err)
	} else if _, n := s.nextLife(records); n != 1 {
		t.Errorf("%d bindings", n)
	}
}
