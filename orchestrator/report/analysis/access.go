package analysis

import "time"

// A change is a mobile node's end of a link coming up or going down. The lab
// says when it did so, the mobile when it noticed; either may be missing.
type change struct {
	link    string
	up      bool
	at      time.Duration // the earlier of the two
	lab     time.Duration // when the lab did it
	mobile  time.Duration // when the mobile noticed
	labKnew bool
	noticed bool
}

// switched is when it happened: what the lab says, where it says.
func (c *change) switched() time.Duration {
	if c.labKnew {
		return c.lab
	}
	return c.mobile
}

// seen is when the mobile knew of it, as far as that is known.
func (c *change) seen() time.Duration {
	if c.noticed {
		return c.mobile
	}
	return c.lab
}

// noticeWithin is how long after the lab changed a link the mobile's own word of
// it may come, and still be about that change.
const noticeWithin = 2 * time.Second

// changesOf reads the changes of one mobile's links, in the order of time.
func (r *reading) changesOf(node string) []*change {
	var all []*change
	for _, e := range r.events {
		if NodeOf(e) != node {
			continue
		}
		byLab, up := false, false
		switch e.Name {
		case "link-attached":
			byLab, up = true, true
		case "link-detached":
			byLab = true
		case "carrier-gained":
			up = true
		case "carrier-lost":
		default:
			continue
		}
		link := fields(e.Fields).text("link")
		if c := unconfirmed(all, link, up, byLab, e.At); c != nil {
			if byLab {
				c.lab, c.labKnew = e.At, true
			} else {
				c.mobile, c.noticed = e.At, true
			}
			continue
		}
		if isUp(all, link) == up {
			continue // said again, or down before it ever was up
		}
		c := &change{link: link, up: up, at: e.At}
		if byLab {
			c.lab, c.labKnew = e.At, true
		} else {
			c.mobile, c.noticed = e.At, true
		}
		all = append(all, c)
	}
	return all
}

// unconfirmed finds the earliest change that a further word may be about: the
// other side has told of it, this one has not yet.
func unconfirmed(all []*change, link string, up, byLab bool, at time.Duration) *change {
	var found *change
	for i := len(all) - 1; i >= 0 && at-all[i].at <= noticeWithin; i-- {
		c := all[i]
		if c.link != link || c.up != up {
			continue
		}
		if byLab && c.labKnew || !byLab && c.noticed {
			break
		}
		found = c
	}
	return found
}

func isUp(all []*change, link string) bool {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].link == link {
			return all[i].up
		}
	}
	return false
}
