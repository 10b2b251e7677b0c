package router

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"s2clab/nodes/control"
	"s2clab/nodes/host"
	"s2clab/nodes/keys"
	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/session/usim/usimtest"
	"s2clab/nodes/wire/eap"
)

// A journal keeps what a role tells, with its fields.
type journal struct {
	t       testing.TB
	events  chan Event
	replies chan any
	passed  []Event // that nobody has waited for
}

func (j *journal) Event(name string, fields map[string]any) { j.events <- Event{name, fields} }
func (j *journal) Reply(_ uint64, value any, err error) {
	if err != nil {
		value = err
	}
	j.replies <- value
}

// wait gives the first event of that name that was not given before.
func (j *journal) wait(name string) map[string]any {
	j.t.Helper()
	named := func(e Event) bool { return e.Name == name }
	late := time.After(patience)
	for !slices.ContainsFunc(j.passed, named) {
		select {
		case e := <-j.events:
			j.passed = append(j.passed, e)
		case <-late:
			j.t.Fatalf("no %s, but %v", name, j.passed)
		}
	}
	i := slices.IndexFunc(j.passed, named)
	e := j.passed[i]
	j.passed = slices.Delete(j.passed, i, i+1)
	return e.Fields
}

// An access is a link that authenticates, with its router and a mobile node on it.
type access struct {
	*journal
	*home
	mobile   ns.NetNS
	commands chan control.Command
}

func subscriber(k string) keys.Algorithm {
	return keys.NewMilenage([16]byte([]byte(k)), [16]byte([]byte("operator's value")))
}

