package store

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ncruces/go-sqlite3"
	"golang.org/x/sys/unix"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/usim"
)

// subscriber has each kind of value that there is. Its K and OPc are those of
// TS 35.208, test set 1.
func subscriber() Subscriber {
	return Subscriber{
		IMSI:      "001010000000001",
		K:         Secret("\x46\x5b\x5c\xe8\xb1\x99\xb4\x9f\xaa\x5f\x0a\x2e\xe2\x38\xa6\xbc"),
		OPc:       Secret("\xcd\x63\xcb\x71\x95\x4a\x9f\x4e\x48\xa5\x99\x4e\x37\xa0\x2b\xaf"),
		Algorithm: Milenage,
		AMF:       [2]byte{0xb9, 0xb9},
		MSISDN:    "491700000001",
		RATTypes:  []RATType{RATWLAN, RATHRPD},
		APNs: []APN{
			{Name: "internet", PDN: PDNIPv4v6, Allocation: Dynamic},
			{Name: "ims", PDN: PDNIPv6, Allocation: Static, Gateway: Gateway{Host: "ha.example", Realm: "example",
				Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}}},
			{Name: "mms", PDN: PDNIPv4, Barred: true, Allocation: Dynamic},
		},
		DefaultAPN: "internet",
		GBA:        GBA{Allowed: true, Lifetime: time.Hour},
	}
}

