package dot1x

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"s2clab/nodes/wire/eapol"
)

var (
	start  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	router = [6]byte{2, 0, 0, 0, 0, 0xff}
	alice  = [6]byte{2, 0, 0, 0, 0, 1}
	bob    = [6]byte{2, 0, 0, 0, 0, 2}
	mallet = [6]byte{2, 0, 0, 0, 0, 3}
)

// The EAP method of these stories has two rounds, in which a peer says a secret octet.
const method = 200

// A world is a link with an Authenticator, whose server knows a secret, and stations
// that have one each. Frames take 1 ms, server and method 5 ms.
type world struct {
	t      testing.TB
	now    time.Time
	queue  []happening // sorted by time
	router *Authenticator
	peers  map[[6]byte]*peer
	order  [][6]byte
	secret byte

	frames  int                                 // put onto the link
	copies  func(n int, from, to [6]byte) int   // of frame n that arrive; nil: one
	verdict func(in *FromServer, to ToServer)   // changes what the server says; nil: not
	silent  bool                                // the server is
	told    []string                            // what came out, but for frames and for what goes to server and method
	asked   []ToServer                          // what the server was asked
	seen    func(from, to [6]byte, octs []byte) // each frame that is sent
}

type peer struct {
	*Supplicant
	secret byte
}

type happening struct {
	at time.Time
	do func()
}

func newWorld(t testing.TB, o AuthenticatorOptions, stations ...[6]byte) *world {
	o.Rand = rand.New(rand.NewPCG(1, 2))
	w := &world{t: t, now: start, router: NewAuthenticator(o), peers: map[[6]byte]*peer{}, secret: 42}
	for _, mac := range stations {
		w.peers[mac] = &peer{NewSupplicant(SupplicantOptions{}), w.secret}
		w.order = append(w.order, mac)
	}
	return w
}

func (w *world) after(d time.Duration, do func()) {
	at := w.now.Add(d)
	i, _ := slices.BinarySearchFunc(w.queue, at, func(h happening, at time.Time) int {
		if h.at.After(at) {
			return 1
		}
		return -1 // behind those of the same time
	})
	w.queue = slices.Insert(w.queue, i, happening{at, do})
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 1_000_000 {
			w.t.Fatal("it does not come to rest")
		}
		at := w.router.Deadline()
		for _, mac := range w.order {
			at = soonest(at, w.peers[mac].Deadline())
		}
		if len(w.queue) > 0 {
			at = soonest(at, w.queue[0].at)
		}
		if at.IsZero() || at.After(end) {
			w.now = end
			return
		}
		if at.After(w.now) {
			w.now = at
		}
		if len(w.queue) > 0 && !w.queue[0].at.After(w.now) {
			h := w.queue[0]
			w.queue = w.queue[1:]
			h.do()
			continue
		}
		w.act(router, w.router.Tick(w.now))
		for _, mac := range w.order {
			w.act(mac, w.peers[mac].Tick(w.now))
		}
	}
}

func name(mac [6]byte) string {
	switch mac {
	case router:
		return "router"
	case alice:
		return "alice"
	case bob:
		return "bob"
	}
	return fmt.Sprintf("%x", mac)
}

func (w *world) atRouter(in Input) { w.act(router, w.router.Step(w.now, in)) }

func (w *world) at(mac [6]byte, in Input) { w.act(mac, w.peers[mac].Step(w.now, in)) }

// forge puts a frame onto the link in somebody's name.
func (w *world) forge(from, to [6]byte, octets []byte) {
	w.act(from, []Output{Send{To: to, Octets: octets}})
}

func (w *world) act(who [6]byte, out []Output) {
	for _, o := range out {
		switch o := o.(type) {
		case Send:
			w.carry(who, o)
		case ToServer:
			w.asked = append(w.asked, o)
			if !w.silent {
				w.after(5*time.Millisecond, func() { w.atRouter(w.serve(o)) })
			}
		case ToMethod:
			w.after(5*time.Millisecond, func() { w.at(who, w.peers[who].answer(o)) })
		default:
			w.told = append(w.told, w.line(who, o))
		}
	}
}

