package host

import (
	"net"
	"testing"
	"testing/synctest"
)

// pipes is a listener to whom somebody connects again and again.
type pipes struct{ net.Listener }

func (pipes) Accept() (net.Conn, error) {
	c, _ := net.Pipe()
	return c, nil
}

func TestNoMoreConnectionsAreAcceptedThanMayBeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		l := &fewListener{Listener: pipes{}, slots: make(chan struct{}, 2), over: over}
		accepted := make(chan net.Conn, 8)
		ended := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				accepted <- c
			}
		}()
		synctest.Wait()
		if len(accepted) != 2 {
			t.Fatalf("%d connections, want 2", len(accepted))
		}
		first := <-accepted
		first.Close()
		first.Close() // as the server may
		synctest.Wait()
		if len(accepted) != 2 {
			t.Errorf("%d connections in the place of one that is closed, want 1", len(accepted)-1)
		}
		close(over)
		if err := <-ended; err != net.ErrClosed {
			t.Error(err)
		}
	})
}
