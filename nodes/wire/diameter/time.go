package diameter

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Time: RFC 6733, section 4.3.1, which has it as the seconds of NTP. From
// 2036-02-07T06:28:16Z on, those begin again at 0, and the highest bit tells the
// two eras apart: RFC 5905, section 6.
var (
	ntpEpoch    = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	ntpEarliest = ntpEpoch + 1<<31
	ntpLatest   = ntpEpoch + 1<<32 + 1<<31 - 1
)

// appendTime appends an AVP of type Time in whole seconds; the zero time appends
// nothing.
func appendTime(b []byte, c Code, t time.Time) ([]byte, error) {
	if t.IsZero() {
		return b, nil
	}
	if t.Unix() < ntpEarliest || t.Unix() > ntpLatest || t.Nanosecond() != 0 {
		return nil, fmt.Errorf("%v: %v, want a whole second from %v to %v", c, t, time.Unix(ntpEarliest, 0).UTC(), time.Unix(ntpLatest, 0).UTC())
	}
	return appendUint32(b, c, uint32(t.Unix()-ntpEpoch)), nil
}

// instant is the value of the first AVP with that code as a time in UTC; zero:
// there is none.
func instant(avps []AVP, c Code) time.Time {
	a := find(avps, c)
	if a == nil || len(a.Data) != 4 {
		return time.Time{}
	}
	seconds := int64(binary.BigEndian.Uint32(a.Data))
	if seconds < 1<<31 {
		seconds += 1 << 32
	}
	return time.Unix(ntpEpoch+seconds, 0).UTC()
}
