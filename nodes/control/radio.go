package control

// A Signal tells a mobile node what its radio hears on a device: command signal.
type Signal struct {
	Dev   string   `json:"dev"`
	Level *float64 `json:"level"` // dBm; nil: nothing is heard, or it is not told
}
