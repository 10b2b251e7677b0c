package mn

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/keys"
	"s2clab/nodes/session/association"
	"s2clab/nodes/session/bootstrap"
	"s2clab/nodes/wire/mh"
)

// security is how this node proves its Binding Updates and believes the
// acknowledgements: RFC 4285.
type security struct {
	cfg        *control.MobileNode
	integrity  bool             // authentication options are in use
	timestamps bool             // so is the replay protection option
	method     bootstrap.Mobile // how the MN-HA key comes to be; nil: it is known beforehand, or there is none
	held       bootstrap.Held
	told       keys.Told

	association *association.Association // with the home agent; nil: none yet
	identifier  string                   // that the home agent knows that by: a NAI
	granted     time.Duration            // the longest binding under it
	renewing    bool                     // an access authenticates this node again, for the keys of before are not known any more
	ending      bool                     // the home agent no longer has it, or will soon not

	offset   time.Duration // added to our clock in timestamps
	sent     uint64        // the last timestamp under that offset
	accepted uint64        // the last in a Binding Update that was accepted

	// Without timestamps: the sequence number of the last Binding Revocation
	// Indication under this association, if there was one.
	revoked    bool
	revokedSeq uint16
}

// A proofKind is what a Binding Update is proven by.
type proofKind int

const (
	proofNone proofKind = iota
	proofMNHA
	proofMNAAA
)

func (k proofKind) String() string { return [...]string{"none", "mn-ha", "mn-aaa"}[k] }

// A proof is what has to be kept of a Binding Update to believe its
// acknowledgement.
type proof struct {
	kind        proofKind
	bootstraps  bool                     // it is to make a new association
	by          bootstrap.Proof          // then
	association *association.Association // with MN-AAA: once an acknowledgement has told its SPI
	timestamp   uint64
	freshness   [8]byte      // what the session key is derived from, with MN-AAA
	derived     keys.Derived // the key of association, with MN-AAA
}

func newSecurity(cfg *control.MobileNode) (security, error) {
	s := security{cfg: cfg, identifier: cfg.NAI, held: bootstrap.Held{NAI: cfg.NAI, MNAAASPI: cfg.MNAAASPI, MNAAAKey: cfg.MNAAAKey, Realm: cfg.AAARealm}}
	switch cfg.Security.Integrity {
	case "none":
		return s, nil
	case "auth-options":
		s.integrity = true
	default:
		return s, fmt.Errorf("integrity %q: want none or auth-options", cfg.Security.Integrity)
	}
	switch cfg.Security.Replay {
	case "timestamp":
		s.timestamps = true
	case "sequence":
	default:
		return s, fmt.Errorf("replay %q: want timestamp or sequence", cfg.Security.Replay)
	}
	method, err := bootstrap.Of(cfg.Security.Profile, cfg.Security.Bootstrap, cfg.Security.KeySource)
	if err != nil {
		return s, err
	}
	if s.method = method.Mobile; s.method != nil {
		if s.method.Lacks(&s.held, time.Time{}) == bootstrap.Nothing && len(s.method.Prove(&s.held, s.agent()).Key.Value) == 0 {
			return s, fmt.Errorf("bootstrap %s: no MN-AAA key", method.Name)
		}
		return s, nil
	}
	if len(cfg.MNHAKey) == 0 {
		return s, errors.New("bootstrap static: no MN-HA key")
	}
	s.association = association.New(cfg.MNHASPI, cfg.MNHAKey)
	return s, nil
}

// agent is the present home agent.
func (s *security) agent() bootstrap.Agent {
	a := bootstrap.Agent{Address: s.cfg.HomeAgent}
	for _, known := range s.cfg.HomeAgents {
		if known.Address == a.Address {
			a.Host = known.Host
		}
	}
	return a
}

// bootstraps chooses whether the Binding Update of an attempt is to make a new
// association. A home agent that has lost our key is silent (RFC 4285, section
// 5.3), and so is a link that has lost a packet; so after two of one kind without
// an answer the kinds take turns.
func (s *security) bootstraps(attempt int) bool {
	return s.integrity && s.method != nil && (s.association == nil || s.ending || attempt > 2 && attempt%2 == 1)
}

