package aaa

import (
	"net/netip"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/wire/diameter"
)

// mip4 takes an AA-Mobile-Node-Request that follows its definition: RFC 4004, sections
// 3.3 and 5.1. What is decided, and how, is the same as of a MIP6-Request.
func (m *Machine) mip4(now time.Time, q *query) {
	r, err := diameter.ParseAAMobileNodeRequest(q.Message)
	if err != nil {
		m.fail(now, q, err.(*diameter.Failure))
		return
	}
	if !m.authority.registers {
		m.fail(now, q, &diameter.Failure{Result: diameter.UnableToComply, What: "registrations are not decided on here"})
		return
	}
	answer := &diameter.AAMobileNodeAnswer{Session: r.Session, Outcome: diameter.Outcome{Result: diameter.Success}, Identity: m.identity, User: r.User,
		State: diameter.NoStateMaintained, ProxyInfo: r.ProxyInfo}
	home := r.Home
	if !home.IsValid() {
		home = netip.IPv4Unspecified()
	}
	// The authenticator, which is fresh with each Request, stands for octets that no
	// other has. The home agent and the mobile node agree on timestamps: RFC 5944,
	// section 5.7.1.
	digest := keys.MobilityData(r.Registration)
	m.find(now, &update{question: question{
		application: diameter.MIP4, session: r.Session, from: r.Identity, user: r.User, home: home, homeAgent: r.HomeAgent, noState: r.NoState, keyless: !r.KeyRequested,
		stamp: digest[:8], digest: digest[:],
		proven: func(key []byte) bool { // RFC 4721, section 6
			return keys.Equal(r.Authenticator(), keys.HMACMD5.Sum(key, r.Covered()))
		},
	}, verdict: onRegistration{answer}, reply: func(now time.Time) bool { return m.reply(now, q, answer, answer.Result) }, nai: r.User}, r.SPI)
}

// onRegistration is the verdict on a Registration Request: RFC 4004, section 5.2.
type onRegistration struct{ *diameter.AAMobileNodeAnswer }

func (v onRegistration) refused(o diameter.Outcome) { v.Outcome = o }

// challenged never is: RFC 4004 has one round.
func (v onRegistration) challenged(*diameter.Challenge) {
	v.Outcome = diameter.Outcome{Result: diameter.UnableToComply, Text: "there are no challenges in registrations"}
}

func (v onRegistration) granted(g grant) {
	v.Outcome = diameter.Outcome{Result: g.result}
	v.User, v.Home, v.HomeAgent, v.State, v.MSA = g.user, g.home, g.homeAgent, g.state, g.msa
}

// elsewhere: RFC 4004, section 6.1. A mobile node that registers by itself cannot be
// given another home agent.
func (v onRegistration) elsewhere() diameter.ResultCode { return diameter.HomeAgentNotAvailable }
