package store

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"s2clab/nodes/keys"
)

// childVariable names the store that this program fills until it is killed.
const childVariable = "S2CLAB_TEST_FILL_STORE"

func TestMain(m *testing.M) {
	if file := os.Getenv(childVariable); file != "" {
		if err := fill(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

const filled = 8 // subscribers

func filledIMSI(i int) string { return fmt.Sprintf("0010100000%05d", i) }

// fill hands out sequence numbers without an end. A line goes out when they may
// leave the process: after Take, or after the whole Batch.
func fill(file string) error {
	s, err := Open(file, Options{Reserve: 3})
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
	var lines bytes.Buffer
	take := func() error {
		imsi := filledIMSI(rng.IntN(filled))
		taken, err := s.Take(imsi, 1+rng.IntN(4))
		for _, sqn := range taken {
			fmt.Fprintf(&lines, "%s %d\n", imsi, sqn)
		}
		return err
	}
	for {
		lines.Reset()
		imsi := filledIMSI(rng.IntN(filled))
		switch rng.IntN(8) {
		case 0: // the card is ahead
			now, err := s.SQN(imsi)
			if err != nil {
				return err
			}
			if err := s.Resynchronise(imsi, now+keys.SQN(rng.IntN(300))); err != nil {
				return err
			}
		case 1:
			r := Registration{Server: "aaa.example", Gateways: map[string]Gateway{"internet": {Host: fmt.Sprintf("ha%d.example", rng.IntN(9)), Realm: "example"}}}
			if err := s.Register(imsi, r); err != nil {
				return err
			}
		case 2:
			var failed error
			if err := s.Batch(func() {
				for range 5 {
					if failed = take(); failed != nil {
						return
					}
				}
			}); err != nil || failed != nil {
				return fmt.Errorf("batch: %w, %w", err, failed)
			}
		default:
			if err := take(); err != nil {
				return err
			}
		}
		if _, err := os.Stdout.Write(lines.Bytes()); err != nil {
			return err
		}
	}
}

// TestNoSequenceNumberIsHandedOutTwiceThoughTheProcessIsKilled has a process hand
// out numbers as fast as it can, kills it as soon as some of them have come, and
// starts the next on the same file.
func TestNoSequenceNumberIsHandedOutTwiceThoughTheProcessIsKilled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "subscribers.db")
	s, err := Open(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range filled {
		sub := subscriber()
		sub.IMSI = filledIMSI(i)
		if err := s.Put(sub); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	lives := 40
	if testing.Short() {
		lives = 10
	}
	last, total, rng := map[string]uint64{}, 0, rand.New(rand.NewPCG(1, 2))
	for life := range lives {
		total += killedIn(t, file, 1+rng.IntN(200), last)
		if t.Failed() {
			t.Fatalf("in life %d", life+1)
		}
		sound(t, file)
	}
	t.Logf("%d lives, %d sequence numbers", lives, total)
}

// killedIn runs a process that fills the store, kills it when so many lines have
// been read, reads what it had written until then, and wants each number to be
// above all that came before it: those of lives before as well.
func killedIn(t *testing.T, file string, lines int, last map[string]uint64) (total int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+file)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for r := bufio.NewReader(out); ; total++ {
		line, err := r.ReadString('\n')
		if err != nil {
			break // of the last line, half may have come: it counts in the life that sent it
		}
		imsi, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		sqn, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			t.Errorf("it wrote %q", line)
		}
		if before, ok := last[imsi]; ok && sqn <= before {
			t.Errorf("subscriber %s was given %d, and %d before it", imsi, sqn, before)
		}
		last[imsi] = sqn
		if total+1 == lines {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if complaint.Len() > 0 || total < lines {
		t.Errorf("%d lines of %d: %s", total, lines, &complaint)
	}
	return total
}

// sound wants SQLite to find nothing wrong with a file that its owner has left.
func sound(t *testing.T, file string) {
	t.Helper()
	db, err := sqlite3.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, check := range []string{"PRAGMA integrity_check", "SELECT 'ok' WHERE NOT EXISTS (SELECT * FROM pragma_foreign_key_check)"} {
		if found, err := text(db, check); err != nil || found != "ok" {
			t.Errorf("%s: %q, %v", check, found, err)
		}
	}
}
