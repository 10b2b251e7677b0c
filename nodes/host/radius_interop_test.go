package host_test

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"s2clab/nodes/netns/netnstest"
	"s2clab/nodes/session/radpeer"
	"s2clab/nodes/wire/radius"
)

// peerProgram finds a program that is an independent RADIUS client.
func peerProgram(t *testing.T, name string) string {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		netnstest.Lacking(t, name, err)
	}
	return program
}

// md5Server is an EAP server for the MD5-Challenge of RFC 3748, section 5.4, which
// is all that a test needs to have EAP carried: no rules of a role are here.
type md5Server struct {
	t        *testing.T
	password string
	name     string // of the server, in its challenge
	msk      []byte // told to the authenticator, though MD5-Challenge makes none
	users    chan string
}

func eapPacket(code, id byte, rest ...byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{code, id}, uint16(4+len(rest))), rest...)
}

func (m *md5Server) answer(d radpeer.Deliver) *radiusAnswer {
	r, err := radius.ParseEAPRequest(d.Packet.Attributes)
	if err != nil || len(r.EAP) < 5 || r.EAP[0] != 2 || int(binary.BigEndian.Uint16(r.EAP[2:])) != len(r.EAP) {
		m.t.Errorf("%+v, %v", r, err)
		return nil
	}
	id, challenge := r.EAP[1], []byte("sixteen octets!!")
	var as []radius.Attribute
	switch r.EAP[4] {
	case 1: // Identity
		m.users <- string(r.EAP[5:])
		if r.User != string(r.EAP[5:]) || r.State != nil {
			m.t.Errorf("user %q and identity %q, state %q", r.User, r.EAP[5:], r.State)
		}
		rest := slices.Concat([]byte{4, byte(len(challenge))}, challenge, []byte(m.name))
		as, err = (&radius.EAPChallenge{EAP: eapPacket(1, id+1, rest...), State: []byte("the state"), Timeout: 30 * time.Second}).AppendTo(nil)
		if err != nil {
			m.t.Error(err)
		}
		return &radiusAnswer{radius.AccessChallenge, as}
	case 4: // MD5-Challenge
		if string(r.State) != "the state" || len(r.EAP) < 22 || r.EAP[5] != md5.Size {
			m.t.Errorf("state %q, response %x", r.State, r.EAP)
			return nil
		}
		want := md5.Sum(slices.Concat([]byte{id}, []byte(m.password), challenge))
		if !bytes.Equal(r.EAP[6:22], want[:]) {
			as, err = (&radius.EAPReject{EAP: eapPacket(4, id)}).AppendTo(nil)
			if err != nil {
				m.t.Error(err)
			}
			return &radiusAnswer{radius.AccessReject, as}
		}
		as, err = (&radius.EAPAccept{EAP: eapPacket(3, id), User: r.User, MSK: m.msk, Class: []byte("class")}).AppendTo(nil, d.Cover)
		if err != nil {
			m.t.Error(err)
		}
		return &radiusAnswer{radius.AccessAccept, as}
	}
	m.t.Errorf("EAP type %d", r.EAP[4])
	return nil
}

// eapolTest runs eapol_test, the authenticator and peer of wpa_supplicant.
func eapolTest(t *testing.T, server netip.AddrPort, secret, identity, password string) (text string, succeeded bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "eap.conf")
	conf := fmt.Sprintf("network={\n\tkey_mgmt=IEEE8021X\n\teap=MD5\n\tidentity=%q\n\tpassword=%q\n}\n", identity, password)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(peerProgram(t, "eapol_test"), "-n", "-c", file, "-a", server.Addr().String(), "-p", fmt.Sprint(server.Port()), "-s", secret, "-t", "20").CombinedOutput()
	if _, ran := err.(*exec.ExitError); err != nil && !ran {
		t.Fatal(err)
	}
	return string(out), err == nil && strings.HasSuffix(strings.TrimSpace(string(out)), "SUCCESS")
}

