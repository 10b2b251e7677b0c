// Package store keeps what a home subscriber server knows: the subscribers, their
// keys, sequence numbers and profiles, and which AAA server and PDN gateways
// serve them now. It is one SQLite file with one owner, which outlives the
// owner's death at any moment, or it is in memory only; and it is written and
// read as YAML.
//
// It knows no message and decides nothing about one: that is in nodes/hss. What
// is made of a key is in nodes/keys.
package store

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// An Algorithm is the set of functions f1 to f5* that a subscriber's card and the
// home network share: TS 33.102, section 6.3.
type Algorithm string

const (
	Milenage Algorithm = "milenage" // TS 35.205
	TUAK     Algorithm = "tuak"     // TS 35.231
)

// A Secret is a key, or something that is as good as one. It does not let itself
// be printed.
type Secret []byte

// Format tells the length alone, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "(secret of %d octets)", len(s)) }

// A Subscriber is one subscription: TS 23.008, of which it has what S2c needs.
type Subscriber struct {
	IMSI      string // 14 or 15 digits: TS 23.003, section 2.2
	K         Secret // 16 octets; with TUAK, 16 or 32
	OP        Secret // 16 octets, of TUAK (TOP) 32; nil where OPc is there: exactly one of them is
	OPc       Secret // as long as OP
	Algorithm Algorithm
	AMF       [2]byte // the separation bit, 0x8000, is set and cleared for each vector: TS 33.102, annex H
	MSISDN    string  // up to 15 digits; empty: none

	BarredNon3GPP bool      // Non-3GPP-IP-Access NON_3GPP_SUBSCRIPTION_BARRED: TS 29.273, section 8.2.3.3
	RATTypes      []RATType // over which alone access is allowed; nil: over all
	APNs          []APN     // in order; the Context-Identifier of each is its place, from 1; none: no subscription for non-3GPP access
	DefaultAPN    string    // one of APNs; empty where there are none
	GBA           GBA
}

// GBA is what a subscriber may do with the generic bootstrapping architecture:
// the part of its user security settings that we know (TS 29.109, annex A).
type GBA struct {
	Allowed  bool
	Lifetime time.Duration // of a bootstrapped Ks, whole seconds; 0: the BSF's own
}

// A RATType is a radio access technology: TS 29.212, section 5.3.31.
type RATType uint32

const (
	RATWLAN    RATType = 0
	RATVirtual RATType = 1
	RATEUTRAN  RATType = 1004
	RATHRPD    RATType = 2003
)

// ratTypes are the words for them.
var ratTypes = words[RATType]{{RATWLAN, "wlan"}, {RATVirtual, "virtual"}, {RATEUTRAN, "eutran"}, {RATHRPD, "hrpd"}}

// String is the word that YAML has for it.
func (r RATType) String() string { return ratTypes.word(r) }

// A PDNType says which addresses a PDN connection has: TS 29.272, section 7.3.62.
type PDNType uint32

const (
	PDNIPv4   PDNType = 0
	PDNIPv6   PDNType = 1
	PDNIPv4v6 PDNType = 2
)

var pdnTypes = words[PDNType]{{PDNIPv4, "ipv4"}, {PDNIPv6, "ipv6"}, {PDNIPv4v6, "ipv4v6"}}

// String is the word that YAML has for it.
func (p PDNType) String() string { return pdnTypes.word(p) }

// An Allocation says who chooses the PDN gateway of an APN: TS 29.272, section
// 7.3.44.
type Allocation uint32

const (
	Static  Allocation = 0
	Dynamic Allocation = 1
)

var allocations = words[Allocation]{{Static, "static"}, {Dynamic, "dynamic"}}

// String is the word that YAML has for it.
func (a Allocation) String() string { return allocations.word(a) }

// words are the values of a type and what they are called.
type words[T comparable] []struct {
	value T
	word  string
}

func (ws words[T]) word(v T) string {
	for _, w := range ws {
		if w.value == v {
			return w.word
		}
	}
	return fmt.Sprintf("(%v)", any(v)) // of a number that no file and no setting has: Check refuses it
}

func (ws words[T]) value(word string) (v T, ok bool) {
	for _, w := range ws {
		if w.word == word {
			return w.value, true
		}
	}
	return v, false
}

func (ws words[T]) all() []string {
	all := make([]string, len(ws))
	for i, w := range ws {
		all[i] = w.word
	}
	return all
}

func (ws words[T]) has(v T) bool {
	return slices.ContainsFunc(ws, func(w struct {
		value T
		word  string
	}) bool {
		return w.value == v
	})
}

