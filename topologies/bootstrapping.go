package topologies

import (
	"slices"
	"time"

	"s2clab/topologies/strict"
)

// A BSF is what role bsf adds to a Node: TS 33.220.
type BSF struct {
	Host, Realm string // Diameter identity; mobile nodes know it by that name too
	Port        uint16 // TCP, for Diameter: 3868
	Watchdog    time.Duration
	KeyLifetime time.Duration // of a bootstrapping
	HSS         []string      // nodes, the preferred one first
	HSSTimeout  time.Duration // for one request to one of them
}

// method is what a topology says of bootstrapping, in one word.
func (s Security) method() string {
	switch {
	case s.Integrity != "auth-options":
		return "none"
	case s.Profile == "3gpp2" || s.Profile == "wimax" || s.registers():
		return s.Profile
	case s.Bootstrap == "mip-options":
		return "mip-options/" + s.KeySource
	}
	return s.Bootstrap
}

// needsAccessKeys says whether the MN-HA key comes of the keys of access
// authentication.
func (s Security) needsAccessKeys() bool {
	return slices.Contains([]string{"mip-options/emsk", "partial-gba", "wimax"}, s.method())
}

// needsBSF says whether it comes of a run of Ub.
func (s Security) needsBSF() bool {
	return slices.Contains([]string{"mip-options/gba", "gba-rfc3957", "gba"}, s.method())
}

// needsHSS says whether it comes of the keys of a card.
func (s Security) needsHSS() bool {
	return s.needsAccessKeys() || s.needsBSF() || s.method() == "mip-options/aka"
}

// asksAAA says whether a home agent asks an AAA server for it.
func (s Security) asksAAA() bool {
	return !slices.Contains([]string{"none", "static", "gba"}, s.method())
}

// bootstrapping reads what a topology says of it, and sees that it can be.
func (r *resolver) bootstrapping(line int, v *strict.Value) {
	s := &r.t.Security
	s.KeySource = ""
	given, source := v.Get("bootstrap"), v.Get("key-source")
	switch {
	case s.Profile == "3gpp2" || s.Profile == "wimax" || s.registers():
		if given.Good() || source.Good() {
			r.choose(line, "security.bootstrap", "of no use", "the profile "+s.Profile+" says itself how keys are bootstrapped")
		}
		s.Bootstrap = "mip-options"
		if replay := v.Get("replay"); s.method() == "3gpp2" && s.Replay != "timestamp" {
			r.complain(replay, "write replay: timestamp, or leave it out", "with 3gpp2 the session key is made of the timestamp of a Binding Update, and there is none")
		} else if s.registers() && s.Replay != "timestamp" {
			r.complain(replay, "write replay: timestamp, or leave it out", "with mipv4 registrations have timestamps (RFC 5944, section 5.7.1), and there is no other protection here")
		}
	case s.Bootstrap == "mip-options":
		s.KeySource = choice(r, line, v, "security", "key-source", "static")
	case source.Good(): // so that another method is one other word
		r.choose(line, "security.key-source", "of no use", "it is for mip-options, and this is "+s.Bootstrap)
	}
}

// bootstrappers says which BSF each node asks, and sees that there is who is needed.
func (r *resolver) bootstrappers() {
	s := r.t.Security
	any := func(role string) *draft {
		for _, d := range r.order {
			if d.node.Role == role {
				return d
			}
		}
		return nil
	}
	at := r.secured
	if s.needsHSS() && any("hss") == nil {
		r.complain(at, "add nodes: {hss: {role: hss}}", "with %s the keys come from a home subscriber server, and no node has the role hss", s.method())
	}
	if s.needsAccessKeys() && any("hss") != nil {
		for _, d := range r.order {
			if d.node.MobileNode != nil && d.index == 0 && !r.isAuthenticated(d) {
				r.complain(d.value, "write access-auth: eap-aka-prime for a link of it, or leave access-auth out there", "with %s the keys of %s come from access authentication, and no link of it has any", s.method(), r.written(d))
			}
		}
	}
	if !s.needsBSF() {
		return
	}
	if any("bsf") == nil {
		r.complain(at, "add nodes: {bsf: {role: bsf}}", "with %s the keys come from a bootstrapping server function, and no node has the role bsf", s.method())
		return
	}
	for _, d := range r.order {
		n := d.node
		switch {
		case n.MobileNode != nil:
			n.MobileNode.BSF = r.bsfOf(d)
		case n.HomeAgent != nil && s.method() == "gba":
			n.HomeAgent.BSF = r.bsfOf(d)
		case n.AAA != nil && s.method() != "gba":
			n.AAA.BSF = r.bsfOf(d)
		}
	}
}

// isAuthenticated says whether one of a node's links authenticates mobile nodes.
func (r *resolver) isAuthenticated(d *draft) bool {
	return slices.ContainsFunc(d.node.Interfaces, func(in Interface) bool { return r.link(in.Link).link.Auth != "none" })
}

// bsfOf is the BSF that a node asks; empty: that has been told.
func (r *resolver) bsfOf(d *draft) string {
	if given := d.value.Get("bsf"); given != nil {
		if bsf := r.one(given, "bsf", "BSF"); bsf != nil {
			return bsf.node.Name
		}
		return ""
	}
	all := r.names("bsf")
	if len(all) > 1 && d.index == 0 {
		r.complain(d.value, "add bsf: "+all[0]+"; nodes with role bsf: "+list(all), "%s does not say which of %d bootstrapping server functions it asks", r.written(d), len(all))
	}
	return all[0]
}
