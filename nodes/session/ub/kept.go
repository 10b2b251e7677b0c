package ub

import (
	"strings"
	"time"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/bootstrap"
)

// kept are the bootstrappings of a Server, in memory alone. Each identity has one:
// the last. All have the same lifetime, so that the oldest ends first.
type kept struct {
	byBTID map[string]*bootstrapping
	byIMPI map[string]*bootstrapping
	line   []*bootstrapping // the oldest first, with some that are replaced
}

type bootstrapping struct {
	keys.GBA
	autn     [16]byte // of its challenge
	since    time.Time
	replaced bool
}

func newKept() kept {
	return kept{byBTID: map[string]*bootstrapping{}, byIMPI: map[string]*bootstrapping{}}
}

func (k *kept) has(btid string) bool { return k.byBTID[btid] != nil }

// add keeps a bootstrapping, in the place of the oldest where there are too many.
func (k *kept) add(b *bootstrapping) {
	k.drop(k.byIMPI[b.IMPI])
	for len(k.byBTID) >= mostKept {
		k.shift()
	}
	if len(k.line) >= 2*mostKept { // most of them are replaced
		k.compact()
	}
	k.byBTID[b.BTID], k.byIMPI[b.IMPI] = b, b
	k.line = append(k.line, b)
}

func (k *kept) drop(b *bootstrapping) {
	if b == nil || b.replaced {
		return
	}
	b.replaced = true
	delete(k.byBTID, b.BTID)
	delete(k.byIMPI, b.IMPI)
	b.Ks = [32]byte{}
}

func (k *kept) shift() {
	k.drop(k.line[0])
	k.line[0] = nil
	k.line = k.line[1:]
}

func (k *kept) compact() {
	var left []*bootstrapping
	for _, b := range k.line {
		if !b.replaced {
			left = append(left, b)
		}
	}
	k.line = left
}

func (k *kept) deadline() time.Time {
	if len(k.line) == 0 {
		return time.Time{}
	}
	return k.line[0].Ends
}

func (k *kept) expire(now time.Time) (out []Output) {
	for len(k.line) > 0 && !now.Before(k.line[0].Ends) {
		if b := k.line[0]; !b.replaced {
			out = append(out, Ended{IMPI: b.IMPI, BTID: b.BTID})
		}
		k.shift()
	}
	return out
}

// Kept is how many bootstrappings there are.
func (s *Server) Kept() int { return len(s.kept.byBTID) }

// A NAF is a network application function that asks for its key over Zn: TS 33.220,
// section 4.5.3.
type NAF struct {
	Host, Realm string // Origin-Host and Origin-Realm of the request
	ID          []byte // NAF-Id: the FQDN that it says it has, and the Ua security protocol identifier of 5 octets
}

// A Denial is why a network application function is not given a key; empty: it is.
type Denial string

const (
	NotAuthorized Denial = "naf-not-authorized" // it may not have the key of that NAF_Id
	UnknownBTID   Denial = "b-tid-unknown"      // or no longer known
)

// A NAFKey is what a network application function is given.
type NAFKey struct {
	Key     keys.Derived // Ks_NAF, 32 octets
	IMPI    string
	Created time.Time
	Ends    time.Time
}

// NAFKey makes the key of a network application function out of the bootstrapping
// of that B-TID. TS 33.220, section 4.5.3, has the BSF verify that whoever asks may
// use that name: it is its own, or the one that the AAA servers of its realm share.
func (s *Server) NAFKey(now time.Time, btid string, naf NAF) (NAFKey, Denial) {
	fqdn, ok := naf.fqdn()
	if !ok || !same(fqdn, naf.Host) && !same(fqdn, bootstrap.ServersOf(naf.Realm)) {
		return NAFKey{}, NotAuthorized
	}
	b := s.kept.byBTID[btid]
	if b == nil || !now.Before(b.Ends) {
		return NAFKey{}, UnknownBTID
	}
	key, err := keys.KsNAF(b.Ks, b.RAND, b.IMPI, naf.ID)
	if err != nil {
		return NAFKey{}, NotAuthorized // no FQDN is so long
	}
	return NAFKey{
		Key: keys.Derived{
			Name: keys.NameKsNAF, Of: []keys.Ancestor{keys.Of(keys.NameKs, b.Ks[:])},
			How: `HMAC-SHA256(Ks, 01 | "gba-me" | RAND | IMPI | NAF_Id of ` + fqdn + ")", Value: key[:], Lifetime: b.Ends.Sub(now),
		},
		IMPI: b.IMPI, Created: b.since, Ends: b.Ends,
	}, ""
}

// fqdn is the name in a NAF_Id.
func (n *NAF) fqdn() (string, bool) {
	at := len(n.ID) - len(bootstrap.Ua)
	if at <= 0 || at > mostIdentity {
		return "", false
	}
	for _, c := range n.ID[:at] {
		if c <= ' ' || c > '~' {
			return "", false
		}
	}
	return string(n.ID[:at]), true
}

// same compares an FQDN, which is ASCII, with a name that somebody tells: letters that
// only Unicode takes for the same are longer.
func same(fqdn, told string) bool { return len(fqdn) == len(told) && strings.EqualFold(fqdn, told) }