// An APN is the subscription for an access point name: APN-Configuration of TS
// 29.272, section 7.3.35.
type APN struct {
	Name       string // its network identifier, or "*" for every other one: TS 23.003, section 9
	PDN        PDNType
	Barred     bool
	Allocation Allocation
	Gateway    Gateway // the only one that may serve it where Static; else where to begin, may be zero
}

// Wildcard is the APN that stands for all that are not named.
const Wildcard = "*"

// A Gateway is a PDN gateway, as MIP6-Agent-Info names it: RFC 5447, section
// 4.2.1. The zero Gateway is none.
type Gateway struct {
	Host      string // Diameter identity, with Realm; empty: unknown
	Realm     string
	Addresses []netip.Addr // one at most of each family
}

// IsZero says that there is none.
func (g Gateway) IsZero() bool { return g.Host == "" && len(g.Addresses) == 0 }

// Equal says whether both name the same gateway: the same addresses in any order,
// and names that do not differ where both are known.
func (g Gateway) Equal(other Gateway) bool {
	a, b := slices.Clone(g.Addresses), slices.Clone(other.Addresses)
	slices.SortFunc(a, netip.Addr.Compare)
	slices.SortFunc(b, netip.Addr.Compare)
	named := g.Host != "" && other.Host != ""
	if named && (!strings.EqualFold(g.Host, other.Host) || !strings.EqualFold(g.Realm, other.Realm)) {
		return false
	}
	if len(a) == 0 || len(b) == 0 {
		return named || len(a) == len(b) && g.Host == other.Host
	}
	return slices.Equal(a, b)
}

// A Registration says who serves a subscriber now.
type Registration struct {
	Server   string             // Diameter identity of the 3GPP AAA server; empty: not registered
	Gateways map[string]Gateway // by APN, in lower case: the PDN gateway of each connection
}

// APN returns the subscription for a name, and false where there is none. A name
// that is not listed has that of the Wildcard: TS 29.272, section 7.3.35.
func (s *Subscriber) APN(name string) (APN, bool) {
	for _, want := range [...]string{name, Wildcard} {
		for _, a := range s.APNs {
			if strings.EqualFold(a.Name, want) {
				return a, true
			}
		}
	}
	return APN{}, false
}

var (
	imsiPattern   = regexp.MustCompile(`^[0-9]{14,15}$`)
	msisdnPattern = regexp.MustCompile(`^[0-9]{1,15}$`)
	// Labels of letters, digits and hyphens: TS 23.003, section 9.1; RFC 1035, section 2.3.1.
	apnPattern  = regexp.MustCompile(`^(\*|[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*)$`)
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)
)

const (
	mostAPNs     = 64
	apnOctets    = 62 // TS 23.003, section 9.1: 63 with the length octet of the first label
	hostOctets   = 255
	mostLifetime = 1<<32 - 1 // seconds
)

// Check says what is wrong with a subscriber: the error names the IMSI and the
// first field that cannot stand, and tells no key.
func (s *Subscriber) Check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("subscriber %q: %s", s.IMSI, fmt.Sprintf(format, args...))
	}
	long := 16
	switch s.Algorithm {
	case Milenage:
	case TUAK:
		long = 32
	default:
		return wrong("algorithm %q: want %s or %s", s.Algorithm, Milenage, TUAK)
	}
	switch {
	case !imsiPattern.MatchString(s.IMSI):
		return wrong("want an IMSI of 14 or 15 digits")
	case len(s.K) != 16 && len(s.K) != long:
		return wrong("k of %d octets: want 16, or 32 with tuak", len(s.K))
	case (s.OP == nil) == (s.OPc == nil):
		return wrong("want op or opc, and one of them only")
	case len(s.OP)+len(s.OPc) != long:
		return wrong("op or opc of %d octets: want %d with %s", len(s.OP)+len(s.OPc), long, s.Algorithm)
	case s.MSISDN != "" && !msisdnPattern.MatchString(s.MSISDN):
		return wrong("msisdn %q: want up to 15 digits", s.MSISDN)
	case len(s.APNs) > mostAPNs:
		return wrong("%d apns: want %d at most", len(s.APNs), mostAPNs)
	case s.GBA.Lifetime < 0 || s.GBA.Lifetime%time.Second != 0 || s.GBA.Lifetime/time.Second > mostLifetime:
		return wrong("gba lifetime %v: want whole seconds", s.GBA.Lifetime)
	case s.GBA.Lifetime != 0 && !s.GBA.Allowed:
		return wrong("gba has a lifetime and is not allowed")
	}
	for _, r := range s.RATTypes {
		if !ratTypes.has(r) {
			return wrong("RAT-Type %d: want one of %s", uint32(r), strings.Join(ratTypes.all(), ", "))
		}
	}
	for i, a := range s.APNs {
		if err := a.check(); err != nil {
			return wrong("%v", err)
		}
		if slices.ContainsFunc(s.APNs[:i], func(b APN) bool { return strings.EqualFold(a.Name, b.Name) }) {
			return wrong("apn %q is there twice", a.Name)
		}
	}
	if len(s.APNs) > 0 || s.DefaultAPN != "" {
		if !slices.ContainsFunc(s.APNs, func(a APN) bool { return strings.EqualFold(a.Name, s.DefaultAPN) }) {
			return wrong("default apn %q: want one of its apns", s.DefaultAPN)
		}
	}
	return nil
}