func TestEapolTestAuthenticatesOverOurRADIUS(t *testing.T) {
	long := strings.Repeat("long.", 48) + "@example" // its EAP packet does not fit one attribute
	for _, name := range []string{"", strings.Repeat("server ", 60)} {
		m := &md5Server{t: t, password: "open sesame", name: name, msk: make([]byte, radius.MSKSize), users: make(chan string, 100)}
		for i := range m.msk {
			m.msk[i] = byte(7 * i)
		}
		bound := serveRADIUS(t, m.answer, "127.0.0.1", "::1")
		for i, identity := range []string{"user@example", long} {
			text, ok := eapolTest(t, bound[i], radiusSecret, identity, "open sesame")
			if !ok {
				t.Fatalf("eapol_test fails\n%s", text)
			}
			if got := <-m.users; got != identity {
				t.Errorf("identity %q", got)
			}
			for what, key := range map[string][]byte{"MS-MPPE-Recv-Key (crypt)": m.msk[:32], "MS-MPPE-Send-Key (sign)": m.msk[32:]} {
				found := regexp.MustCompile(regexp.QuoteMeta(what) + ` - hexdump\(len=32\): ([0-9a-f ]+)`).FindStringSubmatch(text)
				if found == nil || strings.ReplaceAll(found[1], " ", "") != hex.EncodeToString(key) {
					t.Errorf("eapol_test finds %q in %s, want %x\n%s", found, what, key, text)
				}
			}
		}
	}
}

func TestEapolTestIsRejectedWithTheWrongPassword(t *testing.T) {
	m := &md5Server{t: t, password: "open sesame", users: make(chan string, 100)}
	bound := serveRADIUS(t, m.answer, "127.0.0.1")
	text, ok := eapolTest(t, bound[0], radiusSecret, "user@example", "open barley")
	if ok || !strings.Contains(text, "code=3 (Access-Reject)") || !strings.Contains(text, "EAP: Received EAP-Failure") && !strings.Contains(text, "decapsulated EAP packet (code=4") {
		t.Errorf("eapol_test says\n%s", text)
	}
}

