package scenarios

// What tests of the vocabulary see of it.
var (
	Statuses = statuses
	Lies     = lies
	Measures = func() map[string]string {
		out := map[string]string{}
		for _, m := range measures() {
			out[m.name] = m.unit
		}
		return out
	}
	Messages = func() []string { return wordNames(false, true) }
	Events   = func() []string { return wordNames(true, false) }
)
