package capture

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Ub is HTTP between a mobile node and a bootstrapping server: TS 33.220, section 4.5.2,
// and TS 24.109, section 4. Other HTTP is data.
var (
	httpRequests  = protocol{httpLength, ubRequest}
	httpResponses = protocol{httpLength, ubResponse}
)

// speaksUb is what both sides say to tell the other so: TS 24.109, section 4.
const speaksUb = "3gpp-gba"

const maxHeader = 16 << 10 // octets of an HTTP header

var errNotHTTP = errors.New("no message of HTTP/1")

// httpLength gives the length of the message that b begins with: of its header, and of
// its body where Content-Length tells. A body of which only the end of the connection
// tells the length is no message's that is read.
func httpLength(b []byte) (n int, told bool, err error) {
	line, _, whole := bytes.Cut(b[:min(len(b), maxHeader)], []byte("\r\n"))
	if whole && !bytes.HasPrefix(line, []byte("HTTP/1.")) && !bytes.Contains(line, []byte(" HTTP/1.")) {
		return 0, false, errNotHTTP
	}
	end := bytes.Index(b[:min(len(b), maxHeader)], []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(b) >= maxHeader:
		return 0, false, errNotHTTP
	case end < 0:
		return 0, false, nil
	}
	body := 0
	for field := range bytes.SplitSeq(b[:end], []byte("\r\n")) {
		name, value, _ := bytes.Cut(field, []byte(":"))
		if strings.EqualFold(string(name), "Content-Length") {
			if body, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || body < 0 || body > maxMessage {
				return 0, false, errNotHTTP
			}
		}
	}
	return end + 4 + body, true, nil
}

func ubRequest(b []byte) (Message, bool) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil || !strings.Contains(r.UserAgent(), speaksUb) {
		return Message{}, false
	}
	f := map[string]any{"request": r.Method + " " + r.RequestURI, "host": r.Host}
	if field := r.Header.Get("Authorization"); field != "" {
		f["authorization"] = "identity"
		if v := directive(field, "response"); v != "" {
			f["authorization"] = "response"
		}
		if v := directive(field, "auts"); v != "" {
			f["authorization"] = "auts"
		}
		if v := directive(field, "username"); v != "" {
			f["nai"] = v
		}
		tellChallenge(field, f)
	}
	return Message{"ub-request", f}, true
}

func ubResponse(b []byte) (Message, bool) {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil || !strings.Contains(r.Header.Get("Server"), speaksUb) {
		return Message{}, false
	}
	defer r.Body.Close()
	f := map[string]any{"code": float64(r.StatusCode), "name": strings.ToLower(strings.ReplaceAll(http.StatusText(r.StatusCode), " ", "-"))}
	if field := r.Header.Get("WWW-Authenticate"); field != "" {
		f["algorithm"] = directive(field, "algorithm")
		tellChallenge(field, f)
	}
	if r.StatusCode == http.StatusOK {
		_, after, _ := bytes.Cut(b, []byte("\r\n\r\n"))
		if id := inElement(after, "btid"); id != "" {
			f["b-tid"] = id
		}
	}
	return Message{"ub-response", f}, true
}

// directives are those of HTTP Digest: RFC 2617, section 3.2.
var directives = regexp.MustCompile(`([A-Za-z][A-Za-z0-9-]*)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))`)

// directive is the value of the first of that name; empty: there is none.
func directive(field, name string) string {
	for _, m := range directives.FindAllStringSubmatch(field, -1) {
		if strings.EqualFold(m[1], name) {
			return strings.ToValidUTF8(m[2]+m[3], "\ufffd")
		}
	}
	return ""
}

// tellChallenge tells RAND, with which the nonce of Digest AKA begins: RFC 3310, section
// 3.2. What follows it is not told.
func tellChallenge(field string, f map[string]any) {
	if nonce, err := base64.StdEncoding.DecodeString(directive(field, "nonce")); err == nil && len(nonce) >= 32 {
		f["rand"] = hex.EncodeToString(nonce[:16])
	}
}

// inElement is what stands in an element of XML that holds text alone.
func inElement(b []byte, name string) string {
	_, rest, there := bytes.Cut(b, []byte("<"+name+">"))
	text, _, closed := bytes.Cut(rest, []byte("</"))
	if !there || !closed || len(text) > 512 {
		return ""
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(text)), "\ufffd")
}
