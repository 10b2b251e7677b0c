package link

import (
	"encoding/binary"
	"testing"
)

// Whatever stands in a frame and its header, cutting and completing it harms
// nothing outside it.
func FuzzOffload(f *testing.F) {
	seed := make([]byte, vnetLen+14+40+20+300)
	seed[vnetFlags], seed[vnetGSOType] = needsCsum, gsoTCP6
	binary.NativeEndian.PutUint16(seed[vnetGSOSize:], 100)
	binary.NativeEndian.PutUint16(seed[vnetCsumStart:], 54)
	binary.NativeEndian.PutUint16(seed[vnetCsumOffset:], 16)
	seed[vnetLen+14], seed[vnetLen+54+12] = 0x60, 5<<4
	f.Add(seed)
	four := append([]byte{}, seed...)
	four[vnetGSOType], four[vnetLen+14] = gsoTCP4, 0x45
	binary.NativeEndian.PutUint16(four[vnetCsumStart:], 34)
	f.Add(four)
	udp := append([]byte{}, seed...)
	udp[vnetGSOType] = gsoUDP
	f.Add(udp)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < vnetLen+minFrame || len(data) > largeSize {
			return
		}
		payload := 0
		room := func(n int) []byte {
			if payload += n; payload > 1<<22 {
				return nil // as a pool that is empty
			}
			return make([]byte, n)
		}
		frames := 0
		if segments(data, room, func(b []byte) { frames++ }) && frames == 0 {
			t.Error("it was cut into nothing")
		}
		Complete(data)
		if data[vnetFlags]&needsCsum != 0 && !large(data) {
			t.Error("it still wants a checksum")
		}
	})
}