func registration() Registration {
	return Registration{Server: "aaa.example", Gateways: map[string]Gateway{
		"internet": {Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::7")}},
		"ims":      {Host: "ha.example", Realm: "example"},
	}}
}

func opened(t testing.TB, file string, o Options) *Store {
	t.Helper()
	s, err := Open(file, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// both runs a test on a store in a file and on one in memory.
func both(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("file", func(t *testing.T) { test(t, opened(t, filepath.Join(t.TempDir(), "s.db"), Options{})) })
	t.Run("memory", func(t *testing.T) { test(t, Memory()) })
}

func TestAFileGivesBackWhatWasPutIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.db")
	s := opened(t, file, Options{})
	long := subscriber()
	long.IMSI, long.Algorithm, long.K = "001010000000002", TUAK, append(long.K, long.K...)
	long.OP, long.OPc = append(long.OPc, long.OPc...), nil
	long.RATTypes, long.APNs, long.DefaultAPN, long.BarredNon3GPP, long.GBA = nil, nil, "", true, GBA{}
	none := subscriber()
	none.IMSI, none.RATTypes = "00101000000003", []RATType{}
	for _, sub := range []Subscriber{subscriber(), long, none} {
		must(t, s.Put(sub))
	}
	must(t, s.Register(long.IMSI, registration()))
	must(t, s.SetSQN(long.IMSI, 0xff9bb4d0b607))
	must(t, s.Close())

	s = opened(t, file, Options{})
	for _, want := range []Subscriber{subscriber(), long, none} {
		got, err := s.Subscriber(want.IMSI)
		must(t, err)
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("subscriber %s (-put +got):\n%s", want.IMSI, diff)
		}
	}
	r, err := s.Registration(long.IMSI)
	must(t, err)
	if diff := cmp.Diff(registration(), r, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("registration (-put +got):\n%s", diff)
	}
	if sqn, err := s.SQN(long.IMSI); err != nil || sqn != 0xff9bb4d0b607 {
		t.Errorf("sequence number %v, %v", sqn, err)
	}
	must(t, s.Remove(long.IMSI))
	must(t, s.Close())
	s = opened(t, file, Options{})
	if got := strings.Join(s.IMSIs(), " "); got != "001010000000001 00101000000003" {
		t.Errorf("subscribers %s", got)
	}
	if n, err := number(s.db, "SELECT (SELECT count(*) FROM gateway) + (SELECT count(*) FROM apn WHERE imsi = '001010000000002')"); err != nil || n != 0 {
		t.Errorf("%d rows of a subscriber who has been removed, %v", n, err)
	}
}

func TestAReplacedSubscriberKeepsItsSequenceNumberAndWhoServesIt(t *testing.T) {
	both(t, func(t *testing.T, s *Store) {
		sub := subscriber()
		must(t, s.Put(sub))
		must(t, s.SetSQN(sub.IMSI, 96))
		must(t, s.Register(sub.IMSI, registration()))
		sub.BarredNon3GPP = true
		must(t, s.Put(sub))
		got, _ := s.Subscriber(sub.IMSI)
		sqn, _ := s.SQN(sub.IMSI)
		r, _ := s.Registration(sub.IMSI)
		if !got.BarredNon3GPP || sqn != 96 || r.Server != "aaa.example" {
			t.Errorf("barred %v, sequence number %d, server %q", got.BarredNon3GPP, sqn, r.Server)
		}
	})
}

func TestWhatIsGivenOutSharesNothingWithWhatWasPutIn(t *testing.T) {
	both(t, func(t *testing.T, s *Store) {
		sub, r := subscriber(), registration()
		must(t, s.Put(sub))
		must(t, s.Register(sub.IMSI, r))
		sub.K[0]++
		sub.APNs[0].Name = "other"
		sub.APNs[1].Gateway.Addresses[0] = netip.Addr{}
		delete(r.Gateways, "ims")
		got, _ := s.Subscriber(sub.IMSI)
		if diff := cmp.Diff(subscriber(), *got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		if kept, _ := s.Registration(sub.IMSI); len(kept.Gateways) != 2 {
			t.Errorf("gateways %v", kept.Gateways)
		}
	})
}

func TestSequenceNumbersGoUpByOneInBothParts(t *testing.T) {
	both(t, func(t *testing.T, s *Store) {
		must(t, s.Put(subscriber()))
		must(t, s.SetSQN(subscriber().IMSI, 30<<5|30))
		got, err := s.Take(subscriber().IMSI, 3)
		if want := []keys.SQN{31<<5 | 31, 32<<5 | 0, 33<<5 | 1}; err != nil || !cmp.Equal(got, want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	})
}

func TestTheRowOfSequenceNumbersEnds(t *testing.T) {
	both(t, func(t *testing.T, s *Store) {
		imsi := subscriber().IMSI
		must(t, s.Put(subscriber()))
		must(t, s.SetSQN(imsi, keys.MaxSQN-1<<5))
		if got, err := s.Take(imsi, 1); err != nil || got[0]>>5 != keys.MaxSQN>>5 {
			t.Fatalf("the last: %v, %v", got, err)
		}
		if got, err := s.Take(imsi, 1); !errors.Is(err, usim.ErrExhausted) {
			t.Errorf("beyond the last: %v, %v", got, err)
		}
	})
}

func TestACardThatIsAheadIsFollowedAndOneThatIsBehindIsNot(t *testing.T) {
	both(t, func(t *testing.T, s *Store) {
		imsi := subscriber().IMSI
		must(t, s.Put(subscriber()))
		must(t, s.SetSQN(imsi, 100<<5|7))
		for _, c := range []struct{ card, next keys.SQN }{
			{50 << 5, 101<<5 | 8},      // behind
			{101<<5 | 9, 102<<5 | 9},   // as far: the next is new to it
			{102<<5 | 31, 103<<5 | 10}, // as far, another IND
			{4000<<5 | 3, 4001<<5 | 4},
			{4000<<5 | 3, 4002<<5 | 5}, // told again
		} {
			must(t, s.Resynchronise(imsi, c.card))
			if got, err := s.Take(imsi, 1); err != nil || got[0] != c.next {
				t.Errorf("card at %d: %v, %v, want %v", c.card, got, err, c.next)
			}
		}
	})
}

func TestARowThatIsTooFarAheadForACardToFollowGoesBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.db")
	s := opened(t, file, Options{})
	imsi := subscriber().IMSI
	must(t, s.Put(subscriber()))
	must(t, s.SetSQN(imsi, 1<<40))
	must(t, s.Resynchronise(imsi, 7<<5|1))
	must(t, s.abandon())
	s = opened(t, file, Options{})
	if got, err := s.Take(imsi, 1); err != nil || got[0] != 8<<5|2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAStoreThatIsClosedSkipsNoSequenceNumber(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.db")
	s := opened(t, file, Options{})
	must(t, s.Put(subscriber()))
	before, err := s.Take(subscriber().IMSI, 2)
	must(t, err)
	must(t, s.Close())
	if got, err := s.Take(subscriber().IMSI, 1); err == nil {
		t.Errorf("a store that is closed gives %v", got)
	}
	s = opened(t, file, Options{})
	next, err := s.Take(subscriber().IMSI, 1)
	must(t, err)
	if want, _ := after(before[1], 1); next[0] != want {
		t.Errorf("%v after %v", next, before)
	}
}

func TestOneWriteServesManySequenceNumbers(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "s.db"), Options{Reserve: 9})
	must(t, s.Put(subscriber()))
	writes := s.db.TotalChanges()
	for range 100 {
		_, err := s.Take(subscriber().IMSI, 1)
		must(t, err)
	}
	if got := s.db.TotalChanges() - writes; got != 10 {
		t.Errorf("%d writes for 100 numbers with 9 in reserve", got)
	}
}

// limit lets the file have so many pages at most: SQLite finds the disk full then.
func limit(s *Store, pages int64) error {
	_, err := number(s.db, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
	return err
}

func TestABatchThatFailsLeavesEverythingAsItWas(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "s.db"), Options{})
	must(t, s.Put(subscriber()))
	imsi := subscriber().IMSI
	must(t, s.Register(imsi, registration()))
	_, err := s.Take(imsi, 1)
	must(t, err)
	pages, err := number(s.db, "PRAGMA page_count")
	must(t, err)
	must(t, limit(s, pages))
	var inside error
	err = s.Batch(func() {
		must(t, s.Register(imsi, Registration{}))
		for range 5 {
			_, err := s.Take(imsi, 32)
			must(t, err)
		}
		for i := 0; inside == nil; i++ {
			sub := subscriber()
			sub.IMSI = filledIMSI(i)
			inside = s.Put(sub)
		}
		if err := s.Register(imsi, Registration{}); err == nil {
			t.Error("a batch that has failed goes on writing")
		}
	})
	if err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("%v", err)
	}
	if got := s.IMSIs(); len(got) != 1 {
		t.Errorf("subscribers %v", got)
	}
	if r, _ := s.Registration(imsi); r.Server != "aaa.example" || len(r.Gateways) != 2 {
		t.Errorf("registration %v", r)
	}
	var fresh []keys.SQN
	if err := s.Batch(func() { fresh, err = s.Take(imsi, 1) }); err != nil || len(fresh) != 1 {
		t.Errorf("the next batch: %v, %v", fresh, err)
	}
}

