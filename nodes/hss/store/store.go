package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"s2clab/nodes/keys"
)

// A Store is the subscribers of one home subscriber server. All of it is held in
// memory; what changes is in the file before a method returns. One goroutine uses
// it at a time, and one process at a time has a file open.
//
// A sequence number is handed out once, as long as nobody says otherwise: the
// owner of the keys by SetSQN, or a card by Resynchronise. The file has a mark for each subscriber,
// and no number above it is given away: before one would be, a higher mark is
// written and synced to the disk, some numbers ahead, so that few vectors wait
// for it: when a file is opened, for all subscribers at once. After a crash the row goes on from the mark: what lies between is
// skipped, which a card takes as it takes vectors that got lost (TS 33.102, annex
// C.2.1: jumps of up to 2^28). Close writes where the row really is.
//
// What a process wrote before it was killed is in the file; with the sync, also
// what it wrote before the machine lost its power.
type Store struct {
	file    string
	db      *sqlite3.Conn // nil: in memory only
	reserve int
	entries map[string]*entry // by IMSI
	batch   bool              // within Batch
	tx      *sqlite3.Txn      // that of the batch, from its first change on
	failed  error             // why nothing more is written: in this batch, or at all

	setSQN, setServer, deleteGateways, addGateway, putSubscriber, deleteAPNs, addAPN, remove *sqlite3.Stmt
}

type entry struct {
	subscriber   Subscriber
	registration Registration
	sqn          keys.SQN // handed out last
	mark         keys.SQN // none greater is handed out before the file has a greater mark
}

// Options is how a Store is kept.
type Options struct {
	Reserve int // sequence numbers that a mark is set ahead; 0: 32
}

const defaultReserve = 32

// Memory returns a Store that is kept in memory only, and is empty.
func Memory() *Store { return &Store{entries: map[string]*entry{}} }

// Open opens a store's file, and makes it where there is none: for its owner
// alone to read, since it has keys. The folder must be there. Errors are
// *Trouble.
func Open(file string, o Options) (*Store, error) {
	s := &Store{file: file, reserve: defaultReserve}
	if o.Reserve > 0 {
		s.reserve = o.Reserve
	}
	if err := s.open(); err != nil {
		s.abandon()
		return nil, trouble(file, err)
	}
	return s, nil
}

const magic = "SQLite format 3\x00"

func (s *Store) open() (err error) {
	info, err := os.Stat(s.file)
	if err == nil && !info.Mode().IsRegular() {
		return &Trouble{File: s.file, What: "it is a folder or a device, not a file", Hint: "name a file in a folder"}
	}
	f, err := os.OpenFile(s.file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	begin := make([]byte, len(magic))
	n, err := io.ReadFull(f, begin)
	f.Close()
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	if n > 0 && !bytes.Equal(begin[:n], []byte(magic)) {
		return errForeign
	}
	// Its log is made with the mode of the file itself.
	path := strings.ReplaceAll(url.QueryEscape(s.file), "+", "%20")
	if s.db, err = sqlite3.OpenFlags("file:"+path+"?modeof="+path, sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI); err != nil {
		return err
	}
	// Exclusive: the first to read keeps the lock until it ends, however it ends.
	if err := s.db.Exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF"); err != nil {
		return err
	}
	if _, err := version(s.db, len(migrations)); err != nil { // before anything is written to it
		return err
	}
	if mode, err := text(s.db, "PRAGMA journal_mode = WAL"); err != nil {
		return err
	} else if mode != "wal" {
		return fmt.Errorf("write-ahead log: journal mode is %q", mode)
	}
	if err := s.db.Exec("PRAGMA synchronous = FULL"); err != nil {
		return err
	}
	if found, err := text(s.db, "PRAGMA quick_check(1)"); err != nil {
		return err
	} else if found != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, found)
	}
	if err := migrate(s.db, migrations); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return err
	}
	// One sync now, and the first vector of nobody waits for one. Where it fails,
	// as on a full disk, there is still what can be read.
	if s.write(func() error { return s.setMarks(s.ahead) }) == nil {
		for _, e := range s.entries {
			e.mark = s.ahead(e.sqn)
		}
	}
	return nil
}

// ahead is the mark for a row that is at sqn.
func (s *Store) ahead(sqn keys.SQN) keys.SQN {
	if mark, err := after(sqn, s.reserve); err == nil {
		return mark
	}
	return sqn // the row ends: each of the last ones is written by itself
}

// setMarks writes a mark for each row that has another.
func (s *Store) setMarks(mark func(sqn keys.SQN) keys.SQN) error {
	for imsi, e := range s.entries {
		if m := mark(e.sqn); m != e.mark {
			if err := run(s.setSQN, imsi, int64(m)); err != nil {
				return err
			}
		}
	}
	return nil
}

