package keys

import (
	"encoding/hex"
	"math"
	"net/netip"
	"testing"
)

// The EMSK is that of RFC 9048, appendix C, case 1. Figures by a script on Python's
// hmac: of the deployed form, in the steps of FreeRADIUS's rlm_wimax.c; of the
// specified, in those of Radiator's WiMAX.pm, where Perl's Digest::SHA gives the same
// MIP-RK, MIP-SPI and FA-RK.
func TestKeysOfWiMAXAreThoseOfBothForms(t *testing.T) {
	emsk := octetsOf(t, "f861703cd775590e16c7679ea3874ada866311de290764d760cf76df647ea01c313f69924bdd7650ca9bac141ea075c4ef9e8029c0e290cdbad5638b63bc23fb")
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8:100::1")
	for form, want := range []struct {
		root, cmip4, pmip4, cmip6, fa string
		spi                           uint32
	}{
		WiMAXDeployed: {
			root:  "5626eeecd938555c0627241ec33dd7115e5b95992e55cb010323884075d1f7f7d5e5d14636a99628d345136f158e33023cb95b2cd8a184775dc3df7abe79a2f0",
			cmip4: "ff1259424d4ab120f4f9dc12cf6617823e52d84c",
			pmip4: "3cf0417775a3337ab13ef9077779ccbfe41ccdfe",
			cmip6: "ff125a167e3de24cf401fbeb249b3923b1a78fe5",
			fa:    "09b6a95be5ae193420e70172889e5b49e745a8fd",
			spi:   0x9a94ad56,
		},
		WiMAXSpecified: {
			root:  "5626eeecd938555c0627241ec33dd7115e5b95992e55cb010323884075d1f7f7631e36064a8ab5492f905315fd523e07ed76da313f913ad01c737ba1512daacd",
			cmip4: "657744c845ca4463e000f309cb5a746ae5c5653f",
			pmip4: "871fbe2305e98a6e4c20ca7cfdfea3e726435460",
			cmip6: "7fee72c9b764d8178ddc2be20f20687b9d6383c4",
			fa:    "0d55fccd15cbb79f382cadac42a715e80257287c",
			spi:   0x5b641a95,
		},
	} {
		r := NewMIPRoot(emsk, WiMAXForm(form))
		if got := r.Key(); hex.EncodeToString(got[:]) != want.root {
			t.Errorf("form %d: MIP-RK is %x, want %s", form, got, want.root)
		}
		if r.SPI() != want.spi {
			t.Errorf("form %d: MIP-SPI is %#x, want %#x", form, r.SPI(), want.spi)
		}
		for _, c := range []struct {
			name string
			got  MobilityKey
			key  string
			spi  uint32
		}{
			{"CMIP4", r.CMIP4(four, exampleNAI), want.cmip4, want.spi},
			{"CMIP4 of a mapped address", r.CMIP4(netip.AddrFrom16(four.As16()), exampleNAI), want.cmip4, want.spi},
			{"PMIP4", r.PMIP4(four, exampleNAI), want.pmip4, want.spi + 1},
			{"CMIP6", r.CMIP6(six, exampleNAI), want.cmip6, want.spi + 2},
			{"FA-RK", r.FARK(), want.fa, want.spi},
		} {
			if hex.EncodeToString(c.got.Key[:]) != c.key || c.got.SPI != c.spi {
				t.Errorf("form %d: %s is %x under %#x, want %s under %#x", form, c.name, c.got.Key, c.got.SPI, c.key, c.spi)
			}
		}
	}
}

func TestNoSPIOfWiMAXIsAReservedOne(t *testing.T) {
	for _, c := range []struct {
		spi  uint32
		form WiMAXForm
		want uint32
	}{
		{0, WiMAXDeployed, 256}, {255, WiMAXDeployed, 511}, {256, WiMAXDeployed, 256},
		{0, WiMAXSpecified, 256}, {255, WiMAXSpecified, 511}, {256, WiMAXSpecified, 256},
		{math.MaxUint32, WiMAXDeployed, math.MaxUint32}, // as deployed: those after it are 0 and 1
		{math.MaxUint32 - 3, WiMAXSpecified, math.MaxUint32 - 3},
		{math.MaxUint32 - 2, WiMAXSpecified, 256},
		{math.MaxUint32, WiMAXSpecified, 258},
	} {
		if got := mipSPI(c.spi, c.form); got != c.want {
			t.Errorf("form %d: %#x becomes %#x, want %#x", c.form, c.spi, got, c.want)
		}
	}
}
