package strict

import (
	"fmt"
	"slices"
	"strings"
)

// shownWords is how many right words a hint lists.
const shownWords = 16

// Suggest makes a hint from the words that could have stood where word stands:
// the nearest one where there is one, then all of them under the name kind.
func Suggest(word, kind string, words []string) string {
	var parts []string
	if near := Nearest(word, words); near != "" {
		parts = append(parts, fmt.Sprintf("did you mean %q?", near))
	}
	switch {
	case len(words) == 0:
		parts = append(parts, "there are no "+kind)
	case len(words) > shownWords:
		parts = append(parts, fmt.Sprintf("%s: %s and %d more", kind, strings.Join(words[:shownWords], ", "), len(words)-shownWords))
	default:
		parts = append(parts, kind+": "+strings.Join(words, ", "))
	}
	return strings.Join(parts, " ")
}

// Nearest returns the one of words that word was most likely meant to be, or
// "" where none is near. Case, hyphens and underscores count for little.
func Nearest(word string, words []string) string {
	if len(word) > 64 {
		return ""
	}
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(s))
	}
	const most = 256 // words looked at: a file may have very many names, and wrong ones
	best, bestDistance := "", 1<<30
	for _, w := range words[:min(len(words), most)] {
		d, limit := 1<<20, max(1, min(len(word), len(w))/3)
		if n := len(plain(word)) - len(plain(w)); -limit <= n && n <= limit {
			d = distance(plain(word), plain(w))
		}
		if len(word) >= 3 && strings.HasPrefix(plain(w), plain(word)) {
			d = min(d, limit) // the beginning of a word stands for it
		}
		if d <= limit && d < bestDistance && d < len(plain(w)) {
			best, bestDistance = w, d
		}
	}
	return best
}

// distance is the number of letters to insert, drop, change or swap with their
// neighbour that makes b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// Sorted returns the words in alphabetical order, for hints.
func Sorted(words []string) []string {
	out := slices.Clone(words)
	slices.Sort(out)
	return out
}
