package door

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

func serve(t *testing.T, handlers map[string]Handler) string {
	t.Helper()
	name := fmt.Sprintf("test-%d-%s", os.Getpid(), t.Name())
	l, err := Listen(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go Serve(l, handlers)
	return name
}

func TestARequestIsAnsweredOverTheDoor(t *testing.T) {
	name := serve(t, map[string]Handler{"count": func(ctx context.Context, r *Request) error {
		var to int
		if err := r.Args(&to); err != nil {
			return err
		}
		for i := range to {
			r.Send(i)
		}
		return nil
	}})
	call, err := Knock(name, "count", 3)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for {
		var i int
		if err := call.Next(&i); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, i)
	}
	if !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("got %v", got)
	}
}

func TestOpenFilesPassTheDoor(t *testing.T) {
	name := serve(t, map[string]Handler{"write": func(ctx context.Context, r *Request) error {
		if len(r.Files) != 1 {
			return fmt.Errorf("%d files", len(r.Files))
		}
		_, err := r.Files[0].WriteString("through the door")
		return err
	}})
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	call, err := Knock(name, "write", nil, write)
	if err != nil {
		t.Fatal(err)
	}
	write.Close()
	if err := call.Wait(nil); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(read); string(got) != "through the door" {
		t.Errorf("got %q", got)
	}
}

func TestAHandlersErrorReachesTheSideThatAsked(t *testing.T) {
	name := serve(t, map[string]Handler{"fail": func(context.Context, *Request) error { return errors.New("link \"x\" is not here\n    hint: y") }})
	for op, want := range map[string]string{"fail": "link \"x\" is not here\n    hint: y", "dance": "this lab does not know \"dance\": it was started by another version of s2clab"} {
		call, err := Knock(name, op, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := call.Wait(nil); err == nil || err.Error() != want {
			t.Errorf("%s: got error %v, want %q", op, err, want)
		}
	}
}

func TestAHandlerThatPanicsIsReportedAndTheNextRequestAnswered(t *testing.T) {
	name := serve(t, map[string]Handler{"panic": func(context.Context, *Request) error { panic("dropped it") }})
	for range 2 {
		call, err := Knock(name, "panic", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := call.Wait(nil); err == nil || !strings.Contains(err.Error(), "dropped it") {
			t.Errorf("got error %v", err)
		}
	}
}

func TestAHandlerEndsWhenTheSideThatAskedGoes(t *testing.T) {
	ended := make(chan struct{})
	name := serve(t, map[string]Handler{"hold": func(ctx context.Context, r *Request) error {
		r.Send("holding")
		<-ctx.Done()
		close(ended)
		return nil
	}})
	call, err := Knock(name, "hold", nil)
	if err != nil {
		t.Fatal(err)
	}
	var held string
	if err := call.Next(&held); err != nil || held != "holding" {
		t.Fatalf("got %q, %v", held, err)
	}
	call.Close()
	<-ended
}

func TestALabsNameIsListedAndTakenWhileItsDoorIsOpen(t *testing.T) {
	name := "test-" + fmt.Sprint(os.Getpid()) + "-taken"
	l, err := Listen(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(name); !errors.Is(err, ErrTaken) {
		t.Errorf("a second door of that name: %v, want ErrTaken", err)
	}
	if labs, err := Labs(); err != nil || !slices.Contains(labs, name) {
		t.Errorf("labs %v, %v: want %s among them", labs, err, name)
	}
	l.Close()
	if labs, _ := Labs(); slices.Contains(labs, name) {
		t.Errorf("%s is listed after its end", name)
	}
	if _, err := Knock(name, "status", nil); !errors.Is(err, ErrNone) {
		t.Errorf("knocking at no door: %v, want ErrNone", err)
	}
}
