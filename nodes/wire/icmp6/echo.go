package icmp6

import "encoding/binary"

// An EchoRequest asks for an EchoReply: RFC 4443, section 4.1.
type EchoRequest struct {
	Identifier, Seq uint16
	Payload         []byte
}

// Type is TypeEchoRequest.
func (m *EchoRequest) Type() Type { return TypeEchoRequest }

func (m *EchoRequest) code() uint8 { return 0 }

func (m *EchoRequest) appendBody(b []byte) ([]byte, error) {
	return appendEcho(b, m.Identifier, m.Seq, m.Payload), nil
}

// An EchoReply answers an EchoRequest, all of which it copies: RFC 4443,
// section 4.2.
type EchoReply struct {
	Identifier, Seq uint16
	Payload         []byte
}

// Type is TypeEchoReply.
func (m *EchoReply) Type() Type { return TypeEchoReply }

func (m *EchoReply) code() uint8 { return 0 }

func (m *EchoReply) appendBody(b []byte) ([]byte, error) {
	return appendEcho(b, m.Identifier, m.Seq, m.Payload), nil
}

func appendEcho(b []byte, id, seq uint16, payload []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, seq)
	return append(b, payload...)
}
