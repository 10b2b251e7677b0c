package store

import (
	"fmt"

	"github.com/ncruces/go-sqlite3"
)

// applicationID marks a file as ours in its header: "S2HS".
const applicationID = 0x53324853

// migrations lead from one version of the schema to the next; the file's
// user_version is how many of them it has had. One that has been in a release is
// not changed any more: the next follows it.
var migrations = []string{
	`
CREATE TABLE subscriber (
	imsi        TEXT PRIMARY KEY,
	k           BLOB NOT NULL,
	op          BLOB,
	opc         BLOB,
	algorithm   TEXT NOT NULL,
	amf         BLOB NOT NULL,
	sqn         INTEGER NOT NULL,  -- none that is greater has been handed out
	msisdn      TEXT NOT NULL,
	barred      INTEGER NOT NULL,
	rat_types   TEXT,              -- words with spaces between; NULL: all
	default_apn TEXT NOT NULL,
	gba         INTEGER NOT NULL,
	gba_seconds INTEGER NOT NULL,
	server      TEXT NOT NULL      -- of the AAA server; empty: not registered
) STRICT, WITHOUT ROWID;

CREATE TABLE apn (
	imsi       TEXT NOT NULL REFERENCES subscriber ON DELETE CASCADE,
	place      INTEGER NOT NULL,   -- its Context-Identifier
	name       TEXT NOT NULL,
	pdn        TEXT NOT NULL,
	barred     INTEGER NOT NULL,
	allocation TEXT NOT NULL,
	host       TEXT NOT NULL,
	realm      TEXT NOT NULL,
	addresses  TEXT NOT NULL,      -- with spaces between
	PRIMARY KEY (imsi, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE gateway (
	imsi      TEXT NOT NULL REFERENCES subscriber ON DELETE CASCADE,
	apn       TEXT NOT NULL,
	host      TEXT NOT NULL,
	realm     TEXT NOT NULL,
	addresses TEXT NOT NULL,
	PRIMARY KEY (imsi, apn)
) STRICT, WITHOUT ROWID;
`,
}

// version returns how many migrations the file has had, of so many that are known.
// It is an error where the file is another program's, or a later one's of ours.
func version(db *sqlite3.Conn, known int) (int, error) {
	var found [3]int64
	for i, sql := range [...]string{"PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema"} {
		var err error
		if found[i], err = number(db, sql); err != nil {
			return 0, err
		}
	}
	switch application, version, tables := found[0], found[1], found[2]; {
	case application == 0 && version == 0 && tables == 0: // a new file
		return 0, nil
	case application != applicationID:
		return 0, errForeign
	case version < 1 || version > int64(known):
		return 0, fmt.Errorf("%w: it has version %d, and this program knows 1 to %d", errNewer, version, known)
	default:
		return int(version), nil
	}
}

// migrate brings the file to the newest version of the schema: all the way or
// not at all.
func migrate(db *sqlite3.Conn, steps []string) (err error) {
	had, err := version(db, len(steps))
	if err != nil || had == len(steps) {
		return err
	}
	tx, err := db.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	for _, step := range steps[had:] {
		if err := db.Exec(step); err != nil {
			return err
		}
	}
	return db.Exec(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(steps)))
}

// number asks for a single number.
func number(db *sqlite3.Conn, sql string) (int64, error) {
	st, _, err := db.Prepare(sql)
	if err != nil {
		return 0, err
	}
	defer st.Close()
	st.Step()
	return st.ColumnInt64(0), st.Err()
}
