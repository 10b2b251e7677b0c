package keys

import "testing"

// All cases of RFC 9048, appendix D.
func TestKeysOfEAPAKAPrimeAreThoseOfRFC9048(t *testing.T) {
	for i, c := range []struct {
		network, autn, ik, ck    string
		ckPrime, ikPrime         string
		encr, aut, re, msk, emsk string
	}{
		{
			"WLAN", "bb52e91c747ac3ab2a5c23d15ee351d5", "9744871ad32bf9bbd1dd5ce54e3e2e5a", "5349fbe098649f948f5d2e973a81c00f",
			"0093962d0dd84aa5684b045c9edffa04", "ccfc230ca74fcc96c0a5d61164f5a76c",
			"766fa0a6c317174b812d52fbcd11a179",
			"0842ea722ff6835bfa2032499fc3ec23c2f0e388b4f07543ffc677f1696d71ea",
			"cf83aa8bc7e0aced892acc98e76a9b2095b558c7795c7094715cb3393aa7d17a",
			"67c42d9aa56c1b79e295e3459fc3d187d42be0bf818d3070e362c5e967a4d544e8ecfe19358ab3039aff03b7c930588c055babee58a02650b067ec4e9347c75a",
			"f861703cd775590e16c7679ea3874ada866311de290764d760cf76df647ea01c313f69924bdd7650ca9bac141ea075c4ef9e8029c0e290cdbad5638b63bc23fb",
		},
		{
			"HRPD", "bb52e91c747ac3ab2a5c23d15ee351d5", "9744871ad32bf9bbd1dd5ce54e3e2e5a", "5349fbe098649f948f5d2e973a81c00f",
			"3820f0277fa5f77732b1fb1d90c1a0da", "db94a0ab557ef6c9ab48619ca05b9a9f",
			"05ad73ac915fce89ac77e1520d82187b",
			"5b4acaef62c6ebb8882b2f3d534c4b35277337a00184f20ff25d224c04be2afd",
			"3f90bf5c6e5ef325ff04eb5ef6539fa8cca8398194fbd00be425b3f40dba10ac",
			"87b321570117cd6c95ab6c436fb5073ff15cf85505d2bc5bb7355fc21ea8a75757e8f86a2b138002e05752913bb43b82f868a96117e91a2d95f526677d572900",
			"c891d5f20f148a1007553e2dea555c9cb672e9675f4a66b4bafa027379f93aee539a5979d0a0042b9d2ae28bed3b17a31dc8ab75072b80bd0c1da612466e402c",
		},
		{
			"WLAN", "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0", "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0", "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0",
			"cd4c8e5c68f57dd1d7d7dfd0c538e577", "3ece6b705dbbf7dfc459a11280c65524",
			"897d302fa2847416488c28e20dcb7be4",
			"c40700e7722483ae3dc7139eb0b88bb558cb3081eccd057f9207d1286ee7dd53",
			"0a591a22dd8b5b1cf29e3d508c91dbbdb4aee23051892c42b6a2de66ea504473",
			"9f7dca9e37bb22029ed986e7cd09d4a70d1ac76d95535c5cac40a7504699bb8961a29ef6f3e90f183de5861ad1bedc81ce9916391b401aa006c98785a5756df7",
			"724de00bdb9e568187be3fe746114557d5018779537ee37f4d3c6c738cb97b9dc651bc19bfadc344ffe2b52ca78bd8316b51dacc5f2b1440cb9515521cc7ba23",
		},
		{
			"HRPD", "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0", "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0", "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0",
			"8310a71ce6f754889613da8f64d5fb46", "5adf14360ae838192db23f6fcb7f8c76",
			"745e7439ba238f50fcac4d15d47cd1d9",
			"3e1d2aa4e677025cfd862a4be18361a13a645765571463df833a9759e8099879",
			"99da835e2ae82462576fe6516fad1f802f0fa1191655dd0a273da96d04e0fcd3",
			"c6d3a6e0ceea951eb20d74f32c3061d0680a04b0b086ee8700ace3e0b95fa02683c287beee44432294ff98af26d2cc783bace75c4b0af7fdfeb5511ba8e4cbd0",
			"7fb56813838adafa99d140c2f198f6dacebfb6afee444961105402b508c7f363352cb2919644b50463e6a69354150147ae09cbc54b8a651d8787a6893ed8536d",
		},
	} {
		t.Logf("case %d", i+1)
		ck, ik := BindToNetwork([16]byte(unspaced(t, c.ck)), [16]byte(unspaced(t, c.ik)), c.network, [6]byte(unspaced(t, c.autn)))
		sameKey(t, "CK'", ck[:], c.ckPrime)
		sameKey(t, "IK'", ik[:], c.ikPrime)
		k := NewEAPAKAPrime("0555444333222111", ck, ik)
		sameKey(t, "K_encr", k.KEncr[:], c.encr)
		sameKey(t, "K_aut", k.KAut[:], c.aut)
		sameKey(t, "K_re", k.KRe[:], c.re)
		sameKey(t, "MSK", k.MSK[:], c.msk)
		sameKey(t, "EMSK", k.EMSK[:], c.emsk)
	}
}

// No standard has figures for a fast re-authentication; these are by Python's hmac,
// from the definition in RFC 9048, section 3.3, on the K_re of case 1.
func TestKeysOfAFastReauthenticationAreThoseOfAnotherCalculation(t *testing.T) {
	kre := [32]byte(unspaced(t, "cf83aa8bc7e0aced892acc98e76a9b2095b558c7795c7094715cb3393aa7d17a"))
	msk, emsk := ReauthEAPAKAPrime(kre, "8abc@example.org", 0x0102, [16]byte(unspaced(t, "0123456789abcdeffedcba9876543210")))
	sameKey(t, "MSK", msk[:], "54005b320ba702f7c773d22c2c9039f5e91929457b15bd90d689e3d968f3a44dc43ef7d3cd95bc943febc881992b0223937a61ef195e5f7428d4ec77f2d2cb52")
	sameKey(t, "EMSK", emsk[:], "9e55aecf5146f9794b3c30dbdbede73af5178ed809bfd6052f1f086711975d96784be1c59d38c8c28b6d9ed779a54077a8291edb65ef8ea2c3a6445d506cc0ff")
}
