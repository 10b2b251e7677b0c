package topologies

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func TestThePictureIsWholeAndNeedsNothingElse(t *testing.T) {
	for _, name := range append(Shipped(), "line-50") {
		top := load(t, name)
		svg := top.SVG()
		dec := xml.NewDecoder(bytes.NewReader(svg))
		var text strings.Builder
		for {
			token, err := dec.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch x := token.(type) {
			case xml.CharData:
				text.WriteString(string(x) + "\n")
			case xml.StartElement:
				for _, a := range x.Attr {
					if strings.Contains(a.Value, "://") && a.Name.Local != "xmlns" || a.Name.Local == "href" {
						t.Errorf("%s: %s=%s", name, a.Name.Local, a.Value)
					}
				}
			}
		}
		grouped := map[string]bool{}
		for _, members := range top.Groups {
			for _, m := range members[1 : len(members)-1] {
				grouped[m] = true
			}
		}
		for _, n := range top.Nodes {
			if !grouped[n.Name] && !strings.Contains(text.String(), n.Name) {
				t.Errorf("%s: node %s is not in the picture", name, n.Name)
			}
		}
		for _, l := range top.Links {
			if !strings.Contains(text.String(), l.Name) {
				t.Errorf("%s: link %s is not in the picture", name, l.Name)
			}
		}
	}
}

func TestBoxesDoNotLieOnOneAnother(t *testing.T) {
	for _, name := range append(Shipped(), "line-50") {
		p := load(t, name).picture()
		all := append(p.boxes, p.pills...)
		for _, v := range all {
			v.measure()
		}
		p.rank()
		columns, _ := p.columns()
		order(columns)
		width, height := place(columns)
		for i, a := range all {
			if a.x < 0 || a.y-a.height/2 < 0 || a.x+a.width > width || a.y+a.height/2 > height {
				t.Errorf("%s: %s lies outside", name, a.name)
			}
			for _, b := range all[:i] {
				if a.x < b.x+b.width && b.x < a.x+a.width && a.y-a.height/2 < b.y+b.height/2 && b.y-b.height/2 < a.y+a.height/2 {
					t.Errorf("%s: %s and %s lie on one another", name, a.name, b.name)
				}
			}
		}
	}
}

func TestThePictureIsTheSameEachTime(t *testing.T) {
	want := load(t, "many-mobiles").SVG()
	for range 5 {
		if got := load(t, "many-mobiles").SVG(); !bytes.Equal(got, want) {
			t.Fatal("it differs")
		}
	}
}

func TestGraphvizAndMermaidHaveEveryLine(t *testing.T) {
	top := load(t, "eps-s2c")
	dot, mermaid := string(top.Dot()), string(top.Mermaid())
	for _, want := range []string{`"node ue" -- "link lte"`, `"node wimax-gw" -- "link core"`, `"node cn" -- "link sgi"`} {
		if !strings.Contains(dot, want) {
			t.Errorf("no %s in\n%s", want, dot)
		}
	}
	for _, want := range []string{"node_ue --- link_lte", "node_wimax_gw --- link_core", "node_cn --- link_sgi"} {
		if !strings.Contains(mermaid, want) {
			t.Errorf("no %s in\n%s", want, mermaid)
		}
	}
}

func TestEveryRoleHasANameAndAColourInPictures(t *testing.T) {
	for _, role := range roles {
		if roleNames[role] == "" || fills[role][0] == "" || fills[role][1] == "" {
			t.Errorf("role %s is %q in %q", role, roleNames[role], fills[role])
		}
	}
}
