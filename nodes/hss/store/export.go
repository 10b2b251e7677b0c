package store

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Export writes all subscribers as YAML, in the order of their IMSIs. With keys,
// Parse makes the same store of it; without, it says so, and is for a store that
// has them.
func (s *Store) Export(o ExportOptions) []byte {
	var b strings.Builder
	b.WriteString("# Subscribers of an HSS, as s2clab has exported them.\n")
	if !o.ShowKeys {
		b.WriteString("# Their keys, k with op or opc, are left out: --show-keys writes them too.\n")
	}
	if len(s.entries) == 0 {
		b.WriteString("subscribers: []\n")
		return []byte(b.String())
	}
	b.WriteString("subscribers:\n")
	for _, imsi := range s.IMSIs() {
		s.entries[imsi].export(&b, o.ShowKeys)
	}
	return []byte(b.String())
}

// ExportOptions is how Export writes.
type ExportOptions struct {
	ShowKeys bool // whoever reads the file can then be any of the subscribers
}

func (e *entry) export(b *strings.Builder, keys bool) {
	sub := &e.subscriber
	fmt.Fprintf(b, "  - subscriber: %q\n", sub.IMSI)
	line := func(key, value string) { fmt.Fprintf(b, "    %s: %s\n", key, value) }
	secret := func(key string, s Secret) {
		if keys && s != nil {
			line(key, `"`+hex.EncodeToString(s)+`"`)
		}
	}
	secret("k", sub.K)
	secret("op", sub.OP)
	secret("opc", sub.OPc)
	line("algorithm", string(sub.Algorithm))
	line("amf", fmt.Sprintf(`"%x"`, sub.AMF))
	line("sqn", fmt.Sprintf(`"%x"`, e.sqn.Octets()))
	if sub.MSISDN != "" {
		line("msisdn", quoted(sub.MSISDN))
	}
	line("non-3gpp-access", accesses.word(sub.BarredNon3GPP))
	if sub.RATTypes != nil {
		line("rat-types", "["+strings.ReplaceAll(joined(sub.RATTypes), " ", ", ")+"]")
	}
	if len(sub.APNs) > 0 {
		line("default-apn", quoted(sub.DefaultAPN))
		b.WriteString("    apns:\n")
	}
	for _, a := range sub.APNs {
		fmt.Fprintf(b, "      - {apn: %s, pdn-type: %v, allocation: %v", quoted(a.Name), a.PDN, a.Allocation)
		if a.Barred {
			b.WriteString(", barred: true")
		}
		if !a.Gateway.IsZero() {
			fmt.Fprintf(b, ", gateway: {%s}", strings.Join(a.Gateway.export(), ", "))
		}
		b.WriteString("}\n")
	}
	switch {
	case sub.GBA.Lifetime != 0:
		line("gba", fmt.Sprintf("{allowed: true, lifetime: %ds}", int64(sub.GBA.Lifetime.Seconds())))
	case sub.GBA.Allowed:
		line("gba", "{allowed: true}")
	}
	if e.registration.Server == "" {
		return
	}
	b.WriteString("    registered:\n      server: " + quoted(e.registration.Server) + "\n")
	if len(e.registration.Gateways) == 0 {
		return
	}
	b.WriteString("      gateways:\n")
	for _, apn := range slices.Sorted(maps.Keys(e.registration.Gateways)) {
		parts := append([]string{"apn: " + quoted(apn)}, e.registration.Gateways[apn].export()...)
		fmt.Fprintf(b, "        - {%s}\n", strings.Join(parts, ", "))
	}
}

func (g Gateway) export() (parts []string) {
	if g.Host != "" {
		parts = append(parts, "host: "+quoted(g.Host), "realm: "+quoted(g.Realm))
	}
	if len(g.Addresses) > 0 {
		all := make([]string, len(g.Addresses))
		for i, a := range g.Addresses {
			all[i] = quoted(a.String())
		}
		parts = append(parts, "addresses: ["+strings.Join(all, ", ")+"]")
	}
	return parts
}

// quoted is a text of letters, digits and the signs of names and addresses.
func quoted(text string) string { return `"` + text + `"` }
