package keys

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"net/netip"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func repeat(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

// All cases of RFC 2202, section 3.
func TestHMACSHA1IsThatOfRFC2202(t *testing.T) {
	var counting []byte
	for b := byte(1); b <= 25; b++ {
		counting = append(counting, b)
	}
	for i, c := range []struct {
		key, data []byte
		digest    string
	}{
		{repeat(0x0b, 20), []byte("Hi There"), "b617318655057264e28bc0b6fb378c8ef146be00"},
		{[]byte("Jefe"), []byte("what do ya want for nothing?"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{repeat(0xaa, 20), repeat(0xdd, 50), "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
		{counting, repeat(0xcd, 50), "4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
		{repeat(0x0c, 20), []byte("Test With Truncation"), "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
		{repeat(0xaa, 80), []byte("Test Using Larger Than Block-Size Key - Hash Key First"), "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
		{repeat(0xaa, 80), []byte("Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data"), "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
	} {
		m := NewMAC(c.key)
		for range 2 { // a MAC is as good the second time
			if got := m.Sum(c.data); hex.EncodeToString(got[:]) != c.digest {
				t.Errorf("case %d: %x, want %s", i+1, got, c.digest)
			}
		}
		if got := MNHA(m, c.data); hex.EncodeToString(got[:]) != c.digest[:24] {
			t.Errorf("case %d: MN-HA is %x, want the first 96 bits", i+1, got)
		}
	}
}

func TestHMACSHA1IsThatOfTheStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "key")
		data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
		h := hmac.New(sha1.New, key)
		h.Write(data)
		if got := NewMAC(key).Sum(data); !hmac.Equal(got[:], h.Sum(nil)) {
			t.Fatalf("%x, want %x", got, h.Sum(nil))
		}
	})
}

func TestGoroutinesMayShareAMAC(t *testing.T) {
	m := NewMAC([]byte("Jefe"))
	want := m.Sum([]byte("what do ya want for nothing?"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if m.Sum([]byte("what do ya want for nothing?")) != want {
					t.Error("another sum")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestASessionKeyDependsOnAllItIsMadeOf(t *testing.T) {
	key := []byte("@ABCDEFGHIJKLMNO")
	nai := "001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
	agent := netip.MustParseAddr("2001:db8:100::1")
	fresh := [8]byte{0xca, 0xcc, 0x68, 0, 0x80, 0, 0, 0}

	got := SessionKey(key, nai, agent, fresh)
	// By openssl, from the definition:
	//	printf 'MN-HA%s' NAI | cat - ADDRESS FRESHNESS |
	//	openssl dgst -sha1 -mac HMAC -macopt hexkey:404142434445464748494a4b4c4d4e4f
	if want := "eccf27d643b747f26256f01328d8a6a3"; hex.EncodeToString(got[:]) != want {
		t.Errorf("%x, want %s", got, want)
	}
	for what, other := range map[string][16]byte{
		"key":        SessionKey([]byte("@ABCDEFGHIJKLMNo"), nai, agent, fresh),
		"identifier": SessionKey(key, nai+"x", agent, fresh),
		"home agent": SessionKey(key, nai, agent.Next(), fresh),
		"freshness":  SessionKey(key, nai, agent, [8]byte{}),
	} {
		if other == got {
			t.Errorf("another %s gives the same session key", what)
		}
	}
}

func BenchmarkMNHA(b *testing.B) {
	m, data := NewMAC(make([]byte, 16)), make([]byte, 148)
	b.ReportAllocs()
	for b.Loop() {
		MNHA(m, data)
	}
}

func TestAMACDoesNotAllocate(t *testing.T) {
	m, data := NewMAC(make([]byte, 16)), make([]byte, 148)
	if n := testing.AllocsPerRun(100, func() { MNHA(m, data) }); n >= 1 {
		t.Errorf("%v allocations a sum, want none", n)
	}
}
