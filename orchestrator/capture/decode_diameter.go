package capture

import (
	"encoding/hex"
	"strings"

	"s2clab/nodes/wire/diameter"
)

// diameterStream is Diameter over TCP: RFC 6733, section 2.1.
var diameterStream = protocol{
	length: diameter.Length,
	read:   func(b []byte) (Message, bool) { return diameterMessage(b), true },
}

// diameterMessage reads a whole Diameter message.
func diameterMessage(b []byte) Message {
	m, err := diameter.Parse(b)
	if m == nil {
		return Message{"diameter-malformed", map[string]any{"malformed": err.Error()}}
	}
	f := map[string]any{"hop-by-hop": float64(m.HopByHop), "end-to-end": float64(m.EndToEnd)}
	if err != nil {
		f["malformed"] = err.Error()
	}
	var flags []string
	for _, flag := range []struct {
		set  diameter.Flags
		name string
	}{{diameter.Request, "R"}, {diameter.Proxiable, "P"}, {diameter.Error, "E"}, {diameter.Retransmitted, "T"}} {
		if m.Flags&flag.set != 0 {
			flags = append(flags, flag.name)
		}
	}
	if flags != nil {
		f["flags"] = list(flags)
	}
	if m.Application != diameter.Base {
		f["application"] = m.Application.String()
	}
	for i := range m.AVPs {
		readAVP(&m.AVPs[i], m.IsRequest(), f)
	}
	return Message{m.Name(), f}
}

// readAVP takes what people look for out of an AVP of a request or an answer.
func readAVP(a *diameter.AVP, request bool, f map[string]any) {
	text := func(name string) {
		if len(a.Data) <= 512 {
			f[name] = string(a.Data)
		}
	}
	address := func(name string) {
		if len(a.Data) >= 6 {
			if at := a.Address(); at.IsValid() {
				f[name] = at.String()
			}
		}
	}
	switch a.Code {
	case diameter.UserName:
		text("nai")
	case diameter.OriginHost:
		text("origin-host")
	case diameter.SessionID:
		text("session")
	case diameter.ErrorMessage:
		text("error")
	case diameter.ServiceSelection:
		text("service")
	case diameter.ResultCodeAVP:
		if len(a.Data) == 4 {
			f["result"], f["name"] = float64(a.Uint32()), diameter.ResultCode(a.Uint32()).String()
		}
	case diameter.ExperimentalResult:
		inner, _ := diameter.ParseAVPs(a.Data)
		var vendor, number uint32
		for i := range inner {
			switch inner[i].Code {
			case diameter.VendorID:
				vendor = inner[i].Uint32()
			case diameter.ExperimentalResultCode:
				number = inner[i].Uint32()
			}
		}
		f["result"], f["name"] = float64(number), (diameter.ResultCode(vendor)<<32 | diameter.ResultCode(number)).String()
	case diameter.EAPPayload:
		readEAP(a.Data, f)
	case diameter.ANID:
		text("access-network")
	case diameter.SIPAuthenticationScheme:
		text("scheme")
	case diameter.SIPAuthDataItem: // a vector has keys, which are not told
		inner, _ := diameter.ParseAVPs(a.Data)
		for i := range inner {
			switch inner[i].Code {
			case diameter.SIPAuthenticationScheme, diameter.SIPAuthenticate, diameter.SIPAuthorization:
				readAVP(&inner[i], request, f)
			}
		}
	case diameter.SIPAuthenticate: // RAND, and in some AUTN after it
		if len(a.Data) >= 16 {
			f["rand"] = hex.EncodeToString(a.Data[:16])
		}
	case diameter.SIPAuthorization: // of a request, RAND and AUTS of the card, or RAND alone; of an answer, XRES
		if request && len(a.Data) >= 16 {
			f["rand"] = hex.EncodeToString(a.Data[:16])
			if len(a.Data) > 16 {
				f["auts"] = true
			}
		}
	case diameter.ServerAssignmentTypeAVP:
		if len(a.Data) == 4 {
			f["assignment"] = diameter.ServerAssignmentType(a.Uint32()).String()
		}
	case diameter.TransactionIdentifier:
		text("b-tid")
	case diameter.NAFID: // the name, then 5 octets of the Ua protocol: TS 33.220, annex H
		if n := len(a.Data) - 5; n > 0 && n <= 255 {
			f["naf"] = strings.ToValidUTF8(string(a.Data[:n]), "\ufffd")
		}
	case diameter.MIPMNAAASPI:
		if len(a.Data) == 4 {
			f["spi"] = float64(a.Uint32())
		}
	case diameter.MIPMNAAAAuth:
		inner, _ := diameter.ParseAVPs(a.Data)
		for i := range inner {
			if inner[i].Code == diameter.MIPMNAAASPI {
				readAVP(&inner[i], request, f)
			}
		}
	case diameter.MIPHomeAgentAddress:
		address("home-agent")
	case diameter.MIPMobileNodeAddress:
		address("home-address")
	case diameter.MIPCareofAddress:
		address("care-of")
	case diameter.TerminationCauseAVP:
		if len(a.Data) == 4 {
			f["cause"] = diameter.TerminationCause(a.Uint32()).String()
		}
	case diameter.DisconnectCauseAVP:
		if len(a.Data) == 4 {
			f["cause"] = diameter.DisconnectCause(a.Uint32()).String()
		}
	case diameter.MIPMNHAMSA, diameter.MIPMNToHAMSA: // that there is a key is told, not the key
		inner, _ := diameter.ParseAVPs(a.Data)
		for i := range inner {
			if inner[i].Code == diameter.MIPMNHASPI && len(inner[i].Data) == 4 {
				f["mn-ha-spi"] = float64(inner[i].Uint32())
			}
		}
	}
}
