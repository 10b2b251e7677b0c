// Package door is how the command line reaches a lab that runs in namespaces of
// its own: an abstract Unix socket of the user's, which leaves no file behind, on
// which requests go in and answers come out, one JSON value a line, with open
// files passed along.
//
// It knows who may come in (the lab's owner) and nothing of what is asked.
package door

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrTaken says that a lab of that name runs already.
var ErrTaken = errors.New("a lab of that name runs already")

// ErrNone says that no lab of that name runs.
var ErrNone = errors.New("no lab of that name runs")

// prefix is before the name of each lab of this user.
func prefix() string { return fmt.Sprintf("@s2clab/%d/", os.Getuid()) }

// nameShape is what a lab may be called, so that the name can be told from its
// surroundings everywhere, and fits an address.
var nameShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,84}$`) })

// Listen opens the door of a lab with that name. The name is taken, machine-wide
// for this user, until the last process that holds the listener has ended.
func Listen(name string) (*net.UnixListener, error) {
	if !nameShape().MatchString(name) {
		return nil, fmt.Errorf("%q cannot be the name of a lab: want a letter or digit, then letters, digits, \".\", \"_\" and \"-\", 85 at most in all", name)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: prefix() + name})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("lab %q: %w", name, ErrTaken)
	}
	return l, err
}

// Labs are the names of this user's labs that run, sorted.
func Labs() ([]string, error) {
	f, err := os.Open("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	const listening = "00010000" // SO_ACCEPTCON, the fourth column
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 8 || fields[3] != listening {
			continue
		}
		if name, ok := strings.CutPrefix(fields[7], prefix()); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// A line is what travels: a request first, then whatever both sides say about it,
// and at its end Done.
type line struct {
	Op    string          `json:"op,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
	Done  bool            `json:"done,omitempty"`
	Error string          `json:"error,omitempty"`
}

// A Call is a request under way, seen from the side that asked.
type Call struct {
	conn *net.UnixConn
	dec  *json.Decoder
}

// Knock asks the lab of that name.
func Knock(name, op string, args any, files ...*os.File) (*Call, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: prefix() + name})
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil, fmt.Errorf("lab %q: %w", name, ErrNone)
	}
	if err != nil {
		return nil, err
	}
	return Ask(conn, op, args, files...)
}

// Ask sends a request on a connection, which the Call owns from then on.
func Ask(conn *net.UnixConn, op string, args any, files ...*os.File) (*Call, error) {
	value, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(line{Op: op, Value: value})
	if err != nil {
		return nil, err
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	text = append(text, '\n')
	n, _, err := conn.WriteMsgUnix(text, rights, nil)
	if err == nil && n < len(text) {
		_, err = conn.Write(text[n:])
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return &Call{conn: conn, dec: json.NewDecoder(conn)}, nil
}

// Next decodes what the lab says next into value. At the end it returns io.EOF,
// or the error that ended the request.
func (c *Call) Next(value any) error {
	var l line
	if err := c.dec.Decode(&l); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF) {
			return ErrDied
		}
		return err
	}
	switch {
	case l.Error != "":
		return errors.New(l.Error)
	case l.Done:
		return io.EOF
	case value == nil || l.Value == nil:
		return nil
	}
	return json.Unmarshal(l.Value, value)
}

// ErrDied says that the lab ended before it had answered.
var ErrDied = errors.New("the lab has died")

// Wait reads to the end of the request and returns the error that ended it. What
// the lab says last on the way is decoded into value where that is not nil.
func (c *Call) Wait(value any) error {
	for {
		if err := c.Next(value); err != nil {
			c.Close()
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// Say tells the lab more about the request under way.
func (c *Call) Say(value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.NewEncoder(c.conn).Encode(line{Value: raw})
}

// Close ends the request, whether or not it is done.
func (c *Call) Close() error { return c.conn.Close() }
