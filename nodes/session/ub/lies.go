package ub

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"s2clab/nodes/keys"
)

// A Lie is what a Server may be told to say for a lab to see that a mobile node finds
// it out. What it keeps is as true as ever.
type Lie string

// Lies. Truth is none.
const (
	Truth          Lie = "truth"
	LieMAC         Lie = "mac"          // the AUTN of challenges is not the HSS's
	LieReplay      Lie = "replay"       // a challenge is that of the identity's bootstrapping, where it has one
	LieRspauth     Lie = "rspauth"      // the last word is not signed with XRES
	LieBTID        Lie = "b-tid"        // it names another challenge
	LieLifetime    Lie = "lifetime"     // it is over
	LieContentType Lie = "content-type" // it is text/plain
	LieBody        Lie = "body"         // it is longer than any may be
)

// Lies are all of them.
var Lies = []Lie{Truth, LieMAC, LieReplay, LieRspauth, LieBTID, LieLifetime, LieContentType, LieBody}

// Lie makes a Server tell that lie from now on, and says whether there is such a one.
func (s *Server) Lie(l Lie) bool {
	if !slices.Contains(Lies, l) {
		return false
	}
	s.lie = l
	return true
}

// challenged is the vector of whose RAND and AUTN a challenge is made.
func (s *Server) challenged(impi string, v keys.Vector) keys.Vector {
	switch former := s.kept.byIMPI[impi]; {
	case s.lie == LieMAC:
		v.AUTN[15] ^= 1
	case s.lie == LieReplay && former != nil:
		v.RAND, v.AUTN = former.RAND, former.autn
	}
	return v
}

// lastWord is the body that a mobile node is sent and its type, about a bootstrapping.
func (s *Server) lastWord(now time.Time, g *keys.GBA) (body []byte, kind string) {
	info, kind := Info{BTID: g.BTID, Lifetime: g.Ends}, ContentType
	switch s.lie {
	case LieBTID:
		info.BTID = keys.BTID([16]byte{}, s.o.Host)
	case LieLifetime:
		info.Lifetime = now.Add(-s.o.Lifetime)
	case LieContentType:
		kind = "text/plain"
	}
	body = info.Append(nil)
	if s.lie == LieBody {
		body = append(body, bytes.Repeat([]byte(" "), MostBody)...)
	}
	return body, kind
}

// signature is what rspauth says.
func (s *Server) signature(d *keys.Digest, xres []byte) string {
	if s.lie == LieRspauth {
		return strings.Repeat("0", 32)
	}
	return d.ResponseAuth(xres)
}
