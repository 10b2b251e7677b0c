package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"s2clab/nodes/wire/radius"
	"s2clab/nodes/wire/udp"
)

// isRADIUS says whether a UDP header is of RADIUS.
func isRADIUS(b []byte) bool {
	return len(b) >= udpLen && (binary.BigEndian.Uint16(b) == radius.Port || binary.BigEndian.Uint16(b[2:]) == radius.Port)
}

// radiusMessage reads a RADIUS packet from a UDP datagram. Keys in it are covered, and
// not told.
func radiusMessage(b []byte, src, dst netip.Addr) Message {
	f := map[string]any{}
	if _, err := udp.Parse(b, src, dst); err != nil {
		f["bad-checksum"] = true
	}
	p, err := radius.Parse(b[udpLen:])
	if err != nil {
		f["malformed"] = err.Error()
		return Message{"radius-malformed", f}
	}
	name := fmt.Sprintf("radius-code-%d", uint8(p.Code))
	switch p.Code {
	case radius.AccessRequest, radius.AccessAccept, radius.AccessReject, radius.AccessChallenge:
		name = "radius-" + strings.ToLower(p.Code.String())
	}
	f["radius-id"] = float64(p.Identifier)
	values, err := radius.Unpack(p.Attributes)
	if err != nil {
		f["malformed"] = err.Error()
		return Message{name, f}
	}
	for _, a := range values {
		readAttribute(&a, f)
	}
	return Message{name, f}
}

// readAttribute takes what people look for out of an attribute.
func readAttribute(a *radius.Attribute, f map[string]any) {
	text := func(name string) {
		if len(a.Value) > 0 {
			f[name] = strings.ToValidUTF8(string(a.Value), "\ufffd")
		}
	}
	address := func(name string) {
		if at, ok := netip.AddrFromSlice(a.Value); ok {
			f[name] = at.String()
		}
	}
	number := func(name string) {
		if len(a.Value) == 4 {
			f[name] = float64(binary.BigEndian.Uint32(a.Value))
		}
	}
	switch a.Type {
	case radius.UserName:
		text("nai")
	case radius.NASIdentifier:
		text("nas")
	case radius.CallingStationID:
		text("station")
	case radius.ReplyMessage:
		text("error")
	case radius.SessionTimeout:
		number("lifetime")
	case radius.EAPMessage:
		readEAP(a.Value, f)
	case radius.ThreeGPP2MIP6HOAReceivedFromBU:
		address("home-address")
	case radius.ThreeGPP2MIP6CareOfAddress:
		address("care-of")
	case radius.ThreeGPP2MIP6HomeAgentAddressFromBU, radius.ThreeGPP2MIP6HomeAgentAddress, radius.WiMAXhHAIPMIP6:
		address("home-agent")
	case radius.ThreeGPP2MNHASPI, radius.WiMAXMNhHAMIP6SPI:
		number("spi")
	}
}