// seal makes the Mobility Header of u, whose message bu is complete but for what
// identifies and proves: RFC 4283, RFC 4285.
func (s *security) seal(m *Machine, now time.Time, u *update, bu *mh.BindingUpdate) ([]byte, error) {
	home, agent := u.home, s.cfg.HomeAgent
	p := proof{bootstraps: s.bootstraps(m.registration.attempt)}
	identifier := s.identifier
	if p.bootstraps && s.method.Lacks(&s.held, now) != bootstrap.Nothing { // there is an association, or nothing would be sent
		p.bootstraps = false
	}
	if p.bootstraps {
		p.by = s.method.Prove(&s.held, s.agent())
		identifier = p.by.Identifier
	}
	if identifier != "" {
		bu.Options = append(bu.Options, mh.MNIdentifier{Subtype: mh.NAI, Identifier: identifier})
	}
	if s.timestamps && s.integrity {
		p.timestamp = s.timestamp(now, m.rand.Uint64())
		bu.Options = append(bu.Options, mh.ReplayProtection{Timestamp: p.timestamp})
	}
	if p.bootstraps && s.cfg.APN != "" {
		bu.Options = append(bu.Options, mh.ServiceSelection{APN: s.cfg.APN})
	}
	bu.Options = append(bu.Options, p.by.Options...)
	var b []byte
	var err error
	switch {
	case !s.integrity:
		b, err = mh.Append(nil, bu, home, agent)
	case p.bootstraps && p.by.Subtype == mh.MNAAA:
		var data [20]byte
		p.kind = proofMNAAA
		b, data, err = association.SealMNAAA(nil, bu, p.by.SPI, p.by.Key.Value, u.careOf, home, home, agent)
		p.freshness = association.Freshness(bu, data)
	default:
		p.kind, p.association = proofMNHA, s.association
		if s.method == nil {
			s.keyMade(m, keys.Provisioned(keys.NameMNHA, s.cfg.MNHAKey))
		}
		if p.bootstraps {
			p.association = association.New(p.by.SPI, p.by.Key.Value)
		}
		b, err = association.SealMNHA(nil, bu, p.association, u.careOf, home, home, agent)
	}
	u.proof = p
	return b, err
}

// timestamp is the time of a Binding Update, later than that of any before: RFC
// 4285, section 6. The bits that no clock fills are random.
func (s *security) timestamp(now time.Time, random uint64) uint64 {
	t := keys.NTP(now.Add(s.offset))&^3 | random&3
	if next := s.sent + 1; s.sent != 0 && int64(t-next) < 0 { // on the circle that NTP's seconds run on
		t = next
	}
	s.sent = t
	return t
}

// What is wrong with an acknowledgement that is not believed.
var (
	errTimestamp = errors.New("timestamp is not that of the binding update")
	errUnproven  = errors.New("binding acknowledgement is not authenticated")
)

// open says whether an acknowledgement of u is to be heard (a nil error), and
// whether the home agent is proven to have sent it. One that is heard though
// nothing is proven is a refusal by a home agent that may have no key to prove
// anything with.
func (s *security) open(u *update, ba *mh.BindingAcknowledgement, octets []byte, home netip.Addr) (proven bool, err error) {
	if !s.integrity {
		return true, nil
	}
	if s.timestamps && !timestampMatches(u, ba) && !u.refusesUDP(ba) {
		return false, errTimestamp
	}
	err = s.verify(u, ba, octets, home)
	switch {
	case err == nil:
		return true, nil
	case ba.Status == mh.AuthFail, u.proof.bootstraps && !ba.Status.Accepts() && ba.Status != mh.IDMismatch && ba.Status != mh.SequenceOutOfWindow:
		return false, nil
	}
	return false, fmt.Errorf("%w: %w", errUnproven, err)
}

