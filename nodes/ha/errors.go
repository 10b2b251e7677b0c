package ha

import (
	"net/netip"
	"time"

	"s2clab/nodes/wire/icmp6"
	"s2clab/nodes/wire/ipv6"
	"s2clab/nodes/wire/mh"
)

// Errors are answers to packets that nobody has vouched for: RFC 6275, section
// 9.3.3, wants them limited as RFC 4443, section 2.4 (f), limits ICMPv6.
var (
	errorRate       = rate{perSecond: 100, burst: 100}
	errorRateSource = rate{perSecond: 1, burst: 2}
)

// errorLimits limits Binding Errors, Parameter Problems and acknowledgements
// that cannot be signed.
type errorLimits struct {
	all     bucket
	sources *limiter[netip.Addr]
}

func newErrorLimits() errorLimits {
	return errorLimits{sources: newLimiter[netip.Addr](limitedKeys, errorRateSource)}
}

// mayTell says whether another error may go to an address.
func (l *errorLimits) mayTell(now time.Time, to netip.Addr) bool {
	return (unicastRoutable(to) || unicast4(to)) && l.sources.take(now, to) && l.all.take(now, errorRate)
}

// bindingError sends a Binding Error straight to where a packet came from: RFC
// 6275, section 9.3.3. By IPv4 that is in UDP, and the error is for the home
// address.
func (m *Machine) bindingError(now time.Time, to netip.Addr, status mh.BindingErrorStatus, home netip.Addr) {
	source := to
	if m.from.IsValid() {
		source = m.from.Addr()
	}
	if !m.errors.mayTell(now, source) {
		return
	}
	header, err := mh.Append(m.answer.header[:0], &mh.BindingError{Status: status, HomeAddress: home}, m.address, to)
	if err != nil {
		return
	}
	m.answer.header = header
	m.sendTo(&ipv6.Packet{Src: m.address, Dst: to, HopLimit: hopLimit, Next: ipv6.Mobility, Payload: header}, m.from)
	if m.tells(now, errorSent) {
		m.tell(errorSent, map[string]any{
			"status": int(status), "name": status.String(), "source": text(source), "home-address": text(home),
		})
	}
}

// parameterProblem sends an ICMPv6 Parameter Problem about the packet, straight
// to where it came from: RFC 6275, section 9.2, and RFC 4443, section 3.4.
func (m *Machine) parameterProblem(now time.Time, octets []byte, to netip.Addr, code uint8, pointer int) {
	if m.from.IsValid() || !m.errors.mayTell(now, to) { // what came in UDP has no way back for it
		return
	}
	problem := &icmp6.ParameterProblem{Code: code, Pointer: uint32(pointer), Invoking: octets[:min(len(octets), icmp6.MaxInvoking)]}
	header, err := icmp6.Append(m.answer.header[:0], problem, m.address, to)
	if err != nil {
		return
	}
	m.answer.header = header
	m.send(&ipv6.Packet{Src: m.address, Dst: to, HopLimit: hopLimit, Next: ipv6.ICMPv6, Payload: header})
}
