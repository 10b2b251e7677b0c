package diameter

import "time"

var (
	bsf        = Identity{Host: "bsf." + realm, Realm: realm, State: 0x65000005}
	impi       = imsi + "@ims.mnc001.mcc001.3gppnetwork.org"
	bsfSession = bsf.Host + ";3402393600;2"
	nafSession = server.Host + ";3402393600;6"
	guss       = []byte(`<?xml version="1.0"?><guss id="` + impi + `"/>`)
	digest     = func() AuthItem { v := vector; v.Number, v.Scheme = 0, SchemeDigestAKA; return v }()
)

var gbaTyped = []sample{
	{"multimedia-auth-request-zh", Header{HopByHop: 0x31, EndToEnd: 0x32}, &MultimediaAuthRequest{
		Application: Zh, Session: bsfSession, Identity: bsf, DestinationRealm: realm, User: impi, SettingsTime: time.Date(2007, 10, 26, 13, 20, 0, 0, time.UTC),
	}, reading(ParseMultimediaAuthRequest)},
	{"multimedia-auth-answer-zh", asked(MultimediaAuth, Zh, 0x31, 0x32), &MultimediaAuthAnswer{
		Session: bsfSession, Outcome: Outcome{Result: Success}, Identity: hss, User: impi, Items: []AuthItem{digest}, Settings: guss,
	}, reading(ParseMultimediaAuthAnswer)},
	{"bootstrapping-info-request", Header{HopByHop: 0x33, EndToEnd: 0x34}, &BootstrappingInfoRequest{
		Session: nafSession, Identity: server, DestinationRealm: realm, DestinationHost: bsf.Host, Services: []string{"0"},
		Transaction: "I1U8vpY3qJ0hiuZNrke/NQ==@" + bsf.Host, NAFID: append([]byte(server.Host), 1, 0, 0, 0, 2), GBAU: true,
	}, reading(ParseBootstrappingInfoRequest)},
	{"bootstrapping-info-answer", asked(BootstrappingInfo, Zn, 0x33, 0x34), &BootstrappingInfoAnswer{
		Session: nafSession, Outcome: Outcome{Result: Success}, Identity: bsf, User: impi,
		Key: unhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"), UICCKey: unhex("202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"),
		Expires: time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC), Created: time.Date(2007, 10, 26, 13, 20, 0, 0, time.UTC), Settings: guss, Type: GBA2G,
	}, reading(ParseBootstrappingInfoAnswer)},
	{"bootstrapping-info-answer-refused", asked(BootstrappingInfo, Zn, 0x33, 0x34), &BootstrappingInfoAnswer{
		Session: nafSession, Outcome: Outcome{Result: TransactionIdentifierInvalid}, Identity: bsf,
	}, reading(ParseBootstrappingInfoAnswer)},
}
