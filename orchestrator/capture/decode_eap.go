package capture

import (
	"encoding/hex"
	"fmt"
	"net"
	"strings"

	"s2clab/nodes/wire/eap"
	"s2clab/nodes/wire/eapol"
)

// eapolMessage reads a frame of 802.1X. What carries EAP is named after that.
func eapolMessage(frame []byte) Message {
	f := map[string]any{"src": net.HardwareAddr(frame[6:12]).String(), "dst": net.HardwareAddr(frame[:6]).String()}
	e, err := eapol.Parse(frame[ethernetLen:])
	switch {
	case err != nil:
		f["malformed"] = err.Error()
		return Message{"eapol-malformed", f}
	case e.Type == eapol.EAPPacket:
		name := readEAP(e.Body, f)
		delete(f, "eap") // the name tells
		return Message{"eap-" + name, f}
	case e.Type == eapol.Start:
		return Message{"eapol-start", f}
	case e.Type == eapol.Logoff:
		return Message{"eapol-logoff", f}
	case e.Type == eapol.Key:
		return Message{"eapol-key", f}
	}
	return Message{fmt.Sprintf("eapol-type-%d", uint8(e.Type)), f}
}

// readEAP takes what people look for out of an EAP packet: eap, eap-id, eap-type, and of
// EAP-AKA eap-subtype, attributes and rand. It gives the code in one word. Of what the
// attributes hold, what answers a challenge or proves a message is not told.
func readEAP(b []byte, f map[string]any) string {
	p, err := eap.Parse(b)
	if err != nil {
		f["eap"], f["malformed"] = "malformed", err.Error()
		return "malformed"
	}
	name := strings.ReplaceAll(strings.ToLower(p.Code.String()), " ", "-")
	f["eap"], f["eap-id"] = name, float64(p.Identifier)
	if p.Code != eap.Request && p.Code != eap.Response {
		return name
	}
	f["eap-type"] = p.Type.String()
	switch p.Type {
	case eap.TypeIdentity:
		if p.Code == eap.Response {
			tellIdentity(p.Data, f)
		}
	case eap.TypeNak:
		var wanted []string
		for _, t := range p.Wanted() {
			wanted = append(wanted, t.String())
		}
		f["wanted"] = list(wanted)
	case eap.TypeAKA, eap.TypeAKAPrime:
		m, err := eap.ParseMessage(b)
		if err != nil {
			f["malformed"] = err.Error()
			break
		}
		f["eap-subtype"] = m.Subtype.String()
		var attributes []string
		for _, a := range m.Attributes {
			attributes = append(attributes, a.Type.String())
			switch a.Type {
			case eap.ATRAND:
				f["rand"] = hex.EncodeToString(a.Value)
			case eap.ATIDENTITY:
				tellIdentity(a.Value, f)
			case eap.ATNOTIFICATION:
				f["notification"] = float64(a.Number())
			case eap.ATCLIENTERRORCODE:
				f["code"] = float64(a.Number())
			case eap.ATKDFINPUT:
				f["network"] = strings.ToValidUTF8(string(a.Value), "\ufffd")
			}
		}
		f["attributes"] = list(attributes)
	}
	return name
}

// tellIdentity tells who a peer says that it is.
func tellIdentity(b []byte, f map[string]any) {
	const longest = 253 // octets, of a NAI: RFC 7542, section 2.2
	if len(b) > 0 && len(b) <= longest {
		f["identity"] = strings.ToValidUTF8(string(b), "\ufffd")
	}
}
