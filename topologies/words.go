package topologies

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"s2clab/topologies/strict"
)

// The words of topology files that are more than a key.
var (
	roles     = []string{"mn", "ha", "aaa", "hss", "bsf", "router", "nat", "dns", "cn"}
	engines   = []string{"user"}
	tunnels   = []string{"auto", "user", "kernel"}
	integrity = []string{"auth-options", "none"}
	replay    = []string{"timestamp", "sequence"}
	bootstrap = []string{"mip-options", "static", "gba-rfc3957", "gba", "partial-gba"}
	sources   = []string{"static", "emsk", "gba", "aka"}
	profiles  = []string{"3gpp", "3gpp2", "wimax", "mipv4"}
)

const namePattern = `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`

var nameShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(namePattern) })

// reserved are names that mean something else: to scenarios, to the kernel, to
// the commands, to YAML.
var reserved = []string{"all", "default", "lo", "mip0", "lab", "previous", "on", "off", "yes", "no", "y", "n", "true", "false", "null"}

// nameOf is the name of a node or a link, which is also a host's or a device's.
func nameOf(what, example string) *strict.Scalar {
	return &strict.Scalar{Name: "a name of " + what, JSON: "string", Pattern: namePattern, Examples: []string{example},
		Parse: func(text string) (any, error) {
			if slices.Contains(reserved, text) {
				return nil, &strict.Trouble{What: fmt.Sprintf("%q cannot be a name: the word has another meaning", text), Hint: "choose another name"}
			}
			if !nameShape().MatchString(text) {
				hint := "names are of small letters, digits and hyphens, begin with a letter, and have 63 of them at most"
				if plain := plainName(text); plain != "" && nameShape().MatchString(plain) && !slices.Contains(reserved, plain) {
					hint = fmt.Sprintf("write %q; %s", plain, hint)
				}
				return nil, &strict.Trouble{What: fmt.Sprintf("%q cannot be a name", text), Hint: hint}
			}
			return text, nil
		}}
}

func plainName(text string) string {
	return strings.Trim(strings.NewReplacer("_", "-", " ", "-", ".", "-").Replace(strings.ToLower(text)), "-")
}

// reference is the name of something that is defined elsewhere: whether it is,
// the resolving tells.
func reference(name, example string) *strict.Scalar {
	return &strict.Scalar{Name: name, JSON: "string", Pattern: namePattern, Examples: []string{example}}
}

// addressScalar is an IPv6 address.
func addressScalar() *strict.Scalar {
	s := eitherAddress()
	s.Name = "an IPv6 address such as 2001:db8:1::a"
	parse := s.Parse
	s.Parse = func(text string) (any, error) {
		x, err := parse(text)
		if a, ok := x.(netip.Addr); ok && a.Is4() {
			return nil, &strict.Trouble{What: fmt.Sprintf("%s is an IPv4 address; want an IPv6 one", text), Hint: "such as 2001:db8:1::a"}
		}
		return x, err
	}
	return s
}

// eitherAddress is an IPv6 or an IPv4 address.
func eitherAddress() *strict.Scalar {
	return &strict.Scalar{Name: "an address such as 2001:db8:1::a or 192.0.2.10", JSON: "string", Pattern: `^[0-9a-fA-F:.]+$`, Examples: []string{"2001:db8:1::a"},
		Parse: func(text string) (any, error) {
			a, err := netip.ParseAddr(text)
			switch {
			case err != nil && strings.Contains(text, "/"):
				return nil, &strict.Trouble{What: fmt.Sprintf("%q is a prefix; want an address", text), Hint: "leave out the \"/\" and what follows"}
			case err != nil:
				return nil, fmt.Errorf("not an address: %w", err)
			case a.Zone() != "":
				return nil, &strict.Trouble{What: fmt.Sprintf("%s has a zone", text), Hint: "write " + a.WithZone("").String()}
			case !usable(a):
				return nil, &strict.Trouble{What: fmt.Sprintf("%s is not an address that a node can be reached at from other links", text), Hint: labPrefixes(a)}
			}
			return a, nil
		}}
}

func labPrefixes(a netip.Addr) string {
	if a.Is4() {
		return "take one of 192.0.2.0/24, 198.51.100.0/24 or 203.0.113.0/24, which are for documentation and labs"
	}
	return "take one of 2001:db8::/32, which is for documentation and labs"
}

// assigned is the word for a home address that the mobile node is not told.
const assigned = "assigned"

// homeAddressScalar is a home address, or the word assigned, whose Go type is
// string.
func homeAddressScalar() *strict.Scalar {
	a := eitherAddress()
	parse := a.Parse
	a.Name += ", or " + assigned
	a.Pattern = "^(" + assigned + "|[0-9a-fA-F:.]+)$"
	a.Examples = append(a.Examples, assigned)
	a.Parse = func(text string) (any, error) {
		if text == assigned {
			return text, nil
		}
		if strings.Trim(text, "abcdefghijklmnopqrstuvwxyz-") == "" {
			return nil, &strict.Trouble{What: fmt.Sprintf("%q is not an address", text), Hint: "write an IPv6 address such as 2001:db8:100::10, or " + assigned}
		}
		return parse(text)
	}
	return a
}