func text(db *sqlite3.Conn, sql string) (string, error) {
	st, _, err := db.Prepare(sql)
	if err != nil {
		return "", err
	}
	defer st.Close()
	st.Step()
	return st.ColumnText(0), st.Err()
}

// IMSIs returns those of all subscribers, in order.
func (s *Store) IMSIs() []string { return slices.Sorted(maps.Keys(s.entries)) }

// Subscriber returns one, or ErrUnknown. What it points to is the store's: to be
// read, and not kept beyond the next change.
func (s *Store) Subscriber(imsi string) (*Subscriber, error) {
	e := s.entries[imsi]
	if e == nil {
		return nil, unknown(imsi)
	}
	return &e.subscriber, nil
}

// Registration returns who serves a subscriber, or ErrUnknown. Its map is the
// store's: to be read.
func (s *Store) Registration(imsi string) (Registration, error) {
	e := s.entries[imsi]
	if e == nil {
		return Registration{}, unknown(imsi)
	}
	return e.registration, nil
}

// SQN returns the sequence number that was handed out last, or ErrUnknown.
func (s *Store) SQN(imsi string) (keys.SQN, error) {
	e := s.entries[imsi]
	if e == nil {
		return 0, unknown(imsi)
	}
	return e.sqn, nil
}

// Take hands out the next n sequence numbers of a subscriber, 1 to 32. They are
// never handed out again. Errors: ErrUnknown, usim.ErrExhausted, a *Trouble.
func (s *Store) Take(imsi string, n int) ([]keys.SQN, error) {
	e := s.entries[imsi]
	if e == nil {
		return nil, unknown(imsi)
	}
	if n < 1 || n > mostTaken {
		return nil, fmt.Errorf("%d sequence numbers: want 1 to %d", n, mostTaken)
	}
	if s.failed != nil { // closed, and the file is at e.sqn; or in a batch that has failed
		return nil, s.failed
	}
	last, err := after(e.sqn, n)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", imsi, err)
	}
	if last > e.mark {
		mark := s.ahead(last)
		if err := s.writeSQN(e, mark); err != nil {
			return nil, err
		}
		e.mark = mark
	}
	taken := make([]keys.SQN, n)
	for i := range taken {
		e.sqn, _ = after(e.sqn, 1)
		taken[i] = e.sqn
	}
	return taken, nil
}

// Resynchronise puts the row of a subscriber's sequence numbers behind the one
// that its card has told with a MAC that is right, unless the card would take the
// next one as it is: TS 33.102, section 6.3.5. The row goes back only where it is
// too far ahead for the card ever to follow (annex C.2.1), which is where numbers
// that the card has refused may come again. Errors: ErrUnknown, a *Trouble.
func (s *Store) Resynchronise(imsi string, card keys.SQN) error {
	e := s.entries[imsi]
	if e == nil {
		return unknown(imsi)
	}
	next := numbering.Resync(e.sqn, min(card, keys.MaxSQN))
	if next > e.mark || next < e.sqn {
		if err := s.writeSQN(e, next); err != nil {
			return err
		}
		e.mark = next
	}
	e.sqn = next
	return nil
}

// SetSQN says which sequence number counts as handed out last, as the owner of
// the keys wishes: it may also go back, and so make an HSS that is out of step
// with its cards. Errors: ErrUnknown, a *Trouble.
func (s *Store) SetSQN(imsi string, sqn keys.SQN) error {
	e := s.entries[imsi]
	if e == nil {
		return unknown(imsi)
	}
	if sqn > keys.MaxSQN {
		return fmt.Errorf("%q: sequence number %x has more than 48 bits", imsi, uint64(sqn))
	}
	if err := s.writeSQN(e, sqn); err != nil {
		return err
	}
	e.sqn, e.mark = sqn, sqn
	return nil
}

// Register says who serves a subscriber from now on; the zero Registration: no
// one. Errors: ErrUnknown, a *Trouble.
func (s *Store) Register(imsi string, r Registration) error {
	e := s.entries[imsi]
	if e == nil {
		return unknown(imsi)
	}
	if err := r.Check(); err != nil {
		return fmt.Errorf("subscriber %q: %w", imsi, err)
	}
	r = r.clone()
	if err := s.write(func() error { return s.writeRegistration(imsi, e.registration, r) }); err != nil {
		return err
	}
	e.registration = r
	return nil
}

// Put adds a subscriber, or replaces one and leaves its sequence number and who
// serves it. One that is new has handed out nothing, and is not registered.
func (s *Store) Put(sub Subscriber) error {
	if err := sub.Check(); err != nil {
		return err
	}
	e, sub := s.entries[sub.IMSI], sub.clone()
	if err := s.write(func() error { return s.writeSubscriber(&sub) }); err != nil {
		return err
	}
	if e == nil {
		e = &entry{mark: s.ahead(0)}
		s.entries[sub.IMSI] = e
	}
	e.subscriber = sub
	return nil
}

