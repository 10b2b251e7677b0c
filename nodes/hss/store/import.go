package store

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"s2clab/nodes/keys"
)

// A Record is a subscriber as a file tells of it.
type Record struct {
	Subscriber   Subscriber
	SQN          *keys.SQN     // what was handed out last; nil: as the store has it, or none yet
	Registration *Registration // nil: as the store has it, or none
}

var algorithms = words[Algorithm]{{Milenage, string(Milenage)}, {TUAK, string(TUAK)}}

var accesses = words[bool]{{false, "allowed"}, {true, "barred"}}

// recordKeys are those that a subscriber may have.
var recordKeys = []string{"subscriber", "k", "op", "opc", "algorithm", "amf", "sqn", "msisdn", "non-3gpp-access", "rat-types",
	"default-apn", "apns", "gba", "registered"}

// defaultAMF has the separation bit alone: TS 33.102, annexes F and H.
var defaultAMF = [2]byte{0x80, 0}

// Parse reads a YAML file of subscribers, as Export writes it. The name of the
// file is for messages. Known gives subscribers that a store has, or none where it
// is nil: of such a one, the file may leave out the keys. Whatever else it leaves
// out has its default:
//
//	algorithm: the store's, milenage  amf: "8000"
//	non-3gpp-access: allowed          rat-types: all of them
//	default-apn: the first            apns: none
//	pdn-type: ipv4v6                  allocation: dynamic
//	gba: not allowed                  sqn, registered: as the store has it
//
// An error is Problems: all there are.
func Parse(file string, data []byte, known func(imsi string) (*Subscriber, error)) ([]Record, error) {
	r := &reader{file: file}
	var records []Record
	if root := r.root(data); root != nil {
		top := r.mapping(root, "the file", "subscribers")
		if top["subscribers"] == nil && len(r.problems) == 0 {
			r.complain(root, "write \"subscribers:\" and a list", "subscribers is missing")
		}
		if list := top["subscribers"]; list != nil {
			lines := map[string]int{}
			for _, n := range r.list(list, "subscribers") {
				had := len(r.problems)
				record := r.record(n, known)
				imsi := record.Subscriber.IMSI
				if first := lines[imsi]; first > 0 && imsi != "" {
					r.complain(n, fmt.Sprintf("it is first in line %d: take one of them away", first), "subscriber %q is there twice", imsi)
				}
				lines[imsi] = n.Line
				if len(r.problems) == had {
					if err := record.check(); err != nil {
						r.complain(n, "", "%v", err)
					}
				}
				records = append(records, record)
			}
		}
	}
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	return records, nil
}

func (r *Record) check() error {
	if err := r.Subscriber.Check(); err != nil {
		return err
	}
	if r.Registration != nil {
		return r.Registration.Check()
	}
	return nil
}

func (r *reader) record(n *yaml.Node, known func(imsi string) (*Subscriber, error)) (record Record) {
	v := r.mapping(n, "a subscriber", recordKeys...)
	if v == nil {
		return record
	}
	s := &record.Subscriber
	if v["subscriber"] == nil {
		r.complain(n, `write subscriber: "001010000000001"`, "subscriber, the IMSI, is missing")
	} else if text, ok := r.text(v["subscriber"], "subscriber"); ok {
		if s.IMSI = text; !imsiPattern.MatchString(text) {
			r.complain(v["subscriber"], "an IMSI is 14 or 15 digits", "subscriber %q is not an IMSI", short(text))
		}
	}
	r.secrets(n, v, s, known)
	s.AMF = defaultAMF
	if a := v["amf"]; a != nil {
		if b := r.octets(a, "amf", 2); b != nil {
			s.AMF = [2]byte(b)
		}
	}
	if a := v["sqn"]; a != nil {
		if b := r.octets(a, "sqn", 6); b != nil {
			record.SQN = new(keys.SQNFrom([6]byte(b)))
		}
	}
	if a := v["msisdn"]; a != nil {
		s.MSISDN, _ = r.text(a, "msisdn")
	}
	if a := v["non-3gpp-access"]; a != nil {
		s.BarredNon3GPP = word(r, a, "non-3gpp-access", accesses)
	}
	if a := v["rat-types"]; a != nil {
		s.RATTypes = []RATType{}
		for _, item := range r.list(a, "rat-types") {
			s.RATTypes = append(s.RATTypes, word(r, item, "a RAT type", ratTypes))
		}
	}
	if a := v["apns"]; a != nil {
		for _, item := range r.list(a, "apns") {
			s.APNs = append(s.APNs, r.apn(item))
		}
	}
	if a := v["default-apn"]; a != nil {
		s.DefaultAPN, _ = r.text(a, "default-apn")
	} else if len(s.APNs) > 0 {
		s.DefaultAPN = s.APNs[0].Name
	}
	if a := v["gba"]; a != nil {
		s.GBA = r.gba(a)
	}
	if a := v["registered"]; a != nil {
		record.Registration = r.registration(a)
	}
	return record
}

