//go:build !race

package ha

const raceDetector = false
