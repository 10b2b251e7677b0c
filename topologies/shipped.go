package topologies

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"s2clab/topologies/strict"
)

// Shipped files are in the program, so that it works from anywhere. Their names
// begin with ShippedRoot, under which they lie as in the source tree.
//
//go:embed *.yaml
var shipped embed.FS

// ShippedRoot begins the names of files that are in the program.
const ShippedRoot = "shipped:/"

const shippedHere = ShippedRoot + "topologies/"

// Shipped returns the names of the topologies that are in the program.
func Shipped() []string {
	entries, err := shipped.ReadDir(".")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if data, err := shipped.ReadFile(e.Name()); err == nil && strings.Contains(string(data), "\ntopology:") {
			names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
		}
	}
	return names
}

var lineName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^line-([1-9][0-9]{0,2})$`) })

// Find returns the file that a person means by name: a file on disk, or a
// shipped topology, also one made on the spot such as line-50.
func Find(name string) (string, error) {
	if strings.HasPrefix(name, ShippedRoot) {
		return name, nil
	}
	if info, err := os.Stat(name); err == nil && !info.IsDir() {
		return name, nil
	}
	plain := strings.TrimSuffix(path.Base(name), ".yaml")
	if !strings.Contains(name, "/") || strings.HasPrefix(name, "topologies/") {
		if file, err := FindShipped(plain); err == nil {
			return file, nil
		}
	}
	return "", Problems{{File: name, What: "there is no such file, and no shipped topology of that name",
		Hint: strict.Suggest(plain, "shipped topologies", append(Shipped(), "line-50"))}}
}

// FindShipped returns the file of the shipped topology of that name, also of
// one made on the spot such as line-50.
func FindShipped(name string) (string, error) {
	if slices.Contains(Shipped(), name) || lineName().MatchString(name) {
		return shippedHere + name + ".yaml", nil
	}
	return "", Problems{{File: name, What: "there is no shipped topology of that name", Hint: strict.Suggest(name, "shipped topologies", append(Shipped(), "line-50"))}}
}

// ReadFile reads a file from disk, or one that is in the program.
func ReadFile(name string) ([]byte, error) {
	rest, ok := strings.CutPrefix(name, shippedHere)
	if !ok {
		if strings.HasPrefix(name, ShippedRoot) {
			return nil, Problems{{File: name, What: "there is no such shipped file"}}
		}
		return strict.ReadFile(name)
	}
	data, err := shipped.ReadFile(rest)
	if errors.Is(err, fs.ErrNotExist) {
		if m := lineName().FindStringSubmatch(strings.TrimSuffix(rest, ".yaml")); m != nil {
			n, _ := strconv.Atoi(m[1])
			return Line(n), nil
		}
		return nil, Problems{{File: name, What: "there is no such shipped file", Hint: "shipped topologies: " + strings.Join(Shipped(), ", ")}}
	}
	return data, err
}

// Load finds, reads and parses a topology.
func Load(name string, overrides ...Override) (*Topology, []Choice, error) {
	file, err := Find(name)
	if err != nil {
		return nil, nil, err
	}
	data, err := ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	return Parse(file, data, overrides...)
}

// Line returns a topology of n plain routers in a line, for measuring.
func Line(n int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# A line of %d routers, each joined to the next.\ntopology: line-%d\n\nnodes:\n", n, n)
	for i := range n {
		fmt.Fprintf(&b, "  r%d: {role: router}\n", i+1)
	}
	b.WriteString("\nlinks:\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "  l%d: {ends: [r%d, r%d]}\n", i, i, i+1)
	}
	return []byte(b.String())
}

// Files returns what is needed to read the topology just so again: by name,
// topology.yaml with the overrides in it, and the files that it names.
func Files(file string, data []byte, overrides ...Override) (map[string][]byte, error) {
	doc := open(file, data, overrides)
	files := Copier{Files: map[string][]byte{}}
	root := doc.Read(format()) // what is wrong is told below
	var named []*strict.Value
	for _, key := range root.Get("nodes").Keys() {
		if v := root.Get("nodes").Get(key.Text).Get("subscribers"); v != nil && v.Text != "" {
			named = append(named, v)
		}
	}
	for _, key := range root.Get("links").Keys() {
		named = append(named, traceNames(root.Get("links").Get(key.Text))...)
	}
	for _, v := range named {
		from := beside(file, v.Text)
		content, err := readLong(from)
		if err != nil {
			return nil, err
		}
		doc.Override(format(), Override{Path: v.Path, Value: files.Add(from, content)})
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	var err error
	files.Files[topologyFile], err = doc.Encode()
	return files.Files, err
}

const topologyFile = "topology.yaml"

// beside returns the path of a file that another file names.
func beside(file, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(filepath.ToSlash(file)), name)
}