// secrets reads the algorithm and the keys, or takes them from the store.
func (r *reader) secrets(n *yaml.Node, v map[string]*yaml.Node, s *Subscriber, known func(imsi string) (*Subscriber, error)) {
	var had *Subscriber
	if known != nil && s.IMSI != "" {
		had, _ = known(s.IMSI) // one that is not known has no keys
	}
	s.Algorithm = Milenage
	if had != nil {
		s.Algorithm = had.Algorithm
	}
	if a := v["algorithm"]; a != nil {
		s.Algorithm = word(r, a, "algorithm", algorithms)
	}
	long := []int{16}
	of := "16 octets"
	if s.Algorithm == TUAK {
		long, of = []int{32}, "32 octets"
	}
	if a := v["k"]; a != nil {
		lengths := []int{16}
		if s.Algorithm == TUAK {
			lengths = []int{16, 32}
		}
		s.K = r.octets(a, "k", lengths...)
	} else if had != nil {
		s.K = had.K
	} else {
		r.complain(n, "an export has keys with --show-keys only; without them it is for a store that has the subscriber", "k is missing, and the store does not have it")
	}
	switch op, opc := v["op"], v["opc"]; {
	case op != nil && opc != nil:
		r.complain(op, "OPc is made of OP and K: take one of them away", "op and opc are there both")
	case op != nil:
		s.OP = r.octets(op, "op", long...)
	case opc != nil:
		s.OPc = r.octets(opc, "opc", long...)
	case had != nil && had.Algorithm == s.Algorithm:
		s.OP, s.OPc = had.OP, had.OPc
	default:
		r.complain(n, "give one of them, of "+of, "op and opc are missing, and the store does not have them")
	}
}

func (r *reader) apn(n *yaml.Node) (a APN) {
	v := r.mapping(n, "an APN", "apn", "pdn-type", "barred", "allocation", "gateway")
	if v == nil {
		return a
	}
	a.PDN, a.Allocation = PDNIPv4v6, Dynamic
	a.Name = r.apnName(n, v["apn"])
	if p := v["pdn-type"]; p != nil {
		a.PDN = word(r, p, "pdn-type", pdnTypes)
	}
	if b := v["barred"]; b != nil {
		a.Barred = r.truth(b, "barred")
	}
	if l := v["allocation"]; l != nil {
		a.Allocation = word(r, l, "allocation", allocations)
	}
	if g := v["gateway"]; g != nil {
		a.Gateway = r.gateway(r.mapping(g, "a gateway", "host", "realm", "addresses"))
	}
	return a
}

// apnName reads the name of an APN, which is a key of n.
func (r *reader) apnName(n, name *yaml.Node) string {
	if name == nil {
		r.complain(n, "write apn: NAME", "apn, the name, is missing")
		return ""
	}
	text, ok := r.text(name, "apn")
	if ok && (!apnPattern.MatchString(text) || len(text) > apnOctets) {
		r.complain(name, "labels of letters, digits and hyphens with dots between, or \"*\" for all that are not named", "apn %q is no access point name", short(text))
	}
	return text
}

// gateway reads what tells a PDN gateway from the values of keys.
func (r *reader) gateway(v map[string]*yaml.Node) (g Gateway) {
	if host := v["host"]; host != nil {
		g.Host, _ = r.text(host, "host")
	}
	if realm := v["realm"]; realm != nil {
		g.Realm, _ = r.text(realm, "realm")
	}
	if list := v["addresses"]; list != nil {
		for _, item := range r.list(list, "addresses") {
			text, ok := r.text(item, "an address")
			if !ok {
				continue
			}
			a, err := netip.ParseAddr(text)
			if err != nil {
				r.complain(item, "such as 2001:db8::1 or 192.0.2.1", "%q is not an address", short(text))
				continue
			}
			g.Addresses = append(g.Addresses, a)
		}
	}
	return g
}

func (r *reader) gba(n *yaml.Node) (g GBA) {
	v := r.mapping(n, "gba", "allowed", "lifetime")
	if a := v["allowed"]; a != nil {
		g.Allowed = r.truth(a, "allowed")
	} else if v != nil {
		r.complain(n, "write allowed: true or allowed: false", "allowed is missing in gba")
	}
	if l := v["lifetime"]; l != nil {
		text, ok := r.text(l, "lifetime")
		if !ok {
			return g
		}
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d%time.Second != 0 || d/time.Second > mostLifetime {
			r.complain(l, "such as 3600s or 1h", "lifetime %q is not a whole number of seconds", short(text))
			return g
		}
		g.Lifetime = d
	}
	return g
}

func (r *reader) registration(n *yaml.Node) *Registration {
	reg := &Registration{}
	v := r.mapping(n, "registered", "server", "gateways")
	if s := v["server"]; s != nil {
		reg.Server, _ = r.text(s, "server")
	} else if v != nil {
		r.complain(n, "write server: and the name of the AAA server, or take \"registered\" away", "server is missing in registered")
	}
	if list := v["gateways"]; list != nil {
		reg.Gateways = map[string]Gateway{}
		for _, item := range r.list(list, "gateways") {
			g := r.mapping(item, "a gateway", "apn", "host", "realm", "addresses")
			if g == nil {
				continue
			}
			name := strings.ToLower(r.apnName(item, g["apn"]))
			if _, twice := reg.Gateways[name]; twice {
				r.complain(item, "take one of them away", "apn %q is there twice", short(name))
			}
			reg.Gateways[name] = r.gateway(g)
		}
	}
	return reg
}

// Import puts records into the store: all of them or, where it returns an error,
// none. Subscribers of the store that are not among them stay as they are.
func (s *Store) Import(records []Record) error {
	for i := range records {
		if err := records[i].check(); err != nil {
			return err
		}
	}
	return s.Batch(func() {
		for _, r := range records {
			if s.put(r) != nil {
				return // of a record that is checked only the disk can fail, and with it the batch
			}
		}
	})
}

func (s *Store) put(r Record) error {
	if err := s.Put(r.Subscriber); err != nil {
		return err
	}
	if r.SQN != nil {
		if err := s.SetSQN(r.Subscriber.IMSI, *r.SQN); err != nil {
			return err
		}
	}
	if r.Registration != nil {
		return s.Register(r.Subscriber.IMSI, *r.Registration)
	}
	return nil
}
