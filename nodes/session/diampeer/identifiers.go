package diampeer

import (
	"strconv"
	"time"
)

// identifiers are those that requests of our own get. They differ from those of
// an earlier start.
type identifiers struct {
	host     string
	endToEnd uint32 // the last one
	session  uint64 // the 64 bits of the next Session-Id
}

func newIdentifiers(l *Local, start time.Time) identifiers {
	return identifiers{
		host: l.Host,
		// RFC 6733, section 3: the low 12 bits of the time, then 20 at random.
		endToEnd: uint32(start.Unix())<<20 | l.Rand.Uint32()>>12,
		session:  uint64(uint32(start.Unix()+2208988800)) << 32, // section 8.8: NTP
	}
}

// nextEndToEnd gives an End-to-End Identifier; 0 is none.
func (i *identifiers) nextEndToEnd() uint32 {
	if i.endToEnd++; i.endToEnd == 0 {
		i.endToEnd++
	}
	return i.endToEnd
}

// nextSession gives a Session-Id: RFC 6733, section 8.8.
func (i *identifiers) nextSession() string {
	id := i.host + ";" + strconv.FormatUint(i.session>>32, 10) + ";" + strconv.FormatUint(i.session&0xffffffff, 10)
	i.session++
	return id
}
