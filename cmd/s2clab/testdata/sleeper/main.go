// Command sleeper does nothing: what a Go process costs that has nothing to do.
package main

import "time"

func main() {
	for {
		time.Sleep(time.Hour)
	}
}
