package mn

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"s2clab/nodes/wire/mh"
)

// A reaction is what becomes of a Binding Update that is answered with a status.
type reaction int

const (
	binds    reaction = iota // done
	corrects                 // put right and sent again at once
	waits                    // sent again in the time of retransmissions
	givesUp                  // not sent again before the next attachment
	never                    // not sent again at all
)

func (r reaction) String() string {
	return [...]string{"binds", "corrects", "waits", "gives up", "never again"}[r]
}

// reactions are those to every status that has a name: RFC 6275, sections 6.1.8 and
// 11.7.3; RFC 4285, sections 5.3 and 6; RFC 5149; RFC 5648. away: to a registration;
// home: to a de-registration.
var reactions = []struct {
	status     mh.Status
	away, home reaction
	why        string
}{
	{mh.Accepted, binds, binds, ""},
	{mh.AcceptedPrefixDiscovery, binds, binds, "home prefixes do not change here"},
	{mh.MCoANotComplete, binds, binds, "some binding is there"},
	{mh.MCoAReturnHomeNoNDP, binds, binds, ""},
	{mh.Unspecified, waits, waits, "it may pass"},
	{mh.Prohibited, givesUp, givesUp, ""},
	{mh.InsufficientResources, waits, waits, "it may pass"},
	{mh.HomeRegUnsupported, givesUp, givesUp, "that is no home agent"},
	{mh.NotHomeSubnet, givesUp, givesUp, "that one is not ours"},
	{mh.NotHomeAgent, givesUp, binds, "at home that is what is wanted: there is no binding"},
	{mh.DADFailed, never, givesUp, "RFC 6275, section 11.7.1; nobody looks for duplicates at a de-registration"},
	{mh.SequenceOutOfWindow, corrects, corrects, "the answer tells the number to go on from"},
	{mh.ExpiredHomeNonce, givesUp, givesUp, "there are no nonces in a home registration"},
	{mh.ExpiredCareOfNonce, givesUp, givesUp, "the same"},
	{mh.ExpiredNonces, givesUp, givesUp, "the same"},
	{mh.RegTypeChange, givesUp, givesUp, "it was a home registration"},
	{mh.MobileRouterNotPermitted, givesUp, givesUp, "this is no mobile router"},
	{mh.InvalidPrefix, givesUp, givesUp, "the same"},
	{mh.NotAuthorizedForPrefix, givesUp, givesUp, "the same"},
	{mh.ForwardingSetupFailed, givesUp, givesUp, "the same"},
	{mh.IDMismatch, corrects, corrects, "the answer tells the time"},
	{mh.MessageIDRequired, givesUp, givesUp, "there was a timestamp"},
	{mh.AuthFail, givesUp, givesUp, "RFC 4285, section 5.3, with a key that nobody can give anew"},
	{mh.ServiceAuthorizationFails, givesUp, givesUp, "another would have to be selected"},
	{mh.MCoAMalformed, givesUp, givesUp, ""},
	{mh.MCoANonMCoABindingExists, givesUp, givesUp, ""},
	{mh.MCoAProhibited, givesUp, givesUp, ""},
	{mh.MCoAUnknownCareOf, givesUp, givesUp, ""},
	{mh.MCoABulkProhibited, givesUp, givesUp, ""},
	{mh.MCoAHomeForeignProhibited, givesUp, givesUp, ""},
	{mh.InvalidCareOf, givesUp, givesUp, ""},
}

// reactionTo is that of the table; where a status has no name, that of all like it.
func reactionTo(status mh.Status) (away, home reaction) {
	for _, r := range reactions {
		if r.status == status {
			return r.away, r.home
		}
	}
	if status.Accepts() {
		return binds, binds
	}
	return givesUp, givesUp
}

// refuse answers the last Binding Update with a status, as a home agent does that
// knows how to put it right.
func (s *story) refuse(status mh.Status) {
	s.t.Helper()
	u := s.last()
	s.answer(status, func(a *answer) {
		switch status {
		case mh.SequenceOutOfWindow:
			a.ba.Seq = u.Seq + 100
		case mh.IDMismatch:
			a.ba.Options[1] = mh.ReplayProtection{Timestamp: timestampOf(u) + 100<<32}
		}
	})
}

func TestEachStatusThatHasANameHasAReaction(t *testing.T) {
	for n := range 256 {
		status := mh.Status(n)
		named := !strings.HasPrefix(status.String(), "status-")
		listed := false
		for _, r := range reactions {
			listed = listed || r.status == status
		}
		if named != listed {
			t.Errorf("%d, %v: has a name: %v, is in the table: %v", n, status, named, listed)
		}
	}
}

