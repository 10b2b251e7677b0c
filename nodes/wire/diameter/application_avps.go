package diameter

import "fmt"

// What follows is said in the same AVPs by many commands of the 3GPP.

// known refuses a command in an application that does not have it.
func (h Header) known() error {
	if grammarOf(h.Command, h.Application, h.Flags) == nil {
		return fmt.Errorf("%v: there is no such command in %v", h.Command, h.Application)
	}
	return nil
}

// appendStateless appends an application of the 3GPP in which the HSS keeps no
// state of sessions: TS 29.273, section 8.2.2.
func appendStateless(b []byte, a Application) []byte {
	return appendUint32(appendVendorApplication(b, a), AuthSessionState, NoStateMaintained)
}

// aaaFailure is the bit of AAA-Failure-Indication: TS 29.273, section 8.2.3.21.
const aaaFailure uint32 = 1

func appendAAAFailure(b []byte, failed bool) []byte {
	if !failed {
		return b
	}
	return appendUint32(b, AAAFailureIndication, aaaFailure)
}

func parseAAAFailure(avps []AVP) bool { return number(avps, AAAFailureIndication)&aaaFailure != 0 }
