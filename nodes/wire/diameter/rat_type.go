package diameter

import "fmt"

// A RATType is a kind of access: TS 29.212, section 5.3.31.
type RATType uint32

const (
	WLAN       RATType = 0
	Virtual    RATType = 1 // the kind is not known: an ePDG says so
	UTRAN      RATType = 1000
	GERAN      RATType = 1001
	EUTRAN     RATType = 1004
	CDMA2000X1 RATType = 2000
	HRPD       RATType = 2001
	UMB        RATType = 2002
	EHRPD      RATType = 2003
)

// String is the specification's name; a kind without a name here is rat- and its
// number.
func (t RATType) String() string {
	switch t {
	case WLAN:
		return "WLAN"
	case Virtual:
		return "VIRTUAL"
	case UTRAN:
		return "UTRAN"
	case GERAN:
		return "GERAN"
	case EUTRAN:
		return "EUTRAN"
	case CDMA2000X1:
		return "CDMA2000_1X"
	case HRPD:
		return "HRPD"
	case UMB:
		return "UMB"
	case EHRPD:
		return "EHRPD"
	}
	return fmt.Sprintf("rat-%d", uint32(t))
}
