package hss

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"s2clab/nodes/hss/store"
	"s2clab/nodes/keys"
)

// BenchmarkVectors is how many vectors an HSS gives, each of them durable before
// it leaves, against the bare functions of Milenage with a random challenge: to
// one subscriber again and again; to 2,000, one after the other; and the same
// where an owner gathers 32 requests for one sync.
func BenchmarkVectors(b *testing.B) {
	for _, c := range []struct {
		name               string
		subscribers, batch int
	}{{"one-subscriber", 1, 1}, {"2000-subscribers", 2000, 1}, {"2000-subscribers-batched", 2000, 32}} {
		b.Run(c.name, func(b *testing.B) {
			m, asks := provisioned(b, c.subscribers)
			next := 0
			against(b, c.batch, func(n int) {
				if err := m.store.Batch(func() {
					for range n {
						if a := m.Authenticate(asks[next%len(asks)]); len(a.Vectors) != 1 {
							b.Fatal(a.Result, a.Err)
						}
						next++
					}
				}); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkAttaches is what SWx has to do with an attachment: a vector, the
// registration of the AAA server and the PDN gateway of an APN, and the end of it.
func BenchmarkAttaches(b *testing.B) {
	for _, batch := range []int{1, 32} {
		b.Run(fmt.Sprintf("batch-%d", batch), func(b *testing.B) {
			m, asks := provisioned(b, 2000)
			next := 0
			against(b, batch, func(n int) {
				if err := m.store.Batch(func() {
					for range n {
						imsi := asks[next%len(asks)].IMSI
						m.Authenticate(asks[next%len(asks)])
						m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: 1})
						m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: 13, APN: "internet", Gateway: store.Gateway{Host: "ha.example", Realm: "example"}})
						if a := m.Assign(AssignmentRequest{Server: "aaa.example", IMSI: imsi, Type: 5}); a.Err != nil {
							b.Fatal(a.Result, a.Err)
						}
						next++
					}
				}); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// provisioned is an HSS with a store in a file, and a request for each subscriber.
func provisioned(b *testing.B, subscribers int) (*Machine, []AuthenticationRequest) {
	b.Helper()
	s, err := store.Open(filepath.Join(b.TempDir(), "s.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	m, asks := New(s, rand.Reader), make([]AuthenticationRequest, subscribers)
	if err := s.Batch(func() {
		for i := range asks {
			sub := subscriber()
			sub.IMSI = fmt.Sprintf("00101%010d", i)
			if _, err := m.Put(sub); err != nil {
				b.Fatal(err)
			}
			asks[i] = aka
			asks[i].IMSI = sub.IMSI
		}
	}); err != nil {
		b.Fatal(err)
	}
	return m, asks
}

// against measures work that is done in portions, and in turns with it the bare
// functions, since a machine is not always as fast.
func against(b *testing.B, portion int, work func(n int)) {
	s := subscriber()
	a, err := newAlgorithm(&s)
	if err != nil {
		b.Fatal(err)
	}
	var ours, bare time.Duration
	const turn = 1024
	for done := 0; done < b.N; {
		start := time.Now()
		n := 0
		for n < turn && done+n < b.N {
			p := min(portion, b.N-done-n)
			work(p)
			n += p
		}
		done += n
		middle := time.Now()
		for i := range n {
			var challenge [16]byte
			rand.Read(challenge[:])
			if _, err := keys.NewVector(a, challenge, keys.SQN(i), s.AMF); err != nil {
				b.Fatal(err)
			}
		}
		ours, bare = ours+middle.Sub(start), bare+time.Since(middle)
	}
	b.ReportMetric(float64(b.N)/ours.Seconds()/1e3, "given-k/s")
	b.ReportMetric(float64(b.N)/bare.Seconds()/1e3, "bare-k/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
}