// usable says whether a is a unicast address that routers forward.
func usable(a netip.Addr) bool {
	if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.Is4In6() {
		return false
	}
	first := a.AsSlice()[0]
	return a.Is6() || first != 0 && first < 240 // RFC 6890: this network, reserved
}

// prefixScalar is an IPv6 prefix that is from least to most bits long.
func prefixScalar(least, most int) *strict.Scalar {
	example := fmt.Sprintf("2001:db8:200::/%d", most)
	return &strict.Scalar{Name: "an IPv6 prefix such as " + example, JSON: "string", Pattern: `^[0-9a-fA-F:.]+/[0-9]+$`, Examples: []string{example},
		Parse: func(text string) (any, error) {
			p, err := netip.ParsePrefix(text)
			switch {
			case err != nil:
				if a, err := netip.ParseAddr(text); err == nil && a.Is6() {
					return nil, &strict.Trouble{What: fmt.Sprintf("%q has no length", text), Hint: fmt.Sprintf("write %s/%d", text, most)}
				}
				return nil, fmt.Errorf("not a prefix: %w", err)
			case p.Addr().Is4():
				return nil, &strict.Trouble{What: fmt.Sprintf("%s is an IPv4 prefix; want an IPv6 one", text), Hint: "such as " + example}
			case p.Bits() < least || p.Bits() > most:
				want := fmt.Sprintf("/%d to /%d", least, most)
				if least == most {
					want = fmt.Sprintf("/%d", most)
				}
				return nil, &strict.Trouble{What: fmt.Sprintf("%s has a length of %d bits; want %s", text, p.Bits(), want),
					Hint: "interface identifiers are 64 bits long (RFC 4291, section 2.5.1), so a link has a /64"}
			case p != p.Masked():
				return nil, &strict.Trouble{What: fmt.Sprintf("%s has bits behind its %d", text, p.Bits()), Hint: "write " + p.Masked().String()}
			case !usable(p.Addr()):
				return nil, &strict.Trouble{What: fmt.Sprintf("%s is not a prefix of addresses that routers forward", text), Hint: labPrefixes(p.Addr())}
			}
			return p, nil
		}}
}

// eitherPrefix is an IPv4 prefix, or an IPv6 one as six says.
func eitherPrefix(six *strict.Scalar) *strict.Scalar {
	const least, most = 8, 30
	s := *six
	s.Name = "a prefix such as " + six.Examples[0] + " or 192.0.2.0/24"
	s.Parse = func(text string) (any, error) {
		p, err := netip.ParsePrefix(text)
		switch a, notAddress := netip.ParseAddr(text); {
		case err == nil && !p.Addr().Is4(), err != nil && (notAddress != nil || !a.Is4()):
			return six.Parse(text)
		case err != nil:
			return nil, &strict.Trouble{What: fmt.Sprintf("%q has no length", text), Hint: fmt.Sprintf("write %s/24", text)}
		case p.Bits() < least || p.Bits() > most:
			return nil, &strict.Trouble{What: fmt.Sprintf("%s has a length of %d bits; want /%d to /%d", text, p.Bits(), least, most), Hint: "such as 192.0.2.0/24"}
		case p != p.Masked():
			return nil, &strict.Trouble{What: fmt.Sprintf("%s has bits behind its %d", text, p.Bits()), Hint: "write " + p.Masked().String()}
		case !usable(p.Addr()) || !usable(broadcast(p)):
			return nil, &strict.Trouble{What: fmt.Sprintf("%s is not a prefix of addresses that routers forward", text), Hint: labPrefixes(p.Addr())}
		}
		return p, nil
	}
	return &s
}

// broadcast returns the last address of an IPv4 prefix, which means all nodes.
func broadcast(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])|1<<(32-p.Bits())-1)
	return netip.AddrFrom4(a)
}

var macShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$`) })

func macScalar() *strict.Scalar {
	return &strict.Scalar{Name: "a MAC address such as 02:00:00:00:01:0a", JSON: "string", Pattern: macShape().String(), Examples: []string{"02:00:00:00:01:0a"},
		Parse: func(text string) (any, error) {
			if !macShape().MatchString(text) {
				return nil, fmt.Errorf("not a MAC address")
			}
			var mac [6]byte
			hex.Decode(mac[:], []byte(strings.ReplaceAll(text, ":", "")))
			if mac[0]&1 != 0 {
				return nil, &strict.Trouble{What: text + " is a group address, which no interface can have", Hint: fmt.Sprintf("write %02x%s", mac[0]&^1|2, text[2:])}
			}
			if mac == [6]byte{} {
				return nil, &strict.Trouble{What: text + " is no address", Hint: "leave it out to have one chosen"}
			}
			return mac, nil
		}}
}

// keyScalar is a secret of least to most octets, in hexadecimal digits.
func keyScalar(least, most int) *strict.Scalar {
	octets := fmt.Sprintf("%d to %d octets", least, most)
	example := "000102030405060708090a0b0c0d0e0f"
	if least == most {
		octets = fmt.Sprintf("%d octets", least)
	}
	return &strict.Scalar{Name: fmt.Sprintf("a key of %s in hexadecimal digits", octets), JSON: "string",
		Pattern: fmt.Sprintf(`^([0-9a-fA-F]{2}){%d,%d}$`, least, most), Examples: []string{example},
		Parse: func(text string) (any, error) {
			b, err := hex.DecodeString(text)
			switch {
			case err == hex.ErrLength:
				return nil, &strict.Trouble{What: fmt.Sprintf("the key has %d digits, which is half an octet too many", len(text)), Hint: "an octet is two digits"}
			case err != nil:
				return nil, &strict.Trouble{What: "the key has signs in it that are no hexadecimal digits", Hint: fmt.Sprintf("write %s as digits 0 to 9 and a to f, such as %s", octets, example)}
			case len(b) < least || len(b) > most:
				return nil, &strict.Trouble{What: fmt.Sprintf("the key has a length of %d; want %s", len(b), octets), Hint: "an octet is two digits"}
			}
			return b, nil
		}}
}

var (
	imsiShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{14,15}$`) })
	naiShape  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Za-z0-9._+=~!#$&'*/?^{|}` + "`" + `-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	})
	realmShape = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
	})
)

// subscriberScalar is an IMSI or a NAI. Its Go type is string.
func subscriberScalar() *strict.Scalar {
	return &strict.Scalar{Name: "a subscriber: an IMSI such as \"001010000000001\", or a NAI such as anna@example.org", JSON: "string",
		Pattern: `^([0-9]{14,15}|[^@\s]+@[^@\s]+)$`, Examples: []string{"001010000000001"},
		Parse: func(text string) (any, error) {
			switch {
			case imsiShape().MatchString(text):
				return text, nil
			case strings.Trim(text, "0123456789") == "":
				return nil, &strict.Trouble{What: fmt.Sprintf("an IMSI has 14 or 15 digits, this has %d", len(text)), Hint: "country 3 digits, network 2 or 3, subscriber the rest, such as \"001010000000001\""}
			case len(text) > 253:
				return nil, &strict.Trouble{What: fmt.Sprintf("the NAI has %d letters; want 253 at most", len(text)), Hint: "RFC 7542, section 2.3"}
			case !naiShape().MatchString(text):
				return nil, fmt.Errorf("not a subscriber")
			}
			return text, nil
		}}
}

func realmScalar() *strict.Scalar {
	return &strict.Scalar{Name: "a Diameter realm such as epc.mnc001.mcc001.3gppnetwork.org", JSON: "string", Pattern: realmShape().String(),
		Examples: []string{defaultRealm},
		Parse: func(text string) (any, error) {
			if !realmShape().MatchString(text) || len(text) > 253 {
				return nil, fmt.Errorf("not a realm")
			}
			return text, nil
		}}
}

// apnScalar is an access point name: 3GPP TS 23.003, clause 9.
func apnScalar() *strict.Scalar {
	shape := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	return &strict.Scalar{Name: "an access point name such as internet", JSON: "string", Pattern: shape.String(), Examples: []string{"internet"},
		Parse: func(text string) (any, error) {
			if !shape.MatchString(text) {
				return nil, fmt.Errorf("not an access point name")
			}
			return text, nil
		}}
}

// domainScalar is a domain of two labels or more.
func domainScalar() *strict.Scalar {
	s := realmScalar()
	s.Name, s.Examples = "a domain such as "+defaultDomain, []string{defaultDomain}
	s.Parse = func(text string) (any, error) {
		if !realmShape().MatchString(text) || len(text) > 180 {
			return nil, fmt.Errorf("not a domain")
		}
		return text, nil
	}
	return s
}

// NAI returns the network access identifier of a subscriber: of an IMSI as 3GPP
// TS 23.003, clause 19.3.2 makes it; a NAI stands for itself.
func NAI(subscriber string) string {
	if !imsiShape().MatchString(subscriber) {
		return subscriber
	}
	mcc, digits := subscriber[:3], 2
	switch n, _ := strconv.Atoi(mcc); {
	case n == 302, n >= 310 && n <= 316, n == 334, n == 338, n == 342, n == 344, n == 346, n == 348, n == 350, n == 722, n == 732:
		digits = 3 // the networks of these countries have codes of three digits
	}
	mnc := subscriber[3 : 3+digits]
	if digits == 2 {
		mnc = "0" + mnc
	}
	return fmt.Sprintf("0%s@nai.epc.mnc%s.mcc%s.3gppnetwork.org", subscriber, mnc, mcc)
}

// imsiPlus returns the IMSI n after this one.
func imsiPlus(imsi string, n int) string {
	x, err := strconv.ParseUint(imsi, 10, 64)
	if err != nil {
		return imsi
	}
	next := fmt.Sprintf("%0*d", len(imsi), x+uint64(n))
	return next[len(next)-len(imsi):]
}
