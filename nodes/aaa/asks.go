package aaa

import (
	"time"

	"s2clab/nodes/control"
	"s2clab/nodes/session/diampeer"
	"s2clab/nodes/wire/diameter"
)

// asks are what this server has asked the HSS and the BSF, and what is to be done
// with the answers.
type asks struct {
	last uint64
	then map[uint64]func(now time.Time, o diampeer.Outcome)
}

// dial makes the client of those that this server asks.
func (m *Machine) dial(own *control.AAA, local diampeer.Local, now time.Time) (err error) {
	m.asks.then = map[uint64]func(time.Time, diampeer.Outcome){}
	o := diampeer.ClientOptions{Local: local, Timeout: own.Timeout, Now: now}
	o.Local.Applications = []diameter.Application{diameter.SWx, diameter.Zn}
	o.Local.Serves = []diampeer.Service{
		{Application: diameter.SWx, Command: diameter.RegistrationTermination},
		{Application: diameter.SWx, Command: diameter.PushProfile},
	}
	for _, p := range own.HSS {
		o.Servers = append(o.Servers, diampeer.Remote{Host: p.Host, Realm: p.Realm, Address: p.Address})
	}
	if own.BSF != nil {
		o.Servers = append(o.Servers, diampeer.Remote{Host: own.BSF.Host, Realm: own.BSF.Realm, Address: own.BSF.Address})
	}
	if len(o.Servers) > 0 {
		m.client, err = diampeer.NewClient(o)
	}
	return err
}

// ask sends a request; then is called with what became of it, once. Where the
// answer cannot be read that is a reason too.
func (m *Machine) ask(now time.Time, r diampeer.Request, then func(now time.Time, o diampeer.Outcome)) {
	if m.client == nil {
		then(now, diampeer.Outcome{Reason: "no-peer"})
		return
	}
	m.asks.last++
	m.asks.then[m.asks.last] = then
	m.act(now, now, m.client.Step(now, diampeer.Ask{ID: m.asks.last, Request: r}), m.client)
}

// answered goes on where ask left off.
func (a *asks) answered(now time.Time, done diampeer.Done) {
	if then := a.then[done.ID]; then != nil {
		delete(a.then, done.ID)
		then(now, done.Outcome)
	}
}

// unreachable says whether an Outcome is that nobody could be asked.
func unreachable(o diampeer.Outcome) bool {
	return o.Result == 0 || o.Result.ProtocolError()
}
