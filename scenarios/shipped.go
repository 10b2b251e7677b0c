package scenarios

import (
	"embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"s2clab/topologies"
	"s2clab/topologies/strict"
)

// Shipped scenarios are in the program, so that it works from anywhere.
//
//go:embed */scenario.yaml */README.md */*.csv */*.up */*.down
var shipped embed.FS

// Default is the scenario that is played where none is named.
const Default = "lte-wlan-wimax"

const (
	shippedHere = topologies.ShippedRoot + "scenarios/"
	fileName    = "scenario.yaml"
)

// Shipped returns the names of the scenarios that are in the program, the
// default one first.
func Shipped() []string {
	entries, err := shipped.ReadDir(".")
	if err != nil {
		return nil
	}
	names := []string{Default}
	for _, e := range entries {
		if e.Name() != Default {
			names = append(names, e.Name())
		}
	}
	return names
}

// Page returns the lab page of a shipped scenario, in Markdown.
func Page(name string) ([]byte, error) {
	return shipped.ReadFile(path.Join(name, "README.md"))
}

// Find returns the file that a person means by name: a file, a folder with a
// scenario.yaml in it, or a shipped scenario. No name means Default.
func Find(name string) (string, error) {
	if name == "" {
		name = Default
	}
	if strings.HasPrefix(name, topologies.ShippedRoot) {
		return name, nil
	}
	if info, err := os.Stat(name); err == nil {
		if !info.IsDir() {
			return name, nil
		}
		inside := filepath.Join(name, fileName)
		if _, err := os.Stat(inside); err == nil {
			return inside, nil
		}
	}
	plain := strings.TrimSuffix(strings.TrimSuffix(filepath.ToSlash(name), "/"), "/"+fileName)
	plain = strings.TrimPrefix(plain, "scenarios/")
	if _, err := shipped.Open(path.Join(plain, fileName)); err == nil {
		return shippedHere + plain + "/" + fileName, nil
	}
	return "", topologies.Problems{{File: name, What: "there is no such file or folder with a " + fileName + ", and no shipped scenario of that name",
		Hint: strict.Suggest(plain, "shipped scenarios", Shipped())}}
}

// ReadFile reads a scenario from disk, or one that is in the program.
func ReadFile(name string) ([]byte, error) {
	rest, ok := strings.CutPrefix(name, shippedHere)
	if !ok {
		return strict.ReadFile(name)
	}
	data, err := shipped.ReadFile(rest)
	if err != nil {
		return nil, topologies.Problems{{File: name, What: "there is no such shipped file"}}
	}
	return data, nil
}

// Load finds, reads and parses a scenario.
func Load(name string, overrides ...topologies.Override) (*Scenario, error) {
	file, err := Find(name)
	if err != nil {
		return nil, err
	}
	data, err := ReadFile(file)
	if err != nil {
		return nil, err
	}
	return Parse(file, data, overrides...)
}

// Files returns what is needed to play the scenario just so again: by name, the
// files scenario.yaml, topology.yaml and those that it names, with every
// override and the seed written into them.
func (s *Scenario) Files() (map[string][]byte, error) {
	data, err := topologies.ReadFile(s.TopologyFile)
	if err != nil {
		return nil, err
	}
	files, err := topologies.Files(s.TopologyFile, data, s.Overrides...)
	if err != nil {
		return nil, err
	}
	doc := strict.Open(s.File, s.document)
	copies := topologies.Copier{Files: files}
	changes := []topologies.Override{{Path: "set"}, {Path: "topology", Value: "topology.yaml"}, {Path: "seed", Value: fmt.Sprint(s.Seed)}}
	for _, v := range traces(doc.Read(format()).Get("steps").Items()) {
		from := besides(s.File, v.Text)
		content, err := readLong(from)
		if err != nil {
			return nil, err
		}
		changes = append(changes, topologies.Override{Path: v.Path, Value: copies.Add(from, content)})
	}
	for _, o := range changes {
		doc.Override(format(), o)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	if files[fileName], err = doc.Encode(); err != nil {
		return nil, err
	}
	return files, nil
}
