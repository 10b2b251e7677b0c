package mn

import (
	"errors"
	"net/netip"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/session/ub"
	"s2clab/nodes/wire/mh"
)

// UbAnswered is what became of a request to the BSF.
type UbAnswered struct{ ub.Input }

func (UbAnswered) input() {}

// AskBSF sends a request to the BSF by a device. An UbAnswered follows.
type AskBSF struct {
	Dev     string
	Source  netip.Addr
	Server  netip.AddrPort
	Request ub.Send
}

func (AskBSF) output() {}

// A bootstrapper runs Ub, where the method of bootstrapping is made of it. The zero
// value does not.
type bootstrapper struct {
	client *ub.Client // nil: there is no BSF
	server netip.AddrPort
	source netip.Addr // that the present run is from
}

func (m *Machine) newBootstrapper(cfg *control.MobileNode) (err error) {
	if s := &m.security; s.method != nil {
		_, asksCard := s.method.(bootstrap.Challenged)
		switch {
		case asksCard && m.subscriber == nil:
			return errors.New("the bootstrapping needs a USIM")
		case s.method.Lacks(&s.held, time.Time{}) == bootstrap.GBAKeys && cfg.BSF == nil:
			return errors.New("the bootstrapping needs a BSF")
		}
	}
	if cfg.BSF == nil {
		return nil
	}
	if m.subscriber == nil {
		return errors.New("a BSF without a USIM")
	}
	m.bootstrapper.server = cfg.BSF.Address
	m.bootstrapper.client, err = ub.NewClient(ub.ClientOptions{IMPI: cfg.NAI, BSF: cfg.BSF.Host, Card: m.subscriber, Random: m.subscriber.random})
	return err
}

// lacking says whether a Binding Update has to wait until there are keys to prove it
// with, and sees to it that there will be.
func (m *Machine) lacking(now time.Time) bool {
	s, r := &m.security, &m.registration
	if !s.bootstraps(r.attempt + 1) {
		return false
	}
	need := s.method.Lacks(&s.held, now)
	switch {
	case need == bootstrap.Nothing:
		return false
	case s.association != nil && !s.ending: // it was only to try whether the home agent has forgotten us
		return false
	case need == bootstrap.AccessKeys:
		m.event("bootstrap-failed", map[string]any{"reason": "no access has authenticated this node"})
		r.retryAt = now.Add(maxAckTimeout)
		return true
	case m.here.home: // and the home agent still defends the only address
		m.event("bootstrap-failed", map[string]any{"reason": "there is no address of its own to bootstrap from"})
		r.retryAt = now.Add(maxAckTimeout)
		return true
	}
	m.bootstrap(now)
	return true
}

// bootstrap runs Ub from where this node is.
func (m *Machine) bootstrap(now time.Time) {
	b := &m.bootstrapper
	m.registration.retryAt = time.Time{}
	if b.client.Running() && b.source == m.careOf {
		return
	}
	b.client.Stop()
	b.source = m.careOf
	m.event("bootstrap-started", map[string]any{"link": m.here.link, "care-of": m.careOf.String()})
	m.bootstrapping(now, b.client.Start(now))
}

// bootstrapNoMore ends a run of Ub, for there is no place to run it from.
func (m *Machine) bootstrapNoMore() {
	if m.bootstrapper.client != nil {
		m.bootstrapper.client.Stop()
	}
}

// bootstrapping does what the run says.
func (m *Machine) bootstrapping(now time.Time, out []ub.Output) {
	b := &m.bootstrapper
	for _, o := range out {
		switch o := o.(type) {
		case ub.Send:
			if m.here != nil {
				m.do(AskBSF{Dev: m.here.dev, Source: b.source, Server: b.server, Request: o})
			}
		case ub.Postponed:
			m.event("bootstrap-postponed", map[string]any{"reason": o.Reason, "retry": o.Until.Sub(now).Seconds()})
		case ub.Ignored:
			m.ignore(now, o.Reason, nil)
		case ub.Refused:
			m.event("bootstrap-failed", map[string]any{"reason": o.Reason})
			m.registration.retryAt = now.Add(maxAckTimeout)
		case ub.Bootstrapped:
			m.bootstrapped(now, &o)
		}
	}
}

func (m *Machine) bootstrapped(now time.Time, o *ub.Bootstrapped) {
	s := &m.security
	s.held.GBA = &o.GBA
	m.tellCard()
	for _, k := range o.Made {
		s.keyMade(m, k)
	}
	m.event("bootstrapped", map[string]any{"b-tid": o.GBA.BTID, "lifetime": o.GBA.Ends.Sub(now).Seconds()})
	if m.here != nil && !m.here.home && (m.absence == present || m.registration.mayBeHeld(now)) {
		m.transmit(now)
	}
}

func (m *Machine) tickBootstrapper(now time.Time) {
	if b := &m.bootstrapper; b.client != nil && due(b.client.Deadline(), now) {
		m.bootstrapping(now, b.client.Tick(now))
	}
}

func (b *bootstrapper) deadline() time.Time {
	if b.client == nil {
		return time.Time{}
	}
	return b.client.Deadline()
}

// challenged takes what a refusal says of keys, where the method goes on with it. It
// says whether the Binding Update was sent again.
func (m *Machine) challenged(now time.Time, u *update, ba *mh.BindingAcknowledgement) bool {
	s := &m.security
	c, may := s.method.(bootstrap.Challenged)
	if !may || !u.proof.bootstraps || ba.Status.Accepts() {
		return false
	}
	material, has := mh.Find[mh.KeyMaterial](ba.Options)
	if !has {
		return false
	}
	again, err := c.Challenge(&s.held, material)
	if err != nil { // anybody may have sent it: the network's own may still come
		if !u.refused {
			m.event("challenge-refused", map[string]any{"reason": err.Error()})
		}
		u.refused = true
		return true
	}
	if again {
		m.tellCard()
		m.registration.waiting, m.registration.earlier = nil, nil
		m.correct(now)
	}
	return again
}

// startOver forgets what the home agent does not know any more, so that the next
// Binding Update is proven by something new; false: there is nothing to forget.
func (s *security) startOver() bool {
	forgot := s.held.GBA != nil
	s.held.GBA = nil
	if c, may := s.method.(bootstrap.Challenged); may {
		c.Forget(&s.held)
		return true
	}
	return forgot
}

// tellCard tells of the keys that the card has made last.
func (m *Machine) tellCard() {
	c := m.subscriber
	for _, d := range keys.FromCard(c.k, c.last.CK[:], c.last.IK[:]) {
		m.security.keyMade(m, d)
	}
}
