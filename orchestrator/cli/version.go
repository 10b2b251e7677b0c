package cli

import (
	"context"
	"fmt"
	"runtime/debug"
)

// version prints what this program was built from.
func (p *Program) version(ctx context.Context, args []string) error {
	if err := parseOnly(p.flags("version"), args); err != nil {
		return err
	}
	fmt.Fprintln(p.Out, "s2clab", Version())
	return nil
}

// Version is the module's version, or the commit it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	if version == "" {
		version = "(devel)"
	}
	return version
}
