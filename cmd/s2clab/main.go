// Command s2clab is a network emulation testbed for the 3GPP EPS S2c reference
// point. Everything it does is in the rooms it calls; see README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"

	"s2clab/nodes/aaa"
	"s2clab/nodes/bsf"
	"s2clab/nodes/cn"
	"s2clab/nodes/dns"
	"s2clab/nodes/ha"
	"s2clab/nodes/hss"
	"s2clab/nodes/mn"
	"s2clab/nodes/nat"
	"s2clab/nodes/router"
	"s2clab/nodes/traffic"
	"s2clab/orchestrator/cli"
)

// The main thread must never enter a node's namespaces: those that it enters do
// not die before the process. Locked, it runs main and nothing else.
func init() { runtime.LockOSThread() }

// roles are what a node process can be.
var roles = map[string]cli.Role{
	"mn":      mn.Run,
	"ha":      ha.Run,
	"aaa":     aaa.Run,
	"hss":     hss.Run,
	"bsf":     bsf.Run,
	"router":  router.Run,
	"nat":     nat.Run,
	"dns":     dns.Run,
	"cn":      cn.Run,
	"traffic": traffic.Run,
}

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	p := &cli.Program{IO: cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, Roles: roles}
	return p.Run(ctx, os.Args[1:])
}
