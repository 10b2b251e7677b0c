package diameter

// A DeviceWatchdogRequest asks a peer for a sign of life: RFC 6733, section 5.5.1.
type DeviceWatchdogRequest struct{ Identity }

// AppendTo appends the whole message; of h, the identifiers are taken.
func (r *DeviceWatchdogRequest) AppendTo(b []byte, h Header) ([]byte, error) {
	h.Flags, h.Command, h.Application = Request, DeviceWatchdog, Base
	start := len(b)
	return finish(r.appendState(r.Identity.append(h.append(b))), start)
}

// ParseDeviceWatchdogRequest checks and reads m. Errors are *Failure.
func ParseDeviceWatchdogRequest(m *Message) (*DeviceWatchdogRequest, error) {
	if err := checkAs(m, DeviceWatchdog, Request); err != nil {
		return nil, err
	}
	return &DeviceWatchdogRequest{parseIdentity(m.AVPs)}, nil
}

// A DeviceWatchdogAnswer is that sign: RFC 6733, section 5.5.2.
type DeviceWatchdogAnswer struct {
	Outcome
	Identity
}

// AppendTo appends the whole message; h is the request's header.
func (a *DeviceWatchdogAnswer) AppendTo(b []byte, h Header) ([]byte, error) {
	start := len(b)
	b = a.Outcome.append(h.answer(DeviceWatchdog, Base, a.Result).append(b))
	return finish(a.appendState(a.appendRest(a.Identity.append(b))), start)
}

// ParseDeviceWatchdogAnswer checks and reads m. Errors are *Failure.
func ParseDeviceWatchdogAnswer(m *Message) (*DeviceWatchdogAnswer, error) {
	if err := checkAs(m, DeviceWatchdog, 0); err != nil {
		return nil, err
	}
	return &DeviceWatchdogAnswer{parseOutcome(m.AVPs), parseIdentity(m.AVPs)}, nil
}