// radclient runs FreeRADIUS's client with a request, and a dictionary that knows
// 3GPP2's attributes for Mobile IPv6 by the numbers that Wireshark has for them.
func radclient(t *testing.T, server netip.AddrPort, request ...string) string {
	t.Helper()
	program := peerProgram(t, "radclient")
	dir := t.TempDir()
	words := `$INCLUDE /usr/share/freeradius/dictionary
BEGIN-VENDOR 3GPP2
ATTRIBUTE 3GPP2-MIP6-Home-Agent-Address-From-BU 118 ipv6addr
ATTRIBUTE 3GPP2-MIP6-Care-of-Address 119 ipv6addr
ATTRIBUTE 3GPP2-MIP6-Session-Key 121 octets encrypt=2
ATTRIBUTE 3GPP2-MIP6-Mesg-ID 123 octets
ATTRIBUTE 3GPP2-MIP6-Authenticator 134 octets
ATTRIBUTE 3GPP2-MIP6-MAC-Mobility-Data 138 octets
ATTRIBUTE 3GPP2-MIP6-HOA-Received-From-BU 141 ipv6addr
END-VENDOR 3GPP2
`
	if err := os.WriteFile(filepath.Join(dir, "dictionary"), []byte(words), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-x", "-D", dir, "-t", "10", "-r", "1", server.String(), "auth", radiusSecret)
	cmd.Stdin = strings.NewReader(strings.Join(append(request, "Message-Authenticator = 0x00"), "\n"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("radclient: %v\n%s", err, out)
	}
	return string(out)
}

func TestRadclientUnderstandsTheProfileOf3GPP2(t *testing.T) {
	var seen atomic.Pointer[radius.BindingRequest]
	grant := grantBinding(t)
	bound := serveRADIUS(t, func(d radpeer.Deliver) *radiusAnswer {
		r, err := radius.ParseBindingRequest(d.Packet.Attributes)
		if err != nil || !d.Guarded || !radius.IsBindingRequest(d.Packet.Attributes) {
			t.Errorf("%+v, %v, guarded %v", r, err, d.Guarded)
		}
		seen.Store(r)
		return grant(d)
	}, "::1")
	text := radclient(t, bound[0], `User-Name = "mn@example"`, "NAS-IPv6-Address = 2001:db8::1", `NAS-Identifier = "ha"`,
		"3GPP2-MIP6-Home-Agent-Address-From-BU = 2001:db8::1", "3GPP2-MIP6-Care-of-Address = 2001:db8::2", "3GPP2-MIP6-HOA-Received-From-BU = 2001:db8::3",
		"3GPP2-MIP6-Mesg-ID = 0xcacc680080000000", "3GPP2-MIP6-Authenticator = 0x70a0b95ba9d7b79b3ea32a303685a1fa2f5749c2",
		"3GPP2-MIP6-MAC-Mobility-Data = 0xffb4957e85aee318d8f0258c031fd18ae5dce807")
	for _, want := range []string{"Received Access-Accept", "3GPP2-MIP6-Session-Key = 0x" + hex.EncodeToString([]byte("0123456789abcdef")), "Session-Timeout = 3600",
		"3GPP2-MIP6-HOA-Received-From-BU = 2001:db8::3", `User-Name = "mn@example"`} {
		if !strings.Contains(text, want) {
			t.Errorf("radclient does not say %s\n%s", want, text)
		}
	}
	r := seen.Load()
	got := fmt.Sprint(r.Address, r.Identifier, r.User, r.HomeAgent, r.CareOf, r.Home, fmt.Sprintf(" %x %x %x", r.Timestamp, r.Authenticator, r.MobilityData))
	want := fmt.Sprint(netip.MustParseAddr("2001:db8::1"), "ha", "mn@example", netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8::3"),
		" cacc680080000000 70a0b95ba9d7b79b3ea32a303685a1fa2f5749c2 ffb4957e85aee318d8f0258c031fd18ae5dce807")
	if got != want {
		t.Errorf("the server reads\n%s\nwant\n%s", got, want)
	}
}

func TestRadclientUnderstandsTheProfileOfWiMAX(t *testing.T) {
	key, session := []byte("a key of twenty octs"), bytes.Repeat([]byte("session "), 40) // 320 octets: two attributes
	bound := serveRADIUS(t, func(d radpeer.Deliver) *radiusAnswer {
		r, err := radius.ParseKeyRequest(d.Packet.Attributes)
		if err != nil || !radius.IsKeyRequest(d.Packet.Attributes) || r.User != "mn@example" || r.HomeAgent != netip.MustParseAddr("2001:db8::1") || r.SPI != 4098 {
			t.Errorf("%+v, %v", r, err)
			return nil
		}
		as, err := (&radius.KeyAccept{Key: key, SPI: r.SPI, Lifetime: time.Minute}).AppendTo(nil, d.Cover)
		if err != nil {
			t.Error(err)
		}
		if as, err = radius.Add(as, radius.WiMAXAAASessionID, session); err != nil {
			t.Error(err)
		}
		return &radiusAnswer{radius.AccessAccept, as}
	}, "127.0.0.1")
	text := radclient(t, bound[0], `User-Name = "mn@example"`, `NAS-Identifier = "ha"`, "WiMAX-hHA-IP-MIP6 = 2001:db8::1", "WiMAX-MN-hHA-MIP6-SPI = 4098")
	for _, want := range []string{"Received Access-Accept", "WiMAX-MN-hHA-MIP6-Key = 0x" + hex.EncodeToString(key), "WiMAX-MN-hHA-MIP6-SPI = 4098", "Session-Timeout = 60",
		"WiMAX-AAA-Session-Id = 0x" + hex.EncodeToString(session)} {
		if !strings.Contains(text, want) {
			t.Errorf("radclient does not say %s\n%s", want, text)
		}
	}
}

func TestRadclientsPasswordIsUncovered(t *testing.T) {
	bound := serveRADIUS(t, func(d radpeer.Deliver) *radiusAnswer {
		code := radius.AccessReject
		if password, err := d.Cover.RevealPassword(d.Packet.All(radius.UserPassword)[0]); err == nil && string(password) == "a password of more than sixteen octets" {
			code = radius.AccessAccept
		}
		return &radiusAnswer{code, nil}
	}, "127.0.0.1")
	if text := radclient(t, bound[0], `User-Name = "u"`, `User-Password = "a password of more than sixteen octets"`); !strings.Contains(text, "Received Access-Accept") {
		t.Errorf("radclient says\n%s", text)
	}
}
