package bootstrap

import "fmt"

// Of gives the method that a topology names: security.bootstrap, and with
// mip-options security.key-source.
func Of(name, source string) (Method, error) {
	switch name {
	case "static":
		return Method{Name: name}, nil
	case "mip-options":
		roots := map[string]mnAAA{"": provisioned{}, "static": provisioned{}}
		root, known := roots[source]
		if !known {
			return Method{}, fmt.Errorf("key source %q: want static", source)
		}
		m := mipOptions{root}
		return Method{Name: name, Mobile: m, Server: m}, nil
	}
	return Method{}, fmt.Errorf("bootstrap %q: want static or mip-options", name)
}
