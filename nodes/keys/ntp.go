package keys

import "time"

// ntpEpoch is 1900-01-01 in Unix time.
const ntpEpoch = -2208988800

// NTP gives t in the NTP format of RFC 4285, section 6: seconds since
// 1900 modulo 2^32 in the upper half, the fraction of a second in the lower.
func NTP(t time.Time) uint64 {
	seconds := uint64(uint32(t.Unix() - ntpEpoch))
	return seconds<<32 | uint64(t.Nanosecond())<<32/1e9
}

// NTPTime gives the time that an NTP timestamp means. Of the times that share a
// timestamp, 136 years apart, it gives the one nearest to near.
func NTPTime(stamp uint64, near time.Time) time.Time {
	return near.Add(Until(near, stamp))
}

// Until is the time from now to the nearest time that the timestamp means,
// within 68 years; negative where that has passed.
func Until(now time.Time, stamp uint64) time.Duration {
	d := int64(stamp - NTP(now)) // in units of 2^-32 s, round the circle
	seconds, fraction := d>>32, d&(1<<32-1)
	return time.Duration(seconds)*time.Second + time.Duration((fraction*1e9+1<<31)>>32)
}
