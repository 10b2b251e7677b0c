package eapaka

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"s2clab/nodes/keys"
	"s2clab/nodes/session/usim"
	"s2clab/nodes/wire/eap"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// A fixed card has one answer.
type fixed struct{ usim.Response }

func (c fixed) Authenticate(_, _ [16]byte) (usim.Response, error) { return c.Response, nil }

// golden reads a sample of the codec's.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../wire/eap/testdata/packets.hex")
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(text), "\n\n") {
		if !strings.HasPrefix(block, "# "+name+": ") {
			continue
		}
		var digits string
		for line := range strings.Lines(block) {
			octets, _, _ := strings.Cut(line, "#")
			digits += octets
		}
		return unhex(t, digits)
	}
	t.Fatalf("no %q", name)
	return nil
}

// All cases of RFC 9048, appendix D, from the identity to the keys.
func TestTheCasesOfRFC9048RunThroughBothMachines(t *testing.T) {
	for i, c := range []struct{ network, rand, autn, ik, ck, res, msk, emsk string }{
		{"WLAN", "81e92b6c0ee0e12ebceba8d92a99dfa5", "bb52e91c747ac3ab2a5c23d15ee351d5", "9744871ad32bf9bbd1dd5ce54e3e2e5a", "5349fbe098649f948f5d2e973a81c00f", "28d7b0f2a2ec3de5",
			"67c42d9aa56c1b79e295e3459fc3d187d42be0bf818d3070e362c5e967a4d544e8ecfe19358ab3039aff03b7c930588c055babee58a02650b067ec4e9347c75a",
			"f861703cd775590e16c7679ea3874ada866311de290764d760cf76df647ea01c313f69924bdd7650ca9bac141ea075c4ef9e8029c0e290cdbad5638b63bc23fb"},
		{"HRPD", "81e92b6c0ee0e12ebceba8d92a99dfa5", "bb52e91c747ac3ab2a5c23d15ee351d5", "9744871ad32bf9bbd1dd5ce54e3e2e5a", "5349fbe098649f948f5d2e973a81c00f", "28d7b0f2a2ec3de5",
			"87b321570117cd6c95ab6c436fb5073ff15cf85505d2bc5bb7355fc21ea8a75757e8f86a2b138002e05752913bb43b82f868a96117e91a2d95f526677d572900",
			"c891d5f20f148a1007553e2dea555c9cb672e9675f4a66b4bafa027379f93aee539a5979d0a0042b9d2ae28bed3b17a31dc8ab75072b80bd0c1da612466e402c"},
		{"WLAN", strings.Repeat("e0", 16), strings.Repeat("a0", 16), strings.Repeat("b0", 16), strings.Repeat("c0", 16), strings.Repeat("d0", 16),
			"9f7dca9e37bb22029ed986e7cd09d4a70d1ac76d95535c5cac40a7504699bb8961a29ef6f3e90f183de5861ad1bedc81ce9916391b401aa006c98785a5756df7",
			"724de00bdb9e568187be3fe746114557d5018779537ee37f4d3c6c738cb97b9dc651bc19bfadc344ffe2b52ca78bd8316b51dacc5f2b1440cb9515521cc7ba23"},
		{"HRPD", strings.Repeat("e0", 16), strings.Repeat("a0", 16), strings.Repeat("b0", 16), strings.Repeat("c0", 16), strings.Repeat("d0", 16),
			"c6d3a6e0ceea951eb20d74f32c3061d0680a04b0b086ee8700ace3e0b95fa02683c287beee44432294ff98af26d2cc783bace75c4b0af7fdfeb5511ba8e4cbd0",
			"7fb56813838adafa99d140c2f198f6dacebfb6afee444961105402b508c7f363352cb2919644b50463e6a69354150147ae09cbc54b8a651d8787a6893ed8536d"},
	} {
		key := func(s string) [16]byte { return [16]byte(unhex(t, s)) }
		v := keys.Vector{RAND: key(c.rand), AUTN: key(c.autn), XRES: unhex(t, c.res)}
		v.CK, v.IK = keys.BindToNetwork(key(c.ck), key(c.ik), c.network, [6]byte(v.AUTN[:]))
		// The identity begins with EAP-AKA's digit, as the RFC has it.
		server := NewServer(&Policy{Rand: octets(1)}, c.network)
		peer := NewPeer(PeerOptions{Card: fixed{usim.Response{RES: unhex(t, c.res), CK: key(c.ck), IK: key(c.ik)}}, Identities: &Identities{Pseudonym: "0555444333222111"}, Rand: octets(2)})
		sent := func(outs []Output) []byte {
			t.Helper()
			send, ok := outs[0].(Send)
			if !ok {
				t.Fatalf("case %d: %v", i+1, outs)
			}
			return send.Packet
		}
		identity := sent(peer.Step(Received{[]byte{1, 1, 0, 5, 1}}))
		if w, ok := server.Step(Received{identity})[0].(WantVectors); !ok || w.IMSI != "555444333222111" {
			t.Fatalf("case %d: %+v", i+1, w)
		}
		challenge := bytes.Clone(sent(server.Step(Vectors{v})))
		response := bytes.Clone(sent(peer.Step(Received{challenge})))
		if i == 0 { // another program has made the same of it
			if want := golden(t, "AKA'-Challenge request"); !bytes.Equal(challenge, want) {
				t.Errorf("the challenge is\n%x, want\n%x", challenge, want)
			}
			if want := golden(t, "AKA'-Challenge response"); !bytes.Equal(response, want) {
				t.Errorf("the response is\n%x, want\n%x", response, want)
			}
		}
		out := server.Step(Received{response})
		done := out[1].(Succeeded)
		if got := hex.EncodeToString(done.Keys.MSK[:]); got != c.msk {
			t.Errorf("case %d: MSK %s", i+1, got)
		}
		if got := hex.EncodeToString(done.Keys.EMSK[:]); got != c.emsk {
			t.Errorf("case %d: EMSK %s", i+1, got)
		}
		if other := peer.Step(Received{sent(out)})[0].(Succeeded); other.Keys != done.Keys {
			t.Errorf("case %d: the peer has other keys", i+1)
		}
	}
}

