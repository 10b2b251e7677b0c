package router

import (
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// An Input is something that happened.
type Input interface{ input() }

// EAPOLReceived is a frame of 802.1X: what follows the Ethernet header. It is not kept.
type EAPOLReceived struct {
	Dev    string
	From   [6]byte
	Octets []byte
}

// CarrierChanged says that a device has gained or lost its carrier.
type CarrierChanged struct {
	Dev     string
	Carrier bool
}

// AdmissionFailed says that an Admit had no effect.
type AdmissionFailed struct {
	Dev     string
	Station [6]byte
}

// AAAAnswered says what became of an Ask.
type AAAAnswered struct {
	ID      uint64
	Outcome diampeer.Outcome
}

// AAARequested is a request of an AAA server, to be answered by AnswerAAA: an
// Abort-Session-Request or a Re-Auth-Request.
type AAARequested struct {
	ID      uint64
	Message *diameter.Message // checked against its command's definition
}

func (EAPOLReceived) input()   {}
func (CarrierChanged) input()  {}
func (AdmissionFailed) input() {}
func (AAAAnswered) input()     {}
func (AAARequested) input()    {}

// An Output is something to do or to tell.
type Output interface{ output() }

// SendEAPOL sends a frame of 802.1X: what follows the Ethernet header.
type SendEAPOL struct {
	Dev    string
	To     [6]byte
	Octets []byte
}

// Admit lets a station's frames through.
type Admit struct {
	Dev     string
	Station [6]byte
}

// Bar ends Admit.
type Bar struct {
	Dev     string
	Station [6]byte
}

// Ask sends a request to an AAA server. An AAAAnswered with its ID follows.
type Ask struct {
	ID      uint64
	Request diampeer.Request
}

// AnswerAAA answers an AAARequested.
type AnswerAAA struct {
	ID     uint64
	Octets []byte
}

// Event tells the journal what happened.
type Event struct {
	Name   string
	Fields map[string]any
}

func (SendEAPOL) output() {}
func (Admit) output()     {}
func (Bar) output()       {}
func (Ask) output()       {}
func (AnswerAAA) output() {}
func (Event) output()     {}
