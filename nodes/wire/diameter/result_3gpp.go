package diameter

import "fmt"

// tgppResult makes the results that the 3GPP has given out.
const tgppResult = ResultCode(TGPP) << 32

// Experimental results of the 3GPP.
const (
	AuthenticationDataUnavailable ResultCode = tgppResult | 4181 // TS 29.272, section 7.4.4.1

	UserUnknown               ResultCode = tgppResult | 5001 // TS 29.229, section 6.2.2
	IdentitiesDontMatch       ResultCode = tgppResult | 5002
	IdentityNotRegistered     ResultCode = tgppResult | 5003
	RoamingNotAllowed         ResultCode = tgppResult | 5004
	IdentityAlreadyRegistered ResultCode = tgppResult | 5005
	AuthSchemeNotSupported    ResultCode = tgppResult | 5006
	InAssignmentType          ResultCode = tgppResult | 5007

	IdentityUnknown              ResultCode = tgppResult | 5401 // TS 29.109: of an IMPI, over Zh
	NotAuthorized                ResultCode = tgppResult | 5402 // TS 29.109: of a NAF, over Zn
	TransactionIdentifierInvalid ResultCode = tgppResult | 5403 // ... the B-TID is not known, or no longer

	UserNoNon3GPPSubscription ResultCode = tgppResult | 5450 // TS 29.273, section 10
	UserNoAPNSubscription     ResultCode = tgppResult | 5451
	RATTypeNotAllowed         ResultCode = tgppResult | 5452
	LateOverlappingRequest    ResultCode = tgppResult | 5453
	TimedOutRequest           ResultCode = tgppResult | 5454
)

// vendorResultName names the results of vendors: ResultCode.String.
func vendorResultName(r ResultCode) string {
	switch r {
	case AuthenticationDataUnavailable:
		return "authentication-data-unavailable"
	case UserUnknown:
		return "user-unknown"
	case IdentitiesDontMatch:
		return "identities-dont-match"
	case IdentityNotRegistered:
		return "identity-not-registered"
	case RoamingNotAllowed:
		return "roaming-not-allowed"
	case IdentityAlreadyRegistered:
		return "identity-already-registered"
	case AuthSchemeNotSupported:
		return "auth-scheme-not-supported"
	case InAssignmentType:
		return "in-assignment-type"
	case IdentityUnknown:
		return "identity-unknown"
	case NotAuthorized:
		return "not-authorized"
	case TransactionIdentifierInvalid:
		return "transaction-identifier-invalid"
	case UserNoNon3GPPSubscription:
		return "user-no-non-3gpp-subscription"
	case UserNoAPNSubscription:
		return "user-no-apn-subscription"
	case RATTypeNotAllowed:
		return "rat-type-not-allowed"
	case LateOverlappingRequest:
		return "late-overlapping-request"
	case TimedOutRequest:
		return "timed-out-request"
	}
	return fmt.Sprintf("result-%d-%d", r.Vendor(), r.Number())
}
