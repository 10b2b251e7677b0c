package ub

import (
	"strings"
	"testing"
	"time"

	"s2clab/nodes/keys"
)

// FuzzClient has a mobile node talk with a server whose responses are changed: it
// must not panic, must come to an end, and must not believe anything that was not signed.
func FuzzClient(f *testing.F) {
	f.Add(401, `Digest realm="bsf.home.example", nonce="", algorithm=AKAv1-MD5, qop="auth-int"`, "", "", []byte(nil), uint8(0))
	f.Add(200, "", `qop=auth-int, rspauth="00", cnonce="01010101010101010101010101010101", nc=00000001`, ContentType, []byte(infoExample), uint8(1))
	f.Add(503, "", "", "", []byte("x"), uint8(2))
	f.Fuzz(func(t *testing.T, status int, challenge, info, kind string, body []byte, when uint8) {
		h := newHome(t)
		c, _ := newClient(t)
		n, changed := uint8(0), false
		h.response = func(r *Response) {
			if n++; n-1 == when%4 {
				was := *r
				*r = Response{Status: status, Challenges: []string{challenge}, AuthenticationInfo: info, ContentType: kind, Body: body, RetryAfter: time.Duration(status) * time.Second}
				changed = r.Status != was.Status || r.AuthenticationInfo != was.AuthenticationInfo || string(r.Body) != string(was.Body)
			}
		}
		switch o := h.run(c, start).(type) {
		case Bootstrapped:
			if changed && h.answers[len(h.answers)-1].Status != 200 {
				t.Fatal("a key without a signed word")
			}
			if keys.Ks(subscriber.F2345(o.GBA.RAND).CK, subscriber.F2345(o.GBA.RAND).IK) != o.GBA.Ks {
				t.Fatal("another key")
			}
		case Refused:
			if o.Reason == "" || strings.ContainsAny(o.Reason, " _") {
				t.Fatalf("reason %q", o.Reason)
			}
		}
		if c.Running() {
			t.Fatal("it goes on")
		}
	})
}

// FuzzServer gives a server requests of strangers: it must not panic, must respond
// to each once or ask for a vector, must keep within its bounds and give nobody a key.
func FuzzServer(f *testing.F) {
	h := newHome(f)
	c, _ := newClient(f)
	h.succeeds(c, start)
	for _, r := range h.requests {
		f.Add(r.Method, r.Target, r.Authorization, r.Body, uint8(3))
	}
	f.Add("GET", "/", `Digest username="a", nonce="x", auts="AAAA", response=""`, []byte("x"), uint8(0))
	f.Fuzz(func(t *testing.T, method, target, authorization string, body []byte, fate uint8) {
		s := NewServer(ServerOptions{Host: bsfHost, Lifetime: time.Minute})
		now := start
		for id := range uint64(6) {
			responses, wants := 0, 0
			out := s.Requested(now, Requested{ID: id, Request: Request{method, target, bsfHost, authorization, body}})
			for len(out) > 0 {
				o := out[0]
				out = out[1:]
				switch o := o.(type) {
				case WantVector:
					wants++
					if fate&(1<<id) == 0 {
						out = append(out, s.Vector(now, o.ID, keys.Vector{RAND: [16]byte{byte(id)}, XRES: []byte("password")})...)
					} else {
						out = append(out, s.NoVector(o.ID, Why(id%2))...)
					}
				case Respond:
					responses++
					if o.ID != id || o.Response.Status == 200 {
						t.Fatalf("%d to %d", o.Response.Status, o.ID)
					}
				case Bootstrapped:
					t.Fatal("a stranger has a key")
				}
			}
			if responses != 1 || wants > 1 {
				t.Fatalf("%d responses, %d vectors", responses, wants)
			}
			now = now.Add(7 * time.Second)
			s.Tick(now)
		}
		if len(s.nonces) > mostOfOne || len(s.fetching) != 0 {
			t.Fatalf("%d challenges, %d fetched", len(s.nonces), len(s.fetching))
		}
	})
}

// FuzzNAFKey asks for keys by octets at random.
func FuzzNAFKey(f *testing.F) {
	h := newHome(f)
	c, _ := newClient(f)
	done := h.succeeds(c, start)
	f.Add(done.GBA.BTID, "ha.home.example", "home.example", []byte("ha.home.example\xff\x42\x85\x00\x01"))
	f.Add("", "", "", []byte("aaa.\xff\x42\x85\x00\x01"))
	f.Fuzz(func(t *testing.T, btid, host, realm string, id []byte) {
		key, denied := h.server.NAFKey(start, btid, NAF{host, realm, id})
		if denied != "" {
			return
		}
		name := strings.ToLower(string(id[:len(id)-5]))
		if btid != done.GBA.BTID || len(key.Key.Value) != 32 || name != strings.ToLower(host) && name != strings.ToLower("aaa."+realm) {
			t.Fatalf("%q of %q was given a key as %q", host, realm, id)
		}
	})
}