// timestampMatches says whether an acknowledgement has the timestamp of u. A
// home agent that refuses it puts its own time in the upper half: RFC 4285,
// section 6.
func timestampMatches(u *update, ba *mh.BindingAcknowledgement) bool {
	r, ok := mh.Find[mh.ReplayProtection](ba.Options)
	if ba.Status == mh.IDMismatch {
		return ok && uint32(r.Timestamp) == uint32(u.proof.timestamp)
	}
	return ok && r.Timestamp == u.proof.timestamp
}

// verify checks the MN-HA option of an acknowledgement for a home address. After
// MN-AAA the key follows from what was sent, once the option tells the SPI.
func (s *security) verify(u *update, ba *mh.BindingAcknowledgement, octets []byte, home netip.Addr) error {
	if u.proof.kind == proofMNHA {
		return association.Verify(octets, u.proof.association, u.careOf, home)
	}
	spi, err := association.SPI(octets)
	if err != nil {
		return err
	}
	key, err := s.method.Conclude(&s.held, &u.proof.by, bootstrap.Acknowledgement{HomeAgent: s.agent(), SPI: spi, Options: ba.Options, Freshness: u.proof.freshness})
	if err != nil {
		return err
	}
	derived := association.New(spi, key.Value)
	if err := association.Verify(octets, derived, u.careOf, home); err != nil {
		return err
	}
	u.proof.association, u.proof.derived = derived, key
	return nil
}

// learn takes over the association that a proven acknowledgement of u was proven
// by, whatever else it said: the home agent has it.
func (s *security) learn(m *Machine, u *update) {
	if !u.proof.bootstraps {
		return
	}
	s.keyMade(m, u.proof.by.Key)
	if u.proof.kind == proofMNAAA {
		s.keyMade(m, u.proof.derived)
	}
	s.association, s.granted, s.ending = u.proof.association, 0, false
	s.identifier = u.proof.by.Identifier
	s.revoked = false
	if len(s.cfg.MNHAKey) > 0 { // a wrong key on purpose
		s.association = association.New(u.proof.association.SPI, s.cfg.MNHAKey)
		s.keyMade(m, keys.Derived{Name: keys.NameMNHA, How: "provisioned, in place of the one derived", Value: s.cfg.MNHAKey})
	}
}

// keyMade tells of a key that is used from now on, once.
func (s *security) keyMade(m *Machine, d keys.Derived) {
	if s.told.News(s.cfg.NAI, d) {
		m.event("key-made", d.Fields(s.cfg.NAI, s.told.Show))
	}
}

// bound notes that u was accepted, for so long.
func (s *security) bound(m *Machine, u *update, granted time.Duration) {
	s.accepted = u.proof.timestamp
	s.learn(m, u)
	switch {
	case u.lifetime == 0 || s.method == nil:
	case granted < min(s.granted, u.lifetime):
		// The home agent grants less and less: not the binding ends but the key,
		// whose lifetime only it and the AAA server know. The next one renews it,
		// with the bootstrapping that it is made of where that ends as well.
		s.ending = true
		if g := s.held.GBA; g != nil && g.Ends.Before(u.sent.Add(u.lifetime)) {
			s.held.GBA = nil
		}
	default:
		s.granted = max(s.granted, granted)
	}
}

// expired notes that the home agent has let the binding end unheard. A key that
// came for that binding is not relied on any more.
func (s *security) expired() {
	if s.method != nil {
		s.association = nil
	}
}

// resynchronise takes over the time of the home agent, which is in the upper
// half of the timestamp of status 144.
func (s *security) resynchronise(u *update, ba *mh.BindingAcknowledgement) (time.Duration, bool) {
	r, ok := mh.Find[mh.ReplayProtection](ba.Options)
	if !s.timestamps || !ok {
		return 0, false
	}
	seconds := int32(uint32(r.Timestamp>>32) - uint32(u.proof.timestamp>>32)) // NTP's seconds wrap round
	s.offset += time.Duration(seconds) * time.Second
	if seconds != 0 {
		s.sent = s.accepted
	}
	return s.offset, true
}
