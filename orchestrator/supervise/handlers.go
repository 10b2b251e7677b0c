package supervise

import "s2clab/orchestrator/door"

// handlers are all that can be asked of a lab.
func (s *server) handlers() map[string]door.Handler {
	return map[string]door.Handler{
		"probe":       s.probe,
		"up":          s.up,
		"run":         s.run,
		"play":        s.play,
		"capture":     s.capture,
		"status":      s.status,
		"logs":        s.logs,
		"exec":        s.exec,
		"link":        s.link,
		"move":        s.move,
		"subscribers": s.subscribers,
		"down":        s.down,
	}
}