func (a *APN) check() error {
	switch {
	case !apnPattern.MatchString(a.Name) || len(a.Name) > apnOctets:
		return fmt.Errorf("apn %q: want labels of letters, digits and hyphens, %d octets at most, or \"*\"", a.Name, apnOctets)
	case !pdnTypes.has(a.PDN):
		return fmt.Errorf("apn %q: PDN-Type %d: want one of %s", a.Name, uint32(a.PDN), strings.Join(pdnTypes.all(), ", "))
	case !allocations.has(a.Allocation):
		return fmt.Errorf("apn %q: allocation %d: want one of %s", a.Name, uint32(a.Allocation), strings.Join(allocations.all(), ", "))
	case a.Allocation == Static && a.Gateway.IsZero():
		return fmt.Errorf("apn %q: static allocation, and no gateway", a.Name)
	}
	if err := a.Gateway.Check(); err != nil {
		return fmt.Errorf("apn %q: %w", a.Name, err)
	}
	return nil
}

// Check says what is wrong with a gateway; nothing is with the zero one.
func (g *Gateway) Check() error {
	if (g.Host == "") != (g.Realm == "") {
		return fmt.Errorf("gateway: want host and realm, or neither")
	}
	for _, name := range [...]string{g.Host, g.Realm} {
		if name != "" && !isHost(name) {
			return fmt.Errorf("gateway: %q is not a host's name", name)
		}
	}
	families := map[bool]bool{}
	for _, a := range g.Addresses {
		switch {
		case !a.IsValid() || a.Zone() != "" || a.Is4In6() || a.IsUnspecified() || a.IsMulticast():
			return fmt.Errorf("gateway: %v is not the address of a host", a)
		case families[a.Is4()]:
			return fmt.Errorf("gateway: %v is its second address of that family", a)
		}
		families[a.Is4()] = true
	}
	return nil
}

func isHost(name string) bool { return len(name) <= hostOctets && hostPattern.MatchString(name) }

// Check says what is wrong with a registration.
func (r *Registration) Check() error {
	if r.Server == "" && len(r.Gateways) > 0 {
		return fmt.Errorf("registration: there are gateways, and no AAA server")
	}
	if r.Server != "" && !isHost(r.Server) {
		return fmt.Errorf("registration: AAA server %q is not a host's name", r.Server)
	}
	for apn, g := range r.Gateways {
		switch {
		case !apnPattern.MatchString(apn) || len(apn) > apnOctets || apn != strings.ToLower(apn):
			return fmt.Errorf("registration: apn %q: want a name in lower case", apn)
		case g.IsZero():
			return fmt.Errorf("registration: apn %q: no gateway", apn)
		}
		if err := g.Check(); err != nil {
			return fmt.Errorf("registration: apn %q: %w", apn, err)
		}
	}
	return nil
}

// clone shares nothing with s.
func (s Subscriber) clone() Subscriber {
	s.K, s.OP, s.OPc = slices.Clone(s.K), slices.Clone(s.OP), slices.Clone(s.OPc)
	s.RATTypes, s.APNs = slices.Clone(s.RATTypes), slices.Clone(s.APNs)
	for i := range s.APNs {
		s.APNs[i].Gateway.Addresses = slices.Clone(s.APNs[i].Gateway.Addresses)
	}
	return s
}

func (r Registration) clone() Registration {
	gateways := make(map[string]Gateway, len(r.Gateways))
	for apn, g := range r.Gateways {
		g.Addresses = slices.Clone(g.Addresses)
		gateways[apn] = g
	}
	if len(gateways) == 0 {
		gateways = nil
	}
	return Registration{Server: r.Server, Gateways: gateways}
}