// Every status that fits an acknowledgement, to a first registration, to a refresh
// and to a registration elsewhere.
func TestWhatTheMobileDoesOnEachStatusAway(t *testing.T) {
	for n := range 256 {
		status := mh.Status(n)
		want, _ := reactionTo(status)
		for name, begins := range map[string]func(s *story){
			"first": func(s *story) { s.visit("wlan", wlanPrefix) },
			"refresh": func(s *story) {
				s.visit("wlan", wlanPrefix)
				s.answer(0)
				s.until(45 * time.Second)
			},
			"move": func(s *story) {
				s.visit("wlan", wlanPrefix)
				s.answer(0)
				s.until(2 * time.Second)
				s.visit("wimax", wimaxPrefix)
			},
		} {
			t.Run(fmt.Sprintf("%d, %v, %s", n, status, name), func(t *testing.T) {
				s := begin(t, config())
				begins(s)
				sent, at := len(s.sent), s.now
				s.refuse(status)
				switch refused := s.count("binding-refused"); {
				case want == binds && refused != 0, want != binds && refused != 1:
					t.Errorf("told %d refusals", refused)
				}
				switch want {
				case binds:
					if !s.m.registration.bound || s.m.tunnel.Local != s.m.careOf || s.m.registration.waiting != nil {
						t.Error("not bound")
					}
					return
				case corrects:
					if len(s.sent) != sent+1 || s.last().at != at.Sub(start) {
						t.Errorf("sent at %v, want once more at once", sentAt(s))
					}
				case waits:
					gap := time.Second
					if name == "first" {
						gap = 1500 * time.Millisecond
					}
					s.until(at.Add(3 * gap).Sub(start))
					if got := sentAt(s)[sent:]; !slices.Equal(got, []time.Duration{at.Add(gap).Sub(start), at.Add(3 * gap).Sub(start)}) {
						t.Errorf("sent at %v after %v", got, at.Sub(start))
					}
				case givesUp, never:
					s.until(at.Add(10 * time.Minute).Sub(start))
					if len(s.sent) != sent {
						t.Errorf("sent at %v", sentAt(s))
					}
				}
				if want == never && s.m.tunnel.Local.IsValid() {
					t.Error("goes on with the tunnel")
				}
				s.carrier("wlan", false)
				s.carrier("wimax", false)
				before := len(s.sent)
				s.visit("wlan", wlanPrefix)
				s.until(s.now.Add(2 * time.Second).Sub(start))
				if again := len(s.sent) > before; again != (want != never) {
					t.Errorf("at the next attachment it tries: %v", again)
				}
			})
		}
	}
}

// The same at home, to a de-registration. Whatever is said, the binding ends, and
// then the mobile is home.
func TestWhatTheMobileDoesOnEachStatusAtHome(t *testing.T) {
	for n := range 256 {
		status := mh.Status(n)
		_, want := reactionTo(status)
		t.Run(fmt.Sprintf("%d, %v", n, status), func(t *testing.T) {
			s := begin(t, config())
			s.visit("wlan", wlanPrefix)
			s.answer(0)
			s.until(2 * time.Second)
			s.visit("lte", homePrefix)
			sent, at := len(s.sent), s.now
			s.refuse(status)
			home := s.count("returned-home") == 1
			if home != (want == binds) {
				t.Errorf("home: %v", home)
			}
			switch want {
			case corrects:
				if len(s.sent) != sent+1 || s.last().Lifetime != 0 {
					t.Errorf("sent at %v, want once more at once", sentAt(s))
				}
			case waits:
				s.until(at.Add(time.Second).Sub(start))
				if len(s.sent) != sent+1 {
					t.Errorf("sent at %v", sentAt(s))
				}
			case binds, givesUp:
				s.until(at.Add(30 * time.Second).Sub(start))
				if len(s.sent) != sent {
					t.Errorf("sent at %v", sentAt(s))
				}
			}
			if _, ok := find[LeaveHome](s.out); ok {
				t.Error("left home")
			}
			s.until(2 * time.Minute)
			if s.count("returned-home") != 1 || s.m.tunnel.Local.IsValid() {
				t.Error("not home when the binding must have ended")
			}
		})
	}
}

// The instants at which a Binding Update leaves that nobody answers: RFC 6275,
// sections 11.8, 12 and 13.
func TestTheRetransmissionTables(t *testing.T) {
	for name, c := range map[string]struct {
		begins func(s *story)
		until  time.Duration
		want   []time.Duration
	}{
		"first registration": {func(s *story) { s.visit("wlan", wlanPrefix) }, 150 * time.Second,
			seconds(0, 1.5, 4.5, 10.5, 22.5, 46.5, 78.5, 110.5, 142.5)},
		"another care-of address": {func(s *story) {
			s.visit("wlan", wlanPrefix)
			s.answer(0)
			s.visit("wimax", wimaxPrefix)
		}, 100 * time.Second, seconds(0, 1, 3, 7, 15, 31, 63, 95)},
		"refresh": {func(s *story) {
			s.visit("wlan", wlanPrefix)
			s.answer(0)
			s.until(45 * time.Second)
		}, 100 * time.Second, seconds(0, 1, 3, 7, 15, 31, 63, 95)},
		"de-registration": {func(s *story) {
			s.visit("wlan", wlanPrefix)
			s.answer(0)
			s.visit("lte", homePrefix)
		}, 100 * time.Second, seconds(0, 1, 3, 7, 15, 31)}, // the binding has ended after 60 s
		"after an answer without the home agent's word": {func(s *story) {
			s.visit("wlan", wlanPrefix)
			s.answer(mh.InsufficientResources, func(a *answer) { a.key = nil })
		}, 30 * time.Second, seconds(0, 1.5, 4.5, 10.5, 22.5)},
		"a first registration elsewhere, begun anew": {func(s *story) {
			s.visit("wlan", wlanPrefix)
			s.until(20 * time.Second)
			s.visit("wimax", wimaxPrefix)
		}, 30 * time.Second, seconds(0, 1.5, 4.5, 10.5, 22.5)},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, config())
			c.begins(s)
			first := s.last().at
			before := len(s.sent) - 1
			s.until(first + c.until)
			var got []time.Duration
			for _, at := range sentAt(s)[before:] {
				got = append(got, at-first)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("sent at %v, want %v", got, c.want)
			}
			for i, u := range s.sent[before:] {
				if i > 0 && u.Seq != s.sent[before+i-1].Seq+1 {
					t.Errorf("number %d after %d", u.Seq, s.sent[before+i-1].Seq)
				}
			}
		})
	}
}
