package topologies

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"s2clab/topologies/strict"
)

// An HSS is what role hss adds to a Node.
type HSS struct {
	Host, Realm   string // Diameter identity
	Port          uint16 // TCP: 3868
	Watchdog      time.Duration
	Subscriptions []Subscription
}

// A Subscription is what an HSS knows of a subscriber.
type Subscription struct {
	NAI    string
	IMSI   string
	K      []byte // 16 octets
	OPc    []byte // 16 octets; empty: made of OP
	OP     []byte // 16 octets; empty: OPc says it
	AMF    uint16
	SQN    uint64 // used last; 48 bits
	Barred bool   // on every non-3GPP access
	APNs   []APN  // the default one first
}

// An APN is an access point name that a subscriber may use.
type APN struct {
	Name   string
	Barred bool
}

// A USIM is the card in a mobile node.
type USIM struct {
	IMSI string
	K    []byte // 16 octets
	OPc  []byte // 16 octets; empty: made of OP
	OP   []byte
	SQN  uint64 // the highest that it has accepted; 48 bits
}

const defaultAMF = 0x8000 // the separation bit: TS 33.102, annex H

// homeServers completes the home subscriber servers and the routers that
// authenticate, and says which server asks which.
func (r *resolver) homeServers() {
	for _, d := range r.order {
		n, path := d.node, "nodes."+d.node.Name
		switch {
		case n.Role == "hss":
			n.HSS = &HSS{Port: uint16(choice(r, n.Line, d.value, path, "port", int64(diameterPort)))}
			n.HSS.Watchdog = choice(r, n.Line, d.value, path, "watchdog", defaultWatchdog)
			n.HSS.Realm, n.HSS.Host = r.identity(d)
		case n.Role == "bsf":
			n.BSF = &BSF{
				Port:        uint16(choice(r, n.Line, d.value, path, "port", int64(diameterPort))),
				Watchdog:    choice(r, n.Line, d.value, path, "watchdog", defaultWatchdog),
				KeyLifetime: choice(r, n.Line, d.value, path, "key-lifetime", defaultKeyLifetime),
				HSSTimeout:  choice(r, n.Line, d.value, path, "hss-timeout", defaultHSSTimeout),
				HSS:         r.serversOf(d, "hss", "HSS"),
			}
			n.BSF.Realm, n.BSF.Host = r.identity(d)
		case n.AAA != nil:
			n.AAA.HSSTimeout = choice(r, n.Line, d.value, path, "hss-timeout", defaultHSSTimeout)
			n.AAA.HSS = r.serversOf(d, "hss", "HSS")
		case n.Router != nil && r.isAuthenticated(d):
			n.Router.Realm, n.Router.Host = r.identity(d)
			n.Router.Watchdog = choice(r, n.Line, d.value, path, "watchdog", defaultWatchdog)
			n.Router.AAATimeout = choice(r, n.Line, d.value, path, "aaa-timeout", defaultAAATimeout)
			if n.Router.AAA = r.serversOf(d, "aaa", "AAA server"); len(n.Router.AAA) == 0 {
				r.complain(d.value, "add nodes: {aaa: {role: aaa}, hss: {role: hss}}, or leave access-auth out", "router %q is to authenticate mobile nodes, and there is no AAA server to ask", n.Name)
			}
		}
	}
}

// asked sees that the AAA servers which are asked about mobile nodes on an access
// have somebody to ask in turn.
func (r *resolver) asked() {
	told := map[string]bool{}
	for _, d := range r.order {
		if d.node.Router == nil {
			continue
		}
		for _, name := range d.node.Router.AAA {
			if aaa := r.nodes[name]; len(aaa.node.AAA.HSS) == 0 && aaa.value.Get("hss") == nil && !told[name] {
				told[name] = true
				r.complain(aaa.value, "add nodes: {hss: {role: hss}}", "%s is asked by %s to authenticate mobile nodes, and there is no HSS that it could get vectors from", name, d.node.Name)
			}
		}
	}
}

// serversOf returns the nodes of a role that d asks: those that key names, or all.
func (r *resolver) serversOf(d *draft, role, what string) (out []string) {
	given := d.value.Get(role)
	if given == nil {
		for _, other := range r.order {
			if other.node.Role == role {
				out = append(out, other.node.Name)
			}
		}
		if len(out) > 0 {
			r.choose(d.node.Line, "nodes."+d.node.Name+"."+role, list(out), "all there are")
		}
		return out
	}
	for _, item := range given.Items() {
		switch server := r.one(item, role, what); {
		case server == nil:
		case slices.Contains(out, server.node.Name):
			r.complain(item, "leave it out", "%q stands twice", server.node.Name)
		default:
			out = append(out, server.node.Name)
		}
	}
	return out
}

// accessAuth says how mobile nodes are authenticated on each link.
func (r *resolver) accessAuth() {
	for _, l := range r.links {
		given := l.value.Get("access-auth")
		l.link.Auth = "none"
		var mobile bool
		var router *draft
		for _, e := range l.link.Ends {
			switch d := r.nodes[e]; {
			case d == nil:
			case d.node.Role == "mn":
				mobile = true
			case d.node.Role == "router":
				router = d
			}
		}
		switch {
		case given == nil && r.t.Security.needsAccessKeys() && mobile && router != nil && !l.link.Home:
			l.link.Auth = "eap-aka-prime"
			r.choose(l.link.Line, "links."+l.link.Name+".access-auth", l.link.Auth, "the bootstrapping needs the keys of access authentication")
		case given == nil || strict.Or(given, "none") == "none":
		case l.link.Home:
			r.complain(given, "leave it out", "link %q is a home link, 3GPP access, where other procedures authenticate", l.link.Name)
		case !mobile:
			r.complain(given, "leave it out", "link %q has no mobile node on it that could be authenticated", l.link.Name)
		case router == nil:
			r.complain(given, "add a node with role router to its ends", "link %q has no router on it that could authenticate mobile nodes", l.link.Name)
		default:
			l.link.Auth = strict.Or(given, "none")
		}
	}
}

