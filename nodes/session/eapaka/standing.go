package eapaka

// A Standing is what a Peer thinks of how its authentication will end.
type Standing uint8

const (
	Doubtful  Standing = iota // the server has not proved itself, or has more to say
	Satisfied                 // it has: EAP-Success is believed, and EAP-Failure
	Confirmed                 // it has, and has said that EAP-Success comes: RFC 4187, section 6.2
)

// Standing says what the Peer thinks.
func (p *Peer) Standing() Standing {
	switch {
	case p.stage == confirmed:
		return Confirmed
	case p.stage == satisfied && !p.result:
		return Satisfied
	}
	return Doubtful
}