func TestKeysAreToldByNameAndOrigin(t *testing.T) {
	for _, c := range []struct {
		methods []eap.Type
		want    [2]string // full, fast
	}{
		{onlyAKA, [2]string{"CK 16, IK 16, MK 20, K_encr 16, K_aut 16, MSK 64, EMSK 64", "MSK 64, EMSK 64"}},
		{onlyPrime, [2]string{"CK' 16, IK' 16, K_encr 16, K_aut 32, K_re 32, MSK 64, EMSK 64", "MSK 64, EMSK 64"}},
	} {
		s := newStory()
		s.policy.Methods, s.peer.Methods = c.methods, c.methods
		for i, want := range c.want {
			done := s.succeeds(t)
			var told []string
			for _, d := range done.Keys.Derived() {
				told = append(told, fmt.Sprintf("%s %d", d.Name, len(d.Value)))
				if d.How == "" || bytes.Equal(d.Value, make([]byte, len(d.Value))) {
					t.Errorf("%s from %q is zeros or of nothing", d.Name, d.How)
				}
			}
			if got := strings.Join(told, ", "); got != want {
				t.Errorf("%v, round %d: %s, want %s", c.methods, i, got, want)
			}
		}
	}
}

func TestNoKeyIsWrittenByAccident(t *testing.T) {
	s := newStory()
	done := s.succeeds(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		text := fmt.Sprintf(strings.Repeat(verb+" ", 4), *done, done.Keys.Derived(), s.peer.Identities.Context, *s.peer.Identities)
		for _, d := range done.Keys.Derived() {
			for _, form := range []string{"%v", "%x", "%#v", "%s"} {
				inside := strings.Trim(fmt.Sprintf(form, d.Value[:8]), "[]{}")
				if strings.Contains(text, strings.TrimPrefix(inside, "byte{")) {
					t.Errorf("%s writes %s: %s", verb, d.Name, text)
				}
			}
		}
	}
}

func TestAServerIsCheapToHold(t *testing.T) {
	const many = 2000
	var before, after runtime.MemStats
	s := newStory()
	servers := make([]*Server, many)
	identity := []byte("6" + imsi + "@" + realm)
	packet := append([]byte{2, 1, 0, byte(5 + len(identity)), 1}, identity...)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range servers {
		servers[i] = NewServer(s.policy, s.network)
		w := servers[i].Step(Received{packet})[0].(WantVectors)
		servers[i].Step(s.vector(w))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / many
	t.Logf("%d octets each, at the challenge", each)
	if each > 4096 {
		t.Errorf("%d octets each, want 4096 at most", each)
	}
	runtime.KeepAlive(servers)
}

func BenchmarkFullAuthentication(b *testing.B) {
	s := newStory()
	s.policy.Reauths = 0
	b.ReportAllocs()
	for b.Loop() {
		s.succeeds(b)
	}
}

func BenchmarkFastReauthentication(b *testing.B) {
	s := newStory()
	s.policy.Reauths = 65535
	s.succeeds(b)
	b.ReportAllocs()
	for b.Loop() {
		s.succeeds(b)
	}
}
