package host

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"s2clab/nodes/wire/eapol"
)

const (
	eapolBurst  = 16
	eapolOctets = 2048 // of a frame; more fits no device whose MTU is Ethernet's
)

// An EAPOLFrame is a frame that came in.
type EAPOLFrame struct {
	From   [6]byte   // source of the Ethernet frame
	At     time.Time // when it was read
	Octets []byte    // what follows the Ethernet header, padding too; valid until the next Receive
}

// An EAPOLPort sends and receives EAPOL frames on one device: those to its address, to
// the PAE group and to all. A closed ControlledPort lets them through. Who believes
// them is in nodes/session/dot1x.
//
// Only one goroutine may be in Receive; Send may be called by several.
type EAPOLPort struct {
	dev    string
	index  int
	file   *os.File
	burst  *burst
	frames []EAPOLFrame
}

// EAPOLPort opens the port on a device, which need not be up yet. A device that is
// removed and made again needs another port.
func (h *Host) EAPOLPort(dev string) (*EAPOLPort, error) {
	index, err := h.Index(dev)
	if err != nil {
		return nil, fmt.Errorf("EAPOL port: %w", err)
	}
	p := &EAPOLPort{dev: dev, index: index}
	if err := p.open(); err != nil {
		p.Close()
		return nil, fmt.Errorf("EAPOL port: %w", inDevice(dev, err))
	}
	return p, nil
}

func (p *EAPOLPort) open() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	p.file = os.NewFile(uintptr(fd), "eapol")
	unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	if err := attach(fd, eapolFilter); err != nil {
		return err
	}
	group := unix.PacketMreq{Ifindex: int32(p.index), Type: unix.PACKET_MR_MULTICAST, Alen: 6}
	copy(group.Address[:], eapol.Group[:])
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &group); err != nil {
		return fmt.Errorf("PAE group: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(eapol.EtherType), Ifindex: p.index}); err != nil {
		return err
	}
	p.burst, err = newBurst(p.file, eapolBurst, eapolOctets, 0)
	return err
}

// eapolFilter leaves out what is for another node.
var eapolFilter = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OTHERHOST, SkipTrue: 1},
	bpf.RetConstant{Val: eapolOctets},
	bpf.RetConstant{Val: 0},
}

// Receive waits for frames and returns those that are there. It fails with
// os.ErrClosed after Close.
func (p *EAPOLPort) Receive() ([]EAPOLFrame, error) {
	n, err := p.burst.receive()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	p.frames = p.frames[:0]
	for i := range n {
		p.frames = append(p.frames, EAPOLFrame{From: [6]byte(p.burst.names[i].Addr[:]), At: now, Octets: p.burst.octets(i)})
	}
	return p.frames, nil
}

// Send sends what follows the Ethernet header to a station, or to eapol.Group.
func (p *EAPOLPort) Send(to [6]byte, octets []byte) error {
	if len(octets) < eapol.HeaderLen {
		return inDevice(p.dev, fmt.Errorf("EAPOL frame of %d octets, want %d or more", len(octets), eapol.HeaderLen))
	}
	name := unix.RawSockaddrLinklayer{
		Family: unix.AF_PACKET, Protocol: htons(eapol.EtherType), Ifindex: int32(p.index), Halen: 6,
	}
	copy(name.Addr[:], to[:])
	return inDevice(p.dev, sendFrame(p.file, octets, &name))
}

// Close closes the port.
func (p *EAPOLPort) Close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}
