package door

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"
)

// A Request is seen from the side that is asked.
type Request struct {
	Op    string
	Files []*os.File             // passed along; closed when the request ends
	Said  <-chan json.RawMessage // what the other side says later; closed when it has gone

	args json.RawMessage
	mu   sync.Mutex
	enc  *json.Encoder
}

// Args decodes the request's arguments into v.
func (r *Request) Args(v any) error {
	if err := json.Unmarshal(r.args, v); err != nil {
		return fmt.Errorf("%s: %w", r.Op, err)
	}
	return nil
}

// Send tells the side that asked something on the way.
func (r *Request) Send(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return r.send(line{Value: raw})
}

func (r *Request) send(l line) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.enc.Encode(l)
}

// A Handler does what a request asks. Its ctx ends when the side that asked goes.
type Handler func(ctx context.Context, r *Request) error

// Serve answers the requests that come to l until it is closed. Only processes of
// the user who runs the lab are let in.
func Serve(l *net.UnixListener, handlers map[string]Handler) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return
		}
		if !owner(conn) {
			conn.Close()
			continue
		}
		go Answer(conn, handlers)
	}
}

func owner(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred
	raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return err == nil && int(peer.Uid) == os.Getuid()
}

// Answer answers the one request of a connection, and closes it.
func Answer(conn *net.UnixConn, handlers map[string]Handler) {
	defer conn.Close()
	first, files, rest, err := readRequest(conn)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	said := make(chan json.RawMessage, 16)
	r := &Request{Op: first.Op, Files: files, Said: said, args: first.Value, enc: json.NewEncoder(conn)}
	go func() {
		defer cancel()
		defer close(said)
		for dec := json.NewDecoder(&joined{rest, conn}); ; {
			var l line
			if dec.Decode(&l) != nil {
				return
			}
			select {
			case said <- l.Value:
			case <-ctx.Done():
				return
			}
		}
	}()
	handler := handlers[first.Op]
	if handler == nil {
		r.send(line{Error: fmt.Sprintf("this lab does not know %q: it was started by another version of s2clab", first.Op)})
		return
	}
	if err := safely(handler, ctx, r); err != nil {
		r.send(line{Error: err.Error()})
		return
	}
	r.send(line{Done: true})
}

// safely calls a handler. One that panics has a fault, which the side that asked
// is told, and does not take the lab with it.
func safely(handler Handler, ctx context.Context, r *Request) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%s: this is a fault of s2clab, please report it: %v\n%s", r.Op, fault, debug.Stack())
		}
	}()
	return handler(ctx, r)
}

// requestLimit is how long a request may be, in octets.
const requestLimit = 64 << 20

// readRequest reads the first line and the files that came with it, and what
// followed the line already.
func readRequest(conn *net.UnixConn) (first line, files []*os.File, rest []byte, err error) {
	var text []byte
	chunk, rights := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(16*4))
	for {
		n, nr, _, _, err := conn.ReadMsgUnix(chunk, rights)
		if err != nil {
			return first, files, nil, err
		}
		if n == 0 {
			return first, files, nil, errors.New("no request")
		}
		files = append(files, received(rights[:nr])...)
		text = append(text, chunk[:n]...)
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			return first, files, text[end+1:], json.Unmarshal(text[:end], &first)
		}
		if len(text) > requestLimit {
			return first, files, nil, errors.New("request too long")
		}
	}
}

func received(rights []byte) []*os.File {
	var files []*os.File
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files
}

// joined reads what was read ahead, then the connection.
type joined struct {
	ahead []byte
	conn  *net.UnixConn
}

func (j *joined) Read(b []byte) (int, error) {
	if len(j.ahead) > 0 {
		n := copy(b, j.ahead)
		j.ahead = j.ahead[n:]
		return n, nil
	}
	return j.conn.Read(b)
}
