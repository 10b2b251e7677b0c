package mh

import "encoding/binary"

// A ReplayProtection says when a Binding Update was made, so that it is good
// only once: RFC 4285, section 6. Others call it the Message Identifier.
type ReplayProtection struct {
	Timestamp uint64 // NTP format: seconds since 1900 modulo 2^32, then the fraction
}

// Type is OptionReplayProtection.
func (ReplayProtection) Type() OptionType { return OptionReplayProtection }

func (ReplayProtection) align() (n, k int) { return 8, 2 }

func (o ReplayProtection) appendData(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint64(b, o.Timestamp), nil
}

func parseReplayProtection(b []byte) (Option, error) {
	if err := want(b, 8); err != nil {
		return nil, err
	}
	return ReplayProtection{Timestamp: binary.BigEndian.Uint64(b)}, nil
}
