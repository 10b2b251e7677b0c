package diampeer

import "strings"

// hosts remember by which peer a host that is none was heard last, so that what
// must reach it goes the same way back. Of two generations, the older one goes
// when the younger is full.
type hosts struct {
	recent, former map[string]heard
}

type heard struct {
	via   string // Diameter identity of the peer
	realm string // of the host
}

const mostHosts = 4096 // in both generations

// hear takes note of the origin of a message.
func (h *hosts) hear(host, realm, via string) {
	if host == "" || strings.EqualFold(host, via) {
		return
	}
	if len(h.recent) >= mostHosts/2 {
		h.recent, h.former = nil, h.recent
	}
	if h.recent == nil {
		h.recent = map[string]heard{}
	}
	h.recent[strings.ToLower(host)] = heard{via, realm}
}

// of finds a host.
func (h *hosts) of(host string) (heard, bool) {
	host = strings.ToLower(host)
	if found, ok := h.recent[host]; ok {
		return found, true
	}
	found, ok := h.former[host]
	return found, ok
}
