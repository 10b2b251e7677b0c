package diameter

import "fmt"

// A ResultCode is the value of a Result-Code AVP (RFC 6733, section 7.1) or, with
// its vendor in the high 32 bits, of an Experimental-Result (section 7.6).
type ResultCode uint64

// Number is the code alone.
func (r ResultCode) Number() uint32 { return uint32(r) }

// Vendor is whose result it is; 0: the IETF's.
func (r ResultCode) Vendor() uint32 { return uint32(r >> 32) }

const (
	MultiRoundAuth ResultCode = 1001

	Success           ResultCode = 2001
	LimitedSuccess    ResultCode = 2002
	SuccessRelocateHA ResultCode = 2009 // RFC 5778, section 7.1

	// Protocol errors: in answers with the E bit only.
	CommandUnsupported     ResultCode = 3001
	UnableToDeliver        ResultCode = 3002
	RealmNotServed         ResultCode = 3003
	TooBusy                ResultCode = 3004
	LoopDetected           ResultCode = 3005
	RedirectIndication     ResultCode = 3006
	ApplicationUnsupported ResultCode = 3007
	InvalidHeaderBits      ResultCode = 3008
	InvalidAVPBits         ResultCode = 3009
	UnknownPeer            ResultCode = 3010

	AuthenticationRejected ResultCode = 4001
	OutOfSpace             ResultCode = 4002
	ElectionLost           ResultCode = 4003
	HomeAgentNotAvailable  ResultCode = 4006 // RFC 4004, section 6.1

	AVPUnsupported        ResultCode = 5001
	UnknownSessionID      ResultCode = 5002
	AuthorizationRejected ResultCode = 5003
	InvalidAVPValue       ResultCode = 5004
	MissingAVP            ResultCode = 5005
	ResourcesExceeded     ResultCode = 5006
	ContradictingAVPs     ResultCode = 5007
	AVPNotAllowed         ResultCode = 5008
	AVPTooManyTimes       ResultCode = 5009
	NoCommonApplication   ResultCode = 5010
	UnsupportedVersion    ResultCode = 5011
	UnableToComply        ResultCode = 5012
	InvalidBitInHeader    ResultCode = 5013
	InvalidAVPLength      ResultCode = 5014
	InvalidMessageLength  ResultCode = 5015
	InvalidAVPBitCombo    ResultCode = 5016
	NoCommonSecurity      ResultCode = 5017
	ErrorMIP6AuthMode     ResultCode = 5041 // RFC 5778, section 7.2
)

// Succeeded says whether the request was served: a code of 2xxx.
func (r ResultCode) Succeeded() bool { return r.Number()/1000 == 2 }

// ProtocolError says whether the code is of those that go with the E bit: RFC
// 6733, section 7.1.3. No vendor has any.
func (r ResultCode) ProtocolError() bool { return r/1000 == 3 }

// String is the standard's name in kebab-case, without "diameter" and, of
// the 3GPP's, "error"; a code without a name here is result- and its number, after that of its vendor.
func (r ResultCode) String() string {
	switch r {
	case MultiRoundAuth:
		return "multi-round-auth"
	case Success:
		return "success"
	case LimitedSuccess:
		return "limited-success"
	case SuccessRelocateHA:
		return "success-relocate-ha"
	case CommandUnsupported:
		return "command-unsupported"
	case UnableToDeliver:
		return "unable-to-deliver"
	case RealmNotServed:
		return "realm-not-served"
	case TooBusy:
		return "too-busy"
	case LoopDetected:
		return "loop-detected"
	case RedirectIndication:
		return "redirect-indication"
	case ApplicationUnsupported:
		return "application-unsupported"
	case InvalidHeaderBits:
		return "invalid-hdr-bits"
	case InvalidAVPBits:
		return "invalid-avp-bits"
	case UnknownPeer:
		return "unknown-peer"
	case AuthenticationRejected:
		return "authentication-rejected"
	case OutOfSpace:
		return "out-of-space"
	case ElectionLost:
		return "election-lost"
	case HomeAgentNotAvailable:
		return "error-ha-not-available"
	case AVPUnsupported:
		return "avp-unsupported"
	case UnknownSessionID:
		return "unknown-session-id"
	case AuthorizationRejected:
		return "authorization-rejected"
	case InvalidAVPValue:
		return "invalid-avp-value"
	case MissingAVP:
		return "missing-avp"
	case ResourcesExceeded:
		return "resources-exceeded"
	case ContradictingAVPs:
		return "contradicting-avps"
	case AVPNotAllowed:
		return "avp-not-allowed"
	case AVPTooManyTimes:
		return "avp-occurs-too-many-times"
	case NoCommonApplication:
		return "no-common-application"
	case UnsupportedVersion:
		return "unsupported-version"
	case UnableToComply:
		return "unable-to-comply"
	case InvalidBitInHeader:
		return "invalid-bit-in-header"
	case InvalidAVPLength:
		return "invalid-avp-length"
	case InvalidMessageLength:
		return "invalid-message-length"
	case InvalidAVPBitCombo:
		return "invalid-avp-bit-combo"
	case NoCommonSecurity:
		return "no-common-security"
	case ErrorMIP6AuthMode:
		return "error-mip6-auth-mode"
	}
	if r.Vendor() != 0 {
		return vendorResultName(r)
	}
	return fmt.Sprintf("result-%d", r.Number())
}
