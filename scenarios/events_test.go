package scenarios_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"s2clab/scenarios"
)

// notSpokenOf are events that scenarios do not speak of: measurements, which come as
// numbers in a report.
var notSpokenOf = []string{"flow-samples", "flow-bytes", "flow-responses"}

// noEvents look like names of events, and name something else.
var noEvents = []string{"force-udp-refused"} // a status

var kebab = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)

// tellers are the functions that are given the name of an event.
var tellers = []string{"Event", "Tell", "EventAt", "event", "tell", "tells", "clientEvent"}

// eventsOf finds the names of events in the source of roles: what is told by a teller, in a table of
// names, as the Name of an Event, the first of an order, or
// by way of a variable that is called name or event.
func eventsOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{} // where
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", folder, len(files), err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		take := func(e ast.Expr) {
			if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if name, _ := strconv.Unquote(l.Value); kebab.MatchString(name) {
					found[name] = set.Position(l.Pos()).String()
				}
			}
		}
		named := func(e ast.Expr) string {
			switch e := e.(type) {
			case *ast.Ident:
				return e.Name
			case *ast.SelectorExpr:
				return e.Sel.Name
			}
			return ""
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if slices.Contains(tellers, named(n.Fun)) {
					for _, a := range n.Args {
						take(a)
					}
				}
			case *ast.CompositeLit:
				if kind := named(n.Type); kind == "order" && len(n.Elts) > 0 {
					take(n.Elts[0])
				}
			case *ast.KeyValueExpr:
				if key := named(n.Key); key == "Name" || key == "event" {
					take(n.Value)
				}
			case *ast.ValueSpec:
				if name := n.Names[0].Name; len(n.Values) == 1 && (name == "names" || name == "eventNames") {
					if table, ok := n.Values[0].(*ast.CompositeLit); ok {
						for _, e := range table.Elts {
							take(e.(*ast.KeyValueExpr).Value)
						}
					}
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if name := named(left); (name == "name" || name == "event") && i < len(n.Rhs) {
						take(n.Rhs[i])
					}
				}
			case *ast.FuncDecl:
				if r := n.Type.Results; r != nil && len(r.List) > 0 && len(r.List[0].Names) > 0 && r.List[0].Names[0].Name == "name" {
					ast.Inspect(n.Body, func(n ast.Node) bool {
						if back, ok := n.(*ast.ReturnStmt); ok && len(back.Results) > 0 {
							take(back.Results[0])
						}
						return true
					})
				}
			}
			return true
		})
	}
	return found
}

func TestWhatRolesTellCanBeExpected(t *testing.T) {
	known := scenarios.Events()
	all := 0
	for _, role := range []string{"mn", "ha", "aaa", "hss", "bsf", "router", "cn", "nat", "traffic", "dns", "session/routability", "session/dhcp4"} {
		for name, where := range eventsOf(t, "../nodes/"+role) {
			all++
			if !slices.Contains(known, name) && !slices.Contains(notSpokenOf, name) && !slices.Contains(noEvents, name) {
				t.Errorf("%s: no scenario can speak of %s: it is not in vocabulary.go", where, name)
			}
		}
	}
	if all < 100 {
		t.Errorf("%d events found, want those of all roles", all)
	}
}
