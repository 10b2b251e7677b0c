package eapaka

import (
	"fmt"

	"s2clab/nodes/wire/eap"
)

// fail ends an authentication before its round has gone well: RFC 4187, section
// 6.3.2.
func (s *Server) fail(reason string) { s.notify(eap.GeneralFailure, reason) }

// notify tells the peer of a failure by AKA-Notification. EAP-Failure follows when
// it has answered.
func (s *Server) notify(code uint16, reason string) {
	s.state, s.reason = failing, reason
	s.notification(code)
}

// notification sends AKA-Notification: RFC 4187, section 9.10.
func (s *Server) notification(code uint16) {
	m := s.message(eap.Notification, eap.Number(eap.ATNOTIFICATION, code))
	if code&eap.NotificationBefore != 0 {
		s.send(plain(m), false)
		return
	}
	var hidden []eap.Attribute
	if s.fast {
		hidden = []eap.Attribute{eap.Number(eap.ATCOUNTER, s.counter)}
	}
	s.send(s.context.seal(s.policy.Rand, m, hidden, nil), false)
}

// conclude ends an authentication well.
func (s *Server) conclude() {
	if s.result {
		s.state = confirming
		s.notification(eap.Successful)
		return
	}
	s.finish(true)
}

// finish sends EAP-Success or EAP-Failure.
func (s *Server) finish(well bool) {
	s.state = ended
	p := eap.Packet{Code: eap.Failure, Identifier: s.identifier}
	if well {
		p.Code = eap.Success
	}
	packet, err := p.AppendTo(nil)
	if err != nil {
		panic(fmt.Sprintf("eapaka: %v", err))
	}
	s.send(packet, true)
	if !well {
		s.out = append(s.out, Failed{s.reason})
		return
	}
	if s.policy.Aliases != nil {
		s.keep()
	}
	done := Succeeded{IMSI: s.imsi, Identity: s.identity, Method: s.method, Fast: s.fast, Network: s.context.Network, Keys: *s.keys}
	if s.fast {
		done.Counter = s.counter
	} else {
		done.RAND = s.vector.RAND
	}
	s.out = append(s.out, done)
}
