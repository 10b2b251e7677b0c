package mh

import "fmt"

// A Type is the MH Type of a message: RFC 6275, section 6.1.1.
type Type uint8

// The types with a name: RFC 6275, sections 6.1.2 to 6.1.9; RFC 5142, section
// 4; RFC 5846, section 5.
const (
	TypeBindingRefreshRequest  Type = 0
	TypeHomeTestInit           Type = 1
	TypeCareOfTestInit         Type = 2
	TypeHomeTest               Type = 3
	TypeCareOfTest             Type = 4
	TypeBindingUpdate          Type = 5
	TypeBindingAcknowledgement Type = 6
	TypeBindingError           Type = 7
	TypeHomeAgentSwitch        Type = 12
	TypeBindingRevocation      Type = 16
)

// String is the name of the type in journals, scenarios and ladders.
func (t Type) String() string {
	switch t {
	case TypeBindingRefreshRequest:
		return "binding-refresh-request"
	case TypeHomeTestInit:
		return "home-test-init"
	case TypeCareOfTestInit:
		return "care-of-test-init"
	case TypeHomeTest:
		return "home-test"
	case TypeCareOfTest:
		return "care-of-test"
	case TypeBindingUpdate:
		return "binding-update"
	case TypeBindingAcknowledgement:
		return "binding-acknowledgement"
	case TypeBindingError:
		return "binding-error"
	case TypeHomeAgentSwitch:
		return "home-agent-switch"
	case TypeBindingRevocation:
		return "binding-revocation"
	}
	return fmt.Sprintf("mobility-message-%d", uint8(t))
}

// Name is the name of m in journals, scenarios and ladders: that of its type,
// but for the two messages that share one.
func Name(m Message) string {
	switch m.(type) {
	case *BindingRevocationIndication:
		return "binding-revocation-indication"
	case *BindingRevocationAcknowledgement:
		return "binding-revocation-acknowledgement"
	}
	return m.Type().String()
}

// fixedLen is how much message data stands before the options of a type. A
// header shorter than that is refused: RFC 6275, section 9.2.
func fixedLen(t Type) int {
	switch t {
	case TypeBindingRefreshRequest, TypeHomeAgentSwitch:
		return 2
	case TypeHomeTestInit, TypeCareOfTestInit:
		return 10
	case TypeHomeTest, TypeCareOfTest, TypeBindingError:
		return 18
	case TypeBindingUpdate, TypeBindingAcknowledgement, TypeBindingRevocation:
		return 6
	}
	return 0
}
