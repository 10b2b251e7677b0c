package eapaka

import (
	"container/list"
	"slices"
)

// Aliases is what an AAA server remembers of the names that it gave to subscribers,
// across authentications: RFC 4187, section 4.1.1.7.
type Aliases interface {
	// Pseudonym is whose a pseudonym is; false: nobody's.
	Pseudonym(username string) (imsi string, known bool)
	// KeepPseudonym keeps a new pseudonym, and the one that was used last.
	KeepPseudonym(imsi, issued, used string)
	// TakeContext gives the context of a re-authentication identity, by its
	// username, and forgets it: it is good for one time.
	TakeContext(username string) (*Context, bool)
	// KeepContext keeps a context under a new re-authentication identity.
	KeepContext(username string, c *Context)
}

// An AliasTable is Aliases in memory. It is bounded: the oldest give way.
type AliasTable struct {
	most       int
	pseudonyms map[string]string   // to IMSIs
	of         map[string][]string // of an IMSI, the newest last
	line       *list.List          // of IMSIs, the one whose pseudonyms are oldest first
	places     map[string]*list.Element
	contexts   map[string]*list.Element // of lineOf, by usernames
	lineOf     *list.List
}

type keptContext struct {
	username string
	context  *Context
}

// mostPseudonyms of one subscriber are good at a time: the one used last and the
// one issued last, for two UEs or two accesses.
const mostPseudonyms = 4

// NewAliasTable makes an empty table for the pseudonyms of that many subscribers,
// and as many contexts.
func NewAliasTable(most int) *AliasTable {
	return &AliasTable{
		most: max(most, 1), pseudonyms: map[string]string{}, of: map[string][]string{}, line: list.New(), places: map[string]*list.Element{},
		contexts: map[string]*list.Element{}, lineOf: list.New(),
	}
}

// Pseudonym is one of the Aliases.
func (t *AliasTable) Pseudonym(username string) (string, bool) {
	imsi, ok := t.pseudonyms[username]
	return imsi, ok
}

// KeepPseudonym is one of the Aliases.
func (t *AliasTable) KeepPseudonym(imsi, issued, used string) {
	if place := t.places[imsi]; place != nil {
		t.line.MoveToBack(place)
	} else {
		t.places[imsi] = t.line.PushBack(imsi)
	}
	if i := slices.Index(t.of[imsi], used); i >= 0 {
		t.of[imsi] = append(slices.Delete(t.of[imsi], i, i+1), used)
	}
	t.of[imsi] = append(t.of[imsi], issued)
	t.pseudonyms[issued] = imsi
	if all := t.of[imsi]; len(all) > mostPseudonyms {
		delete(t.pseudonyms, all[0])
		t.of[imsi] = slices.Delete(all, 0, 1)
	}
	for len(t.places) > t.most {
		oldest := t.line.Remove(t.line.Front()).(string)
		for _, username := range t.of[oldest] {
			delete(t.pseudonyms, username)
		}
		delete(t.of, oldest)
		delete(t.places, oldest)
	}
}

// TakeContext is one of the Aliases.
func (t *AliasTable) TakeContext(username string) (*Context, bool) {
	place, ok := t.contexts[username]
	if !ok {
		return nil, false
	}
	delete(t.contexts, username)
	return t.lineOf.Remove(place).(keptContext).context, true
}

// KeepContext is one of the Aliases.
func (t *AliasTable) KeepContext(username string, c *Context) {
	t.TakeContext(username)
	t.contexts[username] = t.lineOf.PushBack(keptContext{username, c})
	for len(t.contexts) > t.most {
		oldest := t.lineOf.Remove(t.lineOf.Front()).(keptContext)
		delete(t.contexts, oldest.username)
	}
}