// subscriptions gives the home subscriber servers whom they know, and the mobile
// nodes their cards.
func (r *resolver) subscriptions() {
	var mobiles []*draft
	var known map[string]Subscription // by NAI
	for _, d := range r.order {
		if d.node.MobileNode != nil {
			mobiles = append(mobiles, d)
		}
	}
	for _, d := range r.order {
		if d.node.HSS == nil {
			continue
		}
		if known == nil {
			known = map[string]Subscription{}
		}
		if v := d.value.Get("subscribers"); v != nil {
			d.node.HSS.Subscriptions = r.subscriptionList(v)
		} else {
			for _, m := range mobiles {
				if s, ok := r.subscription(m.node.MobileNode.NAI, nil); ok {
					d.node.HSS.Subscriptions = append(d.node.HSS.Subscriptions, s)
				}
			}
			r.choose(d.node.Line, "nodes."+d.node.Name+".subscribers", len(mobiles), "with keys made from their names: for labs only")
		}
		for _, s := range d.node.HSS.Subscriptions {
			if _, twice := known[s.NAI]; !twice {
				known[s.NAI] = s
			}
		}
	}
	if known == nil {
		return
	}
	for _, d := range mobiles {
		m := d.node.MobileNode
		s, ok := known[m.NAI]
		if !ok {
			if s, ok = r.subscription(m.NAI, nil); !ok {
				if d.index == 0 {
					r.complain(d.value, "give it an IMSI: subscriber: \"001010000000001\"", "%s is %s, and the cards of AKA are known by an IMSI", d.node.Name, m.NAI)
				}
				continue
			}
			r.choose(d.node.Line, "nodes."+d.node.Name+".subscriber", m.NAI, "no HSS knows it: it will be refused")
		}
		m.USIM = &USIM{IMSI: s.IMSI, K: strict.Or(d.value.Get("k"), s.K), OPc: strict.Or(d.value.Get("opc"), s.OPc), OP: s.OP, SQN: uint64(strict.Or(d.value.Get("sqn"), int64(s.SQN)))}
	}
}

// subscriptionList reads a list of subscribers as an HSS needs it.
func (r *resolver) subscriptionList(v *strict.Value) (out []Subscription) {
	items := v.Items()
	if items == nil && v.Good() {
		items = r.subscribersFrom(v)
	}
	for _, item := range items {
		id := item.Get("subscriber")
		if !item.Good() || !id.Good() {
			continue
		}
		s, ok := r.subscription(NAI(strict.Or(id, "")), item)
		if !ok {
			r.complain(id, "write an IMSI such as \"001010000000001\"", "an HSS knows subscribers by their IMSI, which %s is not", id.Text)
			continue
		}
		if slices.ContainsFunc(out, func(other Subscription) bool { return other.IMSI == s.IMSI }) {
			r.complain(id, "keep one of them", "subscriber %s stands here a second time", s.IMSI)
			continue
		}
		out = append(out, s)
	}
	return out
}

// subscription makes one of an entry of a list, which may be nil; false: the NAI
// is not that of an IMSI.
func (r *resolver) subscription(nai string, item *strict.Value) (Subscription, bool) {
	imsi := imsiOf(nai)
	if imsi == "" {
		return Subscription{}, false
	}
	s := Subscription{
		NAI:    nai,
		IMSI:   imsi,
		K:      strict.Or(item.Get("k"), []byte(nil)),
		OPc:    strict.Or(item.Get("opc"), []byte(nil)),
		OP:     strict.Or(item.Get("op"), []byte(nil)),
		AMF:    defaultAMF,
		SQN:    uint64(strict.Or(item.Get("sqn"), int64(0))),
		Barred: strict.Or(item.Get("barred"), false),
	}
	if amf := strict.Or(item.Get("amf"), []byte(nil)); len(amf) == 2 {
		s.AMF = binary.BigEndian.Uint16(amf)
	}
	if s.K == nil {
		s.K = r.derive("k", nai)
	}
	switch {
	case s.OPc != nil && s.OP != nil:
		r.complain(item.Get("op"), "keep one of them: OPc is made of OP", "subscriber %s has both op and opc", imsi)
	case s.OPc == nil && s.OP == nil:
		s.OPc = r.derive("opc", nai)
	}
	for _, a := range item.Get("apns").Items() {
		if name := a.Get("apn"); name.Good() {
			s.APNs = append(s.APNs, APN{Name: strict.Or(name, ""), Barred: strict.Or(a.Get("barred"), false)})
		}
	}
	if s.APNs == nil {
		for _, d := range r.order {
			if h := d.node.HomeAgent; h != nil && !slices.ContainsFunc(s.APNs, func(a APN) bool { return a.Name == h.APN }) {
				s.APNs = append(s.APNs, APN{Name: h.APN})
			}
		}
	}
	return s, true
}

// imsiOf is the IMSI in a NAI that NAI made of one; empty: it did not.
func imsiOf(nai string) string {
	user, _, _ := strings.Cut(nai, "@")
	if imsi, ok := strings.CutPrefix(user, "0"); ok && imsiShape().MatchString(imsi) && NAI(imsi) == nai {
		return imsi
	}
	return ""
}
