package mh

import "fmt"

// A Status says what became of a Binding Update. Values below 128 accept it:
// RFC 6275, section 6.1.8.
type Status uint8

// Statuses of a Binding Acknowledgement: RFC 6275, section 6.1.8; RFC 3963,
// section 4.2; RFC 4285, section 8; RFC 5149, section 6; RFC 5648, section 4.4.
const (
	Accepted                  Status = 0
	AcceptedPrefixDiscovery   Status = 1 // accepted, but prefix discovery is necessary
	MCoANotComplete           Status = 4 // accepted, but not all bindings
	MCoAReturnHomeNoNDP       Status = 5 // accepted, but no neighbour discovery for the home address
	Unspecified               Status = 128
	Prohibited                Status = 129
	InsufficientResources     Status = 130
	HomeRegUnsupported        Status = 131
	NotHomeSubnet             Status = 132
	NotHomeAgent              Status = 133 // not the home agent for this mobile node
	DADFailed                 Status = 134
	SequenceOutOfWindow       Status = 135
	ExpiredHomeNonce          Status = 136
	ExpiredCareOfNonce        Status = 137
	ExpiredNonces             Status = 138
	RegTypeChange             Status = 139 // registration type change disallowed
	MobileRouterNotPermitted  Status = 140
	InvalidPrefix             Status = 141
	NotAuthorizedForPrefix    Status = 142
	ForwardingSetupFailed     Status = 143
	IDMismatch                Status = 144 // MIPV6-ID-MISMATCH; RFC 5555, section 4.4.2, says 144 too when it refuses the F flag
	MessageIDRequired         Status = 145 // MIPV6-MESG-ID-REQD
	AuthFail                  Status = 146 // MIPV6-AUTH-FAIL
	ForceUDPRefused           Status = 144 // the F flag is not granted: RFC 5555, section 4.5; without a timestamp beside it, which IDMismatch has
	ServiceAuthorizationFails Status = 151 // SERVICE_AUTHORIZATION_FAILED
	MCoAMalformed             Status = 164
	MCoANonMCoABindingExists  Status = 165
	MCoAProhibited            Status = 166
	MCoAUnknownCareOf         Status = 167
	MCoABulkProhibited        Status = 168
	MCoAHomeForeignProhibited Status = 169 // at home and away at once
	InvalidCareOf             Status = 174
)

// Accepts says whether the Binding Update was accepted.
func (s Status) Accepts() bool { return s < 128 }

// String is the status in the words of its RFC, in kebab-case; status-N where
// it has no name here.
func (s Status) String() string {
	switch s {
	case Accepted:
		return "accepted"
	case AcceptedPrefixDiscovery:
		return "accepted-prefix-discovery-necessary"
	case MCoANotComplete:
		return "mcoa-not-complete"
	case MCoAReturnHomeNoNDP:
		return "mcoa-return-home-without-ndp"
	case Unspecified:
		return "reason-unspecified"
	case Prohibited:
		return "administratively-prohibited"
	case InsufficientResources:
		return "insufficient-resources"
	case HomeRegUnsupported:
		return "home-registration-not-supported"
	case NotHomeSubnet:
		return "not-home-subnet"
	case NotHomeAgent:
		return "not-home-agent"
	case DADFailed:
		return "duplicate-address-detection-failed"
	case SequenceOutOfWindow:
		return "sequence-number-out-of-window"
	case ExpiredHomeNonce:
		return "expired-home-nonce-index"
	case ExpiredCareOfNonce:
		return "expired-care-of-nonce-index"
	case ExpiredNonces:
		return "expired-nonces"
	case RegTypeChange:
		return "registration-type-change-disallowed"
	case MobileRouterNotPermitted:
		return "mobile-router-operation-not-permitted"
	case InvalidPrefix:
		return "invalid-prefix"
	case NotAuthorizedForPrefix:
		return "not-authorized-for-prefix"
	case ForwardingSetupFailed:
		return "forwarding-setup-failed"
	case IDMismatch:
		return "id-mismatch"
	case MessageIDRequired:
		return "message-id-required"
	case AuthFail:
		return "authentication-failed"
	case ServiceAuthorizationFails:
		return "service-authorization-failed"
	case MCoAMalformed:
		return "mcoa-malformed"
	case MCoANonMCoABindingExists:
		return "mcoa-non-mcoa-binding-exists"
	case MCoAProhibited:
		return "mcoa-prohibited"
	case MCoAUnknownCareOf:
		return "mcoa-unknown-care-of-address"
	case MCoABulkProhibited:
		return "mcoa-bulk-registration-prohibited"
	case MCoAHomeForeignProhibited:
		return "mcoa-simultaneous-home-and-foreign-prohibited"
	case InvalidCareOf:
		return "invalid-care-of-address"
	}
	return fmt.Sprintf("status-%d", uint8(s))
}