// newAccess runs a router until the test ends. Its Diameter client dials from the
// goroutines of host.DiameterClient, which are outside of the router's namespace, and so
// is the AAA server.
func newAccess(t *testing.T, method eap.Type) *access {
	space, mobile := netnstest.New(t), netnstest.New(t)
	netnstest.In(t, space, func() error {
		outwards, err := host.ProbeControlledPort()
		if err == nil && !outwards {
			err = errors.New("nftables has no egress hook")
		}
		if err != nil {
			netnstest.Lacking(t, "netdev", err)
		}
		return nil
	})
	netnstest.Pair(t, space, "wlan", mobile, "ue")
	for _, end := range []struct {
		space        ns.NetNS
		dev, address string
	}{{space, "wlan", "2001:db8:200::1/64"}, {mobile, "ue", "2001:db8:200::2/64"}} {
		netnstest.In(t, end.space, func() error {
			link, err := netlink.LinkByName(end.dev)
			if err != nil {
				return err
			}
			address, err := netlink.ParseAddr(end.address)
			if err != nil {
				return err
			}
			return netlink.AddrAdd(link, address)
		})
	}
	a := &access{home: newHome(t, subscriber("subscriber's key"), method), mobile: mobile, commands: make(chan control.Command),
		journal: &journal{t: t, events: make(chan Event, 1000), replies: make(chan any, 1)}}
	if !a.reaches(long) {
		t.Fatal("the link carries nothing")
	}
	dev := device(t, space, "wlan")
	dev.Link, dev.Auth = "wlan", "eap-aka-prime"
	cfg := &control.Config{Node: "wlan-gw", Role: "router", Seed: 7, Interfaces: []control.Interface{dev},
		Router: &control.Router{Host: "gw.example", Realm: "visited.example", Timeout: 5 * time.Second,
			AAA: []control.Peer{{Host: "aaa.example", Realm: "epc.example", Address: a.at}}}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go space.Do(func(ns.NetNS) error {
		ended <- run(ctx, a.journal, a.commands, cfg)
		return nil
	})
	t.Cleanup(func() {
		cancel()
		if err := next(t, ended); err != nil {
			t.Errorf("ended with %v", err)
		}
		if a.reaches(short) {
			t.Error("a router that has ended leaves the link open")
		}
	})
	a.wait("ready")
	a.wait("peer-up")
	return a
}

// reaches says whether the mobile node reaches its router. A ping that is answered
// ends at once; one that is not to be is given less time.
func (a *access) reaches(within string) bool {
	reached := false
	netnstest.In(a.journal.t, a.mobile, func() error {
		reached = exec.Command("ping", "-6", "-n", "-c", "1", "-w", within, "2001:db8:200::1").Run() == nil
		return nil
	})
	return reached
}

// How long a ping may take, in s.
const (
	long  = "20"
	short = "1"
)

func (a *access) stations() []Station {
	a.commands <- control.Command{ID: 1, Name: "state"}
	return next(a.journal.t.(*testing.T), a.replies).([]Station)
}

func newCard(t *testing.T, k string, sqn keys.SQN) *usim.Card {
	card, err := usim.New(subscriber(k), usim.Profile2())
	if err != nil {
		t.Fatal(err)
	}
	accepted := card.Accepted()
	for i := range accepted {
		accepted[i] = uint64(sqn) >> usim.Profile2().INDBits
	}
	if err := card.Restore(accepted); err != nil {
		t.Fatal(err)
	}
	return card
}

const permanent = "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"

// methods are those of wpa_supplicant, by its names.
var methods = []struct {
	wpa, ours string
	kind      eap.Type
	identity  string
}{{"AKA", "eap-aka", eap.TypeAKA, "0" + permanent}, {"AKA'", "eap-aka-prime", eap.TypeAKAPrime, "6" + permanent}}

// TestWPASupplicantIsLetOn has a peer that is not ours prove who it is, by both
// methods, with a card whose numbers are in step and one whose are not.
func TestWPASupplicantIsLetOn(t *testing.T) {
	for _, method := range methods {
		t.Run(method.ours, func(t *testing.T) {
			a := newAccess(t, method.kind)
			if a.reaches(short) {
				t.Fatal("the link is open before anybody has proved anything")
			}
			mobile := usimtest.Run(t, a.mobile, "ue", method.wpa, method.identity, newCard(t, "subscriber's key", 1000<<5))
			mobile.Begin()
			asked := mobile.Wait("CTRL-EVENT-EAP-SUCCESS")
			stale, fresh := slices.Index(asked, "UMTS-AUTS"), slices.Index(asked, "UMTS-AUTH")
			if stale < 0 || fresh < stale {
				t.Errorf("the card said %q, want UMTS-AUTS and then UMTS-AUTH", asked)
			}
			if got := next(t, a.home.told); got != "resynchronized" {
				t.Errorf("the server %s", got)
			}
			key := a.wait("key-made")
			admitted := a.wait("station-admitted")
			if admitted["link"] != "wlan" || admitted["nai"] != "0"+permanent || admitted["method"] != method.ours || admitted["rounds"] != 3 || admitted["again"] != false {
				t.Errorf("told %v", admitted)
			}
			if key["nai"] != "0"+permanent || key["octets"] != 64 || key["value"] != nil {
				t.Errorf("told %v", key)
			}
			if !a.reaches(long) {
				t.Error("the link is not open")
			}
			stations := a.stations()
			if len(stations) != 1 || stations[0].Server != "aaa.example" || stations[0].Station != admitted["station"] {
				t.Fatalf("stations %+v", stations)
			}
			if method.kind == eap.TypeAKA {
				mobile.Command("LOGOFF")
				a.want(t, "logoff", "terminated logout")
			} else {
				a.aborts(stations[0].Session)
				a.want(t, "aborted-by-server", "terminated administrative", "done success")
				mobile.Wait("CTRL-EVENT-EAP-STATUS status='completion' parameter='failure'")
			}
			if a.reaches(short) {
				t.Error("the link is still open")
			}
		})
	}
}

// want waits until a station is barred, and its server has heard of it.
func (a *access) want(t *testing.T, reason string, told ...string) {
	t.Helper()
	if got := a.wait("station-barred"); got["reason"] != reason {
		t.Errorf("told %v, want %s", got, reason)
	}
	var heard []string
	for range told {
		heard = append(heard, next(t, a.home.told))
	}
	slices.Sort(told)
	slices.Sort(heard)
	if !slices.Equal(heard, told) {
		t.Errorf("the server was told %q, want %q", heard, told)
	}
	if got := a.wait("session-terminated"); got["result"] != uint32(2001) {
		t.Errorf("told %v", got)
	}
}

func TestWPASupplicantWithAnotherKeyStaysOut(t *testing.T) {
	for _, method := range methods {
		t.Run(method.ours, func(t *testing.T) {
			a := newAccess(t, method.kind)
			mobile := usimtest.Run(t, a.mobile, "ue", method.wpa, method.identity, newCard(t, "another's key...", 0))
			mobile.Begin()
			if asked := mobile.Wait("CTRL-EVENT-EAP-FAILURE"); !slices.Contains(asked, "UMTS-FAIL") {
				t.Errorf("the card said %q", asked)
			}
			if got := next(t, a.home.told); got != "failed authentication-rejected" {
				t.Errorf("the server %s", got)
			}
			if got := a.wait("station-refused"); got["reason"] != "authentication-rejected" || got["link"] != "wlan" {
				t.Errorf("told %v", got)
			}
			if a.reaches(short) {
				t.Error("the link is open")
			}
			if got := a.stations(); len(got) != 0 {
				t.Errorf("stations %+v", got)
			}
		})
	}
}

func TestALinkThatAuthenticatesIsShutBeforeTheRouterIsReady(t *testing.T) {
	a := newAccess(t, eap.TypeAKA)
	if a.reaches(short) {
		t.Error("the link is open")
	}
	if got := a.stations(); got == nil || len(got) != 0 {
		t.Errorf("stations %+v", got)
	}
}