// Remove takes a subscriber away, with all that was kept of it. One that comes
// back under this IMSI begins with new sequence numbers: it wants a new key too.
func (s *Store) Remove(imsi string) error {
	if s.entries[imsi] == nil {
		return unknown(imsi)
	}
	err := s.write(func() error { return run(s.remove, imsi) })
	if err != nil {
		return err
	}
	delete(s.entries, imsi)
	return nil
}

// Batch makes all that change changes durable together: with one sync, which is
// what a change costs. What is handed out by it may leave the process once Batch
// has returned nil. Where it returns an error, nothing of it holds, and whatever
// it gave must be thrown away. It does not nest.
func (s *Store) Batch(change func()) error {
	if s.db == nil {
		change()
		return nil
	}
	if s.failed != nil {
		return s.failed
	}
	if s.batch {
		panic("store: a batch within a batch")
	}
	s.batch = true
	change()
	s.batch = false
	err := s.failed
	s.failed = nil
	if s.tx == nil {
		return err // nothing was written
	}
	if err == nil {
		err = s.tx.Commit()
	}
	s.tx = nil
	if err == nil {
		return nil
	}
	if !s.db.GetAutocommit() {
		err = errors.Join(err, s.db.Exec("ROLLBACK"))
	}
	if again := s.load(); again != nil { // what is held is not what is kept
		s.failed = trouble(s.file, again)
	}
	return trouble(s.file, err)
}

// Close writes where the rows of sequence numbers are, and closes the file.
func (s *Store) Close() error {
	if s.db == nil || errors.Is(s.failed, errEnded) {
		return nil
	}
	err := s.failed
	if err == nil {
		err = s.write(func() error { return s.setMarks(func(sqn keys.SQN) keys.SQN { return sqn }) })
	}
	return errors.Join(err, trouble(s.file, s.abandon()))
}

// abandon lets go of the file as it is.
func (s *Store) abandon() error {
	if s.db == nil {
		return nil
	}
	s.failed = errEnded
	for _, st := range slices.Collect(s.db.Stmts()) { // closing one changes what Stmts walks
		st.Close()
	}
	return s.db.Close()
}

// write runs changes to the file: all of them or none, in a transaction of their
// own or in that of the batch.
func (s *Store) write(change func() error) error {
	if s.db == nil {
		return nil
	}
	if s.failed != nil {
		return s.failed
	}
	err := s.change(change)
	err = trouble(s.file, err)
	if err != nil && s.batch {
		s.failed = err // SQLite may have rolled all of it back
	}
	return err
}

// change is change in a transaction.
func (s *Store) change(change func() error) error {
	if s.batch {
		if s.tx == nil {
			tx, err := s.db.BeginImmediate()
			if err != nil {
				return err
			}
			s.tx = &tx
		}
		return change()
	}
	tx, err := s.db.BeginImmediate()
	if err != nil {
		return err
	}
	if err = change(); err == nil {
		err = tx.Commit()
	}
	if err != nil && !s.db.GetAutocommit() { // SQLite has not rolled it back already
		err = errors.Join(err, tx.Rollback())
	}
	return err
}

func (s *Store) writeSQN(e *entry, sqn keys.SQN) error {
	return s.write(func() error { return run(s.setSQN, e.subscriber.IMSI, int64(sqn)) })
}

// writeRegistration writes what differs between two registrations.
func (s *Store) writeRegistration(imsi string, before, now Registration) error {
	if now.Server != before.Server {
		if err := run(s.setServer, imsi, now.Server); err != nil {
			return err
		}
	}
	if len(before.Gateways) > 0 {
		if err := run(s.deleteGateways, imsi); err != nil {
			return err
		}
	}
	for apn, g := range now.Gateways {
		if err := run(s.addGateway, imsi, apn, g.Host, g.Realm, joined(g.Addresses)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) writeSubscriber(sub *Subscriber) error {
	var rats any
	if sub.RATTypes != nil {
		rats = joined(sub.RATTypes)
	}
	err := run(s.putSubscriber, sub.IMSI, []byte(sub.K), []byte(sub.OP), []byte(sub.OPc), string(sub.Algorithm), sub.AMF[:], sub.MSISDN,
		sub.BarredNon3GPP, rats, sub.DefaultAPN, sub.GBA.Allowed, int64(sub.GBA.Lifetime.Seconds()), int64(s.ahead(0)))
	if err != nil {
		return err
	}
	if err := run(s.deleteAPNs, sub.IMSI); err != nil {
		return err
	}
	for i, a := range sub.APNs {
		err := run(s.addAPN, sub.IMSI, int64(i+1), a.Name, a.PDN.String(), a.Barred, a.Allocation.String(), a.Gateway.Host, a.Gateway.Realm, joined(a.Gateway.Addresses))
		if err != nil {
			return err
		}
	}
	return nil
}

func joined[T fmt.Stringer](list []T) string {
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = v.String()
	}
	return strings.Join(all, " ")
}
