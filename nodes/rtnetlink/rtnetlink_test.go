package rtnetlink

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"s2clab/nodes/netns/netnstest"
)

const loopback = 1

func up(b *Batch, index int, tolerated ...unix.Errno) {
	b.End(b.Begin("set up", unix.RTM_NEWLINK, 0, LinkHeader(index, unix.IFF_UP, unix.IFF_UP), tolerated...))
}

func TestABatchIsDoneInOrderAndNamesWhatFailed(t *testing.T) {
	netnstest.In(t, netnstest.New(t), func() error {
		s, err := Open()
		if err != nil {
			return err
		}
		defer s.Close()
		var b Batch
		up(&b, loopback)
		up(&b, 77)
		up(&b, 78, unix.ENODEV)
		start := b.Begin("rename 79", unix.RTM_NEWLINK, 0, LinkHeader(79, 0, 0))
		b.Text(unix.IFLA_IFNAME, "other")
		b.End(start)
		err = s.Do(&b)
		if err == nil || strings.Count(err.Error(), "no such device") != 2 || !strings.Contains(err.Error(), "rename 79: ") {
			t.Errorf("got error %v, want one for the second and the last of four", err)
		}
		return s.Do(&b) // which is empty now
	})
}

func TestADumpGivesEachDeviceWithItsAttributes(t *testing.T) {
	netnstest.In(t, netnstest.New(t), func() error {
		s, err := Open()
		if err != nil {
			return err
		}
		defer s.Close()
		var b Batch
		b.End(b.Begin("look", unix.RTM_GETLINK, 0, LinkHeader(0, 0, 0)))
		var names []string
		err = s.Ask(&b, true, func(kind uint16, body []byte) {
			EachAttribute(body[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
				if kind == unix.IFLA_IFNAME {
					names = append(names, unix.ByteSliceToString(value))
				}
			})
		})
		if len(names) == 0 || names[0] != "lo" {
			t.Errorf("devices %v, want lo first", names)
		}
		return err
	})
}

func FuzzReading(f *testing.F) {
	var b Batch
	start := b.Begin("device", unix.RTM_NEWLINK, 0, LinkHeader(1, 0, 0))
	b.Text(unix.IFLA_IFNAME, "lo")
	b.End(start)
	f.Add(b.Octets())
	f.Add([]byte{4, 0})
	f.Fuzz(func(t *testing.T, octets []byte) {
		EachMessage(octets, func(_ uint16, _ uint32, body []byte) {
			EachAttribute(body, func(_ uint16, value []byte) {
				if len(value) > len(octets) {
					t.Errorf("an attribute of %d octets in %d", len(value), len(octets))
				}
			})
		})
	})
}
