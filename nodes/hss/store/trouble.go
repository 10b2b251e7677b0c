package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/ncruces/go-sqlite3"
)

// ErrUnknown says that there is no such subscriber.
var ErrUnknown = errors.New("no such subscriber")

var (
	errForeign = errors.New("it is not a subscriber store of s2clab")
	errNewer   = errors.New("it was made by a newer s2clab")
	errDamaged = errors.New("it is damaged")
	errEnded   = errors.New("the store is closed")
)

// A Trouble is what keeps a store from being opened, read or written.
type Trouble struct {
	File string
	What string // what was found
	Hint string // what to do
	Err  error
}

func (t *Trouble) Error() string {
	text := t.File + ": " + t.What
	if t.Hint != "" {
		text += "\n    hint: " + t.Hint
	}
	return text
}

func (t *Trouble) Unwrap() error { return t.Err }

// trouble tells what an error of SQLite or of the file system means to the one
// whose file it is.
func trouble(file string, err error) error {
	var already *Trouble
	if err == nil || errors.As(err, &already) || errors.Is(err, errEnded) {
		return err
	}
	t := &Trouble{File: file, Err: err}
	switch {
	case errors.Is(err, errForeign), errors.Is(err, sqlite3.NOTADB):
		t.What = errForeign.Error()
		t.Hint = "name another file; it has been left as it is"
	case errors.Is(err, errNewer):
		t.What = err.Error()
		t.Hint = "use that s2clab, or begin a new store from what it exports"
	case errors.Is(err, errDamaged), errors.Is(err, sqlite3.CORRUPT):
		t.What = "it is damaged: " + err.Error()
		t.Hint = "begin a new store from an export, and give each subscriber an sqn beyond all that its card has seen (or let it resynchronise); the sqlite3 program's .recover may save what is left"
	case errors.Is(err, sqlite3.FULL), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		t.What = "there is no space left for it; the last change is not kept"
		t.Hint = "free space on its disk, or move it to another"
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.LOCKED):
		t.What = "another process has it open"
		t.Hint = "a store has one owner: take the lab that runs its HSS down first"
	case errors.Is(err, fs.ErrNotExist):
		t.What = "its folder is not there"
		t.Hint = "make the folder first, or name another"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, sqlite3.READONLY), errors.Is(err, sqlite3.PERM), errors.Is(err, syscall.EROFS):
		t.What = "it, or the folder it is in, may not be written"
		t.Hint = "see both with ls -ld: the store needs to write its file and, beside it, FILE-wal"
	case errors.Is(err, sqlite3.CANTOPEN), errors.Is(err, sqlite3.IOERR):
		t.What = "it cannot be used: " + err.Error()
		t.Hint = "see that the folder may be written and that its disk is sound"
	default:
		t.What = err.Error()
	}
	return t
}

// unknown names the subscriber that there is not.
func unknown(imsi string) error { return fmt.Errorf("%q: %w", imsi, ErrUnknown) }
