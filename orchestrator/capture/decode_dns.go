package capture

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"s2clab/nodes/wire/udp"
)

const portDNS = 53

// isDNS says whether a UDP header is of the DNS.
func isDNS(b []byte) bool {
	return len(b) >= udpLen && (binary.BigEndian.Uint16(b) == portDNS || binary.BigEndian.Uint16(b[2:]) == portDNS)
}

// names reads a message of the DNS from a UDP datagram.
func names(b []byte, src, dst netip.Addr) Message {
	f := map[string]any{}
	if _, err := udp.Parse(b, src, dst); err != nil {
		f["bad-checksum"] = true
	}
	b = b[udpLen:]
	name := "dns-query"
	if len(b) > 2 && b[2]&0x80 != 0 {
		name = "dns-response"
	}
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		f["malformed"] = err.Error()
		return Message{name, f}
	}
	if len(m.Question) > 0 {
		f["query"], f["record"] = strings.TrimSuffix(m.Question[0].Name, "."), dns.Type(m.Question[0].Qtype).String()
	}
	if m.Response {
		f["name"], f["answers"] = strings.ToLower(dns.RcodeToString[m.Rcode]), float64(len(m.Answer))
	}
	return Message{name, f}
}
