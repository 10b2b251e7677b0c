//go:build race

package ha

// raceDetector is on: sync.Pool then forgets at random, and allocates.
const raceDetector = true
