package bootstrap

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// methods are all of them, by security.bootstrap of a topology, with its key-source
// after a slash; those of a profile by its name.
var methods = map[string]Method{
	"static":             {},
	"mip-options/static": vouched(mipOptions{provisioned{}}),
	"mip-options/emsk":   vouched(mipOptions{ofEMSK{}}),
	"mip-options/gba":    vouched(mipOptions{ofGBA{}}),
	"mip-options/aka":    vouched(mipOptionsAKA{mipOptions{ofChallenge{}}}),
	"gba-rfc3957":        vouched(gbaRFC3957{}),
	"gba":                fetched(gba{}),
	"partial-gba":        fetched(partialGBA{}),
	"3gpp2":              perBinding(vouched(threeGPP2{mipOptions{provisioned{}}})),
	"wimax":              fetched(wimax{}),
	"mipv4":              vouched(mipv4{provisioned{}}),
}

// vouched is for methods in which a server vouches for an MN-AAA option.
func vouched(m interface {
	Mobile
	Server
}) Method {
	return Method{Mobile: m, Server: m}
}

// fetched is for methods in which the home agent fetches the key of an MN-HA option.
func fetched(m interface {
	Mobile
	Keeper
}) Method {
	return Method{Mobile: m, Keeper: m}
}

func perBinding(m Method) Method {
	m.PerBinding = true
	return m
}

// Of gives the method that a topology names: security.profile, bootstrap and, with
// mip-options, key-source, of which an empty one is static.
func Of(profile, bootstrap, source string) (Method, error) {
	name := bootstrap
	switch {
	case profile == "3gpp2" || profile == "wimax" || profile == "mipv4":
		name = profile
	case bootstrap == "mip-options" && source == "":
		name += "/static"
	case bootstrap == "mip-options":
		name += "/" + source
	}
	m, known := methods[name]
	if !known {
		return Method{}, fmt.Errorf("bootstrapping by %q: want one of %s", name, strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
	}
	m.Name = name
	return m, nil
}