func TestAFullDiskIsTold(t *testing.T) {
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no file system of 256 KiB here: %v", err)
	}
	defer unix.Unmount(folder, unix.MNT_DETACH)
	file := filepath.Join(folder, "s.db")
	s := opened(t, file, Options{Reserve: 1})
	must(t, s.Put(subscriber()))
	var held []keys.SQN
	var err error
	for range 10000 { // the write-ahead log grows
		var taken []keys.SQN
		if taken, err = s.Take(subscriber().IMSI, 1); err != nil {
			break
		}
		held = append(held, taken...)
	}
	if err == nil {
		t.Fatal("256 KiB were enough")
	}
	var trouble *Trouble
	if !errors.As(err, &trouble) || !strings.Contains(err.Error(), "no space left") || trouble.Hint == "" {
		t.Errorf("%v", err)
	}
	if sub, err := s.Subscriber(subscriber().IMSI); err != nil || sub.IMSI == "" {
		t.Errorf("what is read goes on: %v", err)
	}
	s.abandon() // as if killed
	s = opened(t, file, Options{})
	if sqn, err := s.SQN(subscriber().IMSI); err != nil || sqn < held[len(held)-1] {
		t.Errorf("the file is at %v, and %v was handed out (%v)", sqn, held[len(held)-1], err)
	}
}

