// Package bare makes what a topology is made of, and nothing else: namespaces,
// veth pairs, bridges, addresses, routes and a sleeping process a node, by
// rtnetlink alone. It is the floor that bringing a lab up is measured against.
//
// It knows no link emulation and no role: what it makes carries packets at once.
package bare

import (
	"fmt"
	"os/exec"

	vnetns "github.com/vishvananda/netns"

	"s2clab/nodes/netns"
	"s2clab/topologies"
)

// Up makes a topology in the calling thread's user namespace, and returns its
// nodes and a function that takes it away again.
func Up(t *topologies.Topology) (spaces map[string]*netns.Space, down func(), err error) {
	var undo []func()
	undoAll := func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	defer func() {
		if err != nil {
			undoAll()
		}
	}()

	middle, err := netns.New("middle", "") // holds the bridges
	if err != nil {
		return nil, nil, err
	}
	undo = append(undo, middle.Close)
	spaces = make(map[string]*netns.Space, len(t.Nodes))
	handles := make(map[string]vnetns.NsHandle, len(t.Nodes))
	for _, n := range t.Nodes {
		space, err := netns.New(n.Name, "")
		if err != nil {
			return nil, nil, err
		}
		undo = append(undo, space.Close)
		spaces[n.Name] = space
		if handles[n.Name], err = space.Handle(); err != nil {
			return nil, nil, err
		}
		handle := handles[n.Name]
		undo = append(undo, func() { handle.Close() })
	}
	inMiddle, err := middle.Handle()
	if err != nil {
		return nil, nil, err
	}
	undo = append(undo, func() { inMiddle.Close() })
	if err := join(t, middle, inMiddle, spaces, handles); err != nil {
		return nil, nil, err
	}
	for _, n := range t.Nodes {
		var b netns.Batch
		index := map[string]int{}
		for _, i := range n.Interfaces {
			index[i.Name] = i.Index
			for _, p := range i.Addresses {
				b.AddAddress(i.Index, p)
			}
			b.SetUp(i.Index)
		}
		for _, r := range n.Routes {
			b.AddRoute(r.To, r.Via, index[r.Dev])
		}
		if err := spaces[n.Name].Configure(&b); err != nil {
			return nil, nil, fmt.Errorf("node %s: %w", n.Name, err)
		}
		if n.Forwards() {
			if err := spaces[n.Name].SetForwarding(); err != nil {
				return nil, nil, err
			}
		}
		sleeper := exec.Command("sleep", "infinity")
		if err := spaces[n.Name].Start(sleeper); err != nil {
			return nil, nil, err
		}
		undo = append(undo, func() { sleeper.Process.Kill(); sleeper.Wait() })
	}
	return spaces, undoAll, nil
}

// join makes the links: a veth pair where there are two ends, else a bridge.
func join(t *topologies.Topology, middle *netns.Space, inMiddle vnetns.NsHandle, spaces map[string]*netns.Space, handles map[string]vnetns.NsHandle) error {
	bridgeIndex := 1000
	for _, l := range t.Links {
		if len(l.Ends) == 2 {
			var b netns.Batch
			b.AddVeth(device(t, l.Ends[0], l.Name), device(t, l.Ends[1], l.Name), handles[l.Ends[1]])
			if err := spaces[l.Ends[0]].Configure(&b); err != nil {
				return fmt.Errorf("link %s: %w", l.Name, err)
			}
			continue
		}
		bridge := bridgeIndex
		bridgeIndex++
		var b netns.Batch
		b.AddBridge(fmt.Sprintf("b%d", bridge), bridge)
		b.SetUp(bridge)
		if err := middle.Configure(&b); err != nil {
			return fmt.Errorf("link %s: %w", l.Name, err)
		}
		for _, end := range l.Ends {
			port := bridgeIndex
			bridgeIndex++
			b.AddVeth(device(t, end, l.Name), netns.PortConfig{Name: fmt.Sprintf("v%d", port), Index: port}, inMiddle)
			if err := spaces[end].Configure(&b); err != nil {
				return fmt.Errorf("link %s: %w", l.Name, err)
			}
			b.SetMaster(port, bridge)
			b.SetUp(port)
			if err := middle.Configure(&b); err != nil {
				return fmt.Errorf("link %s: %w", l.Name, err)
			}
		}
	}
	return nil
}

// device is a node's end of a link. A topology that was read has one.
func device(t *topologies.Topology, node, link string) netns.PortConfig {
	i := t.Node(node).Interface(link)
	return netns.PortConfig{Name: i.Name, Index: i.Index, MAC: i.MAC}
}