// line tells an output in words.
func (w *world) line(who [6]byte, o Output) string {
	switch o := o.(type) {
	case Began:
		return fmt.Sprintf("router asks %s: %s", name(o.Station), o.Cause)
	case Authorize:
		again := ""
		if o.Again {
			again = " again"
		}
		return "router authorizes " + name(o.Station) + again
	case Unauthorize:
		return fmt.Sprintf("router shuts %s out: %s", name(o.Station), o.Reason)
	case Abandon:
		return "router abandons " + name(o.Station)
	case Failed:
		if who == router {
			return fmt.Sprintf("router fails %s: %s", name(o.Station), o.Reason)
		}
		return fmt.Sprintf("%s fails: %s", name(who), o.Reason)
	case Open:
		again := ""
		if o.Again {
			again = " again"
		}
		if o.Alone {
			again += " alone"
		}
		return name(who) + " opens" + again
	case Shut:
		return fmt.Sprintf("%s shuts: %s", name(who), o.Reason)
	case Unanswered:
		return fmt.Sprintf("%s has no answer to %d", name(who), o.Starts)
	case Ignored:
		return fmt.Sprintf("%s ignores %s: %s", name(who), name(o.From), o.Reason)
	}
	return fmt.Sprintf("%T", o)
}

func (w *world) carry(from [6]byte, s Send) {
	n := 1
	if w.copies != nil {
		n = w.copies(w.frames, from, s.To)
	}
	w.frames++
	if w.seen != nil {
		w.seen(from, s.To, s.Octets)
	}
	octets := make([]byte, max(46, len(s.Octets))) // as Ethernet pads
	copy(octets, s.Octets)
	for i := range n {
		w.after(time.Duration(1+i)*time.Millisecond, func() {
			if from != router && (s.To == router || s.To == eapol.Group) {
				w.atRouter(Received{From: from, Octets: octets})
			}
			for _, mac := range w.order {
				if mac != from && (s.To == mac || s.To == eapol.Group) {
					w.at(mac, Received{From: from, Octets: octets})
				}
			}
		})
	}
}

// serve is the AAA side.
func (w *world) serve(to ToServer) (in FromServer) {
	in = FromServer{Station: to.Station, Conversation: to.Conversation}
	id := to.EAP[1]
	switch {
	case to.First:
		in.EAP = []byte{eapRequest, id + 1, 0, 6, method, 1}
	case to.EAP[5] == 1:
		in.EAP = []byte{eapRequest, id + 1, 0, 6, method, 2}
	case to.EAP[6] == w.secret:
		in.Verdict, in.EAP, in.MSK = Accept, eapResult(eapSuccess, id), MSK("the master session key")
	default:
		in.Verdict, in.EAP = Reject, eapResult(eapFailure, id)
	}
	if w.verdict != nil {
		w.verdict(&in, to)
	}
	return in
}

// answer is the EAP method of a station.
func (p *peer) answer(to ToMethod) FromMethod {
	id := to.EAP[1]
	if to.EAP[4] == eapIdentity {
		return FromMethod{to.Exchange, []byte{eapResponse, id, 0, 7, eapIdentity, 'm', 'e'}, Doubtful}
	}
	progress := Continuing
	if to.EAP[5] == 2 {
		progress = Content
	}
	return FromMethod{to.Exchange, []byte{eapResponse, id, 0, 7, method, to.EAP[5], p.secret}, progress}
}

// expect compares what was told since it was asked last.
func (w *world) expect(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.told, want) {
		w.t.Errorf("told\n  %q\nwant\n  %q", w.told, want)
	}
	w.told = nil
}

// ports compares which are open at both ends.
func (w *world) ports(open ...[6]byte) {
	w.t.Helper()
	at := w.router.Authorized()
	for _, mac := range w.order {
		want := slices.Contains(open, mac)
		if w.peers[mac].Authorized() != want || slices.Contains(at, mac) != want {
			w.t.Errorf("%s: its port is open %v, and at the router %v, want %v", name(mac), w.peers[mac].Authorized(), slices.Contains(at, mac), want)
		}
	}
}

// comeUp brings the link up everywhere.
func (w *world) comeUp() {
	w.atRouter(CarrierUp{})
	for _, mac := range w.order {
		w.at(mac, LinkUp{})
	}
}

func kind(octets []byte) string {
	f, err := eapol.Parse(octets)
	if err != nil {
		return err.Error()
	}
	if f.Type != eapol.EAPPacket {
		return f.Type.String()
	}
	k := [...]string{1: "Request", 2: "Response", 3: "Success", 4: "Failure"}[f.Body[0]]
	if len(f.Body) > 4 && f.Body[4] == eapIdentity {
		k += "/Identity"
	}
	return k
}

func eapFrame(b ...byte) []byte { return frame(eapol.EAPPacket, bytes.Clone(b)) }