func TestAFileThatCannotBeAStoreIsRefusedAndLeftAlone(t *testing.T) {
	write := func(octets string) func(t *testing.T, file string) {
		return func(t *testing.T, file string) { must(t, os.WriteFile(file, []byte(octets), 0o600)) }
	}
	database := func(sql string) func(t *testing.T, file string) {
		return func(t *testing.T, file string) {
			db, err := sqlite3.Open(file)
			must(t, err)
			must(t, db.Exec(sql))
			must(t, db.Close())
		}
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, file string)
		want string
	}{
		{"text", write("subscribers:\n  - {subscriber: \"001010000000001\"}\n"), "not a subscriber store"},
		{"one octet", write("x"), "not a subscriber store"},
		{"half a header", write(magic + "\x10\x00"), ""},
		{"another database", database("CREATE TABLE t (x)"), "not a subscriber store"},
		{"another program's database", database("PRAGMA application_id = 7"), "not a subscriber store"},
		{"a newer schema", database("PRAGMA application_id = 0x53324853; PRAGMA user_version = 99"), "newer s2clab"},
		{"a folder", func(t *testing.T, file string) { must(t, os.Mkdir(file, 0o700)) }, "folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "s.db")
			c.make(t, file)
			before, _ := os.ReadFile(file)
			s, err := Open(file, Options{})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			var trouble *Trouble
			if !errors.As(err, &trouble) || !strings.Contains(err.Error(), c.want) || trouble.Hint == "" {
				t.Errorf("%v", err)
			}
			if after, _ := os.ReadFile(file); string(before) != string(after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestDamageIsFound(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.db")
	s := opened(t, file, Options{})
	for i := range 100 {
		sub := subscriber()
		sub.IMSI = filledIMSI(i)
		must(t, s.Put(sub))
	}
	must(t, s.Close())
	whole, err := os.ReadFile(file)
	must(t, err)
	for page := 1; page*4096 < len(whole); page++ {
		damaged := append([]byte(nil), whole...)
		copy(damaged[page*4096:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
		must(t, os.WriteFile(file, damaged, 0o600))
		s, err := Open(file, Options{})
		if err == nil {
			s.Close()
			t.Errorf("page %d: it was opened", page)
		} else if !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "hint:") {
			t.Errorf("page %d: %v", page, err)
		}
	}
	must(t, os.WriteFile(file, whole[:len(whole)-4096], 0o600))
	if s, err := Open(file, Options{}); err == nil {
		s.Close()
		t.Error("a file without its last page was opened")
	}
}

func TestARowThatNoStoreWroteIsDamage(t *testing.T) {
	for _, sql := range []string{
		"UPDATE subscriber SET k = x'00'",
		"UPDATE subscriber SET sqn = -1",
		"UPDATE subscriber SET amf = x'00'",
		"UPDATE subscriber SET rat_types = 'wifi'",
		"UPDATE subscriber SET server = 'a b'",
		"UPDATE subscriber SET opc = NULL",
		"UPDATE apn SET pdn = 'x25'",
		"UPDATE apn SET addresses = '::1 hello'",
		"PRAGMA foreign_keys = OFF; DELETE FROM subscriber",
	} {
		file := filepath.Join(t.TempDir(), "s.db")
		s := opened(t, file, Options{})
		must(t, s.Put(subscriber()))
		must(t, s.db.Exec(sql))
		must(t, s.abandon())
		if s, err := Open(file, Options{}); err == nil {
			s.Close()
			t.Errorf("%s: it was opened", sql)
		} else if !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestAStoreHasOneOwner(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.db")
	first := opened(t, file, Options{})
	must(t, first.Put(subscriber()))
	if s, err := Open(file, Options{}); err == nil {
		s.Close()
		t.Fatal("it was opened twice")
	} else if !strings.Contains(err.Error(), "another process has it open") {
		t.Error(err)
	}
	if _, err := first.Take(subscriber().IMSI, 1); err != nil {
		t.Errorf("the owner was disturbed: %v", err)
	}
	must(t, first.Close())
	opened(t, file, Options{})
}

func TestAFolderThatIsNotThereOrMayNotBeWrittenIsTold(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none", "s.db"), Options{}); err == nil || !strings.Contains(err.Error(), "its folder is not there") {
		t.Errorf("%v", err)
	}
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Skipf("no file system here that may only be read: %v", err)
	}
	defer unix.Unmount(folder, unix.MNT_DETACH)
	if _, err := Open(filepath.Join(folder, "s.db"), Options{}); err == nil || !strings.Contains(err.Error(), "may not be written") {
		t.Errorf("%v", err)
	}
}

func TestNobodyElseMayReadTheFile(t *testing.T) {
	folder := t.TempDir()
	s := opened(t, filepath.Join(folder, "s.db"), Options{})
	must(t, s.Put(subscriber()))
	files, err := os.ReadDir(folder)
	must(t, err)
	if len(files) < 2 {
		t.Errorf("%d files, want the store and its log", len(files))
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestAnOlderFileIsBroughtUpAndLosesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.db")
	s := opened(t, file, Options{})
	must(t, s.Put(subscriber()))
	must(t, migrate(s.db, append(migrations[:len(migrations):len(migrations)], "ALTER TABLE subscriber ADD COLUMN imei TEXT NOT NULL DEFAULT 'none'")))
	if got, err := text(s.db, "SELECT imsi || ' ' || imei FROM subscriber"); err != nil || got != subscriber().IMSI+" none" {
		t.Errorf("%q, %v", got, err)
	}
	must(t, s.Close())
	if _, err := Open(file, Options{}); err == nil || !strings.Contains(err.Error(), "newer s2clab") {
		t.Errorf("a version that this program does not know: %v", err)
	}
}

func TestAMigrationIsDoneWhollyOrNotAtAll(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "s.db"), Options{})
	err := migrate(s.db, append(migrations[:len(migrations):len(migrations)], "CREATE TABLE new (x)", "no SQL"))
	if err == nil {
		t.Fatal("it went well")
	}
	if n, err := number(s.db, "SELECT count(*) FROM sqlite_schema WHERE name = 'new'"); err != nil || n != 0 {
		t.Errorf("%d new tables, %v", n, err)
	}
	if v, err := number(s.db, "PRAGMA user_version"); err != nil || int(v) != len(migrations) {
		t.Errorf("version %d, %v", v, err)
	}
}

func TestNoKeyIsPrinted(t *testing.T) {
	sub := subscriber()
	sub.OP, sub.OPc = sub.OPc, nil
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		out := strings.ToLower(fmt.Sprintf(verb, sub) + fmt.Sprintf(verb, &sub) + fmt.Sprintf(verb, sub.K))
		for _, part := range []string{"465b", "70 91", "70, 91", "0x46, 0x5b", "f[", "cd63", "205 99", "205, 99"} {
			if strings.Contains(out, part) {
				t.Errorf("%s prints a key: %s", verb, out)
			}
		}
	}
}

func TestWhereACardIsIsNotForgottenByAStoreThatIsKilled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.db")
	s := opened(t, file, Options{})
	must(t, s.Put(subscriber()))
	must(t, s.Resynchronise(subscriber().IMSI, 5000<<5))
	must(t, s.abandon())
	s = opened(t, file, Options{})
	if got, err := s.Take(subscriber().IMSI, 1); err != nil || got[0] != 5001<<5|1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestANameWithAnyLettersCanBeAStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a ?b&c=d#%41+ü.db")
	s := opened(t, file, Options{})
	must(t, s.Put(subscriber()))
	must(t, s.Close())
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	if s := opened(t, file, Options{}); len(s.IMSIs()) != 1 {
		t.Errorf("subscribers %v", s.IMSIs())
	}
}

func TestNumbersOfASubscriberWhoIsNewOutliveItsOwnerToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.db")
	s := opened(t, file, Options{})
	must(t, s.Put(subscriber()))
	before, err := s.Take(subscriber().IMSI, 5)
	must(t, err)
	must(t, s.abandon())
	s = opened(t, file, Options{})
	if next, err := s.Take(subscriber().IMSI, 1); err != nil || next[0] <= before[4] {
		t.Errorf("%v after %v, %v", next, before, err)
	}
}

func TestAFileWhoseMakerWasKilledBeforeItWasAStoreBecomesOne(t *testing.T) {
	for name, sql := range map[string]string{
		"empty":         "",
		"with a header": "PRAGMA journal_mode = WAL",
	} {
		file := filepath.Join(t.TempDir(), "s.db")
		must(t, os.WriteFile(file, nil, 0o600))
		db, err := sqlite3.Open(file)
		must(t, err)
		must(t, db.Exec(sql))
		must(t, db.Close())
		s, err := Open(file, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		must(t, s.Put(subscriber()))
		must(t, s.Close())
	}
}
