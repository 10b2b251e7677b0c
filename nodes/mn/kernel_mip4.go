package mn

import (
	"context"
	"slices"
)

// hearRegistration tells the loop of what comes to the port of Mobile IPv4.
func (k *kernel) hearRegistration(ctx context.Context, inputs chan<- Input, fail context.CancelCauseFunc) {
	for {
		came, err := k.registration.Receive()
		if err != nil {
			failed(fail, err)
			return
		}
		for _, d := range came {
			give(ctx, inputs, RegistrationReplied{From: d.From, Octets: slices.Clone(d.Octets)})
		}
	}
}
