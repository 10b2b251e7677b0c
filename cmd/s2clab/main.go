// Command s2clab is a network emulation testbed for the 3GPP EPS S2c reference
// point. Everything it does is in the rooms it calls; see README.md.
package main

func main() {}
