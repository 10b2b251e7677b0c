package capture

import (
	"encoding/binary"
	"net/netip"

	"s2clab/nodes/wire/mh"
	"s2clab/nodes/wire/mip4"
	"s2clab/nodes/wire/udp"
)

// isRegistration says whether a UDP header is of Mobile IPv4.
func isRegistration(b []byte, four bool) bool {
	return four && len(b) >= udpLen && (binary.BigEndian.Uint16(b) == mip4.Port || binary.BigEndian.Uint16(b[2:]) == mip4.Port)
}

// registrationFlags are those of a Registration Request, by their letters: RFC 5944,
// section 3.3.
var registrationFlags = []struct {
	set  mip4.Flags
	name string
}{{mip4.Simultaneous, "S"}, {mip4.Broadcasts, "B"}, {mip4.CoLocated, "D"}, {mip4.Minimal, "M"}, {mip4.GRE, "G"}, {mip4.ReverseTunnel, "T"}}

// registration reads a message of Mobile IPv4 from a UDP datagram.
func registration(b []byte, src, dst netip.Addr) Message {
	f := map[string]any{}
	if _, err := udp.Parse(b, src, dst); err != nil {
		f["bad-checksum"] = true
	}
	data := b[udpLen:]
	m, err := mip4.Parse(data)
	if err != nil {
		name := "registration-malformed"
		if len(data) > 0 {
			if t := mip4.Type(data[0]); t == mip4.TypeRequest || t == mip4.TypeReply {
				name = t.String()
			}
		}
		f["malformed"] = err.Error()
		return Message{name, f}
	}
	var extensions []mip4.Extension
	switch m := m.(type) {
	case *mip4.RegistrationRequest:
		f["home-address"], f["home-agent"], f["care-of"] = m.Home.String(), m.HomeAgent.String(), m.CareOf.String()
		f["lifetime"], f["timestamp"] = m.Lifetime.Seconds(), ntp(m.Identification)
		var flags []string
		for _, flag := range registrationFlags {
			if m.Flags&flag.set != 0 {
				flags = append(flags, flag.name)
			}
		}
		if flags != nil {
			f["flags"] = list(flags)
		}
		extensions = m.Extensions
	case *mip4.RegistrationReply:
		f["home-address"], f["home-agent"] = m.Home.String(), m.HomeAgent.String()
		f["code"], f["name"] = float64(m.Code), m.Code.String()
		f["lifetime"], f["timestamp"] = m.Lifetime.Seconds(), ntp(m.Identification)
		extensions = m.Extensions
	}
	var auth, material []string
	for _, e := range extensions {
		switch e := e.(type) {
		case mip4.Identifier:
			f["nai"] = e.NAI
		case mip4.Authentication:
			auth = append(auth, e.Kind.String())
			f["spi"] = float64(e.SPI)
		case mip4.KeyGenerationRequest: // in the words of those options that were modelled on it
			material = append(material, mh.NonceRequest.String())
		case mip4.KeyGenerationReply:
			material = append(material, mh.Nonce.String())
			f["mn-ha-spi"] = float64(e.SPI)
		}
	}
	for name, words := range map[string][]string{"auth": auth, "key-material": material} {
		if words != nil {
			f[name] = list(words)
		}
	}
	return Message{m.Type().String(), f}
}
