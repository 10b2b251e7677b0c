package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// JUnit writes junit.xml, as CI systems read it: a test case an expectation, and
// one for the run itself, which is an error where it could not be played to its
// end.
func (r *Report) JUnit(w io.Writer) error {
	suite := junitSuite{
		Name: cmp.Or(r.Scenario, "s2clab"), Time: fmt.Sprintf("%.3f", r.Duration.Seconds()), Hostname: r.ID,
		Properties: []junitProperty{{"seed", fmt.Sprint(r.Seed)}, {"topology", r.Topology.Name}, {"program", r.Program}},
	}
	if !r.Started.IsZero() {
		suite.Timestamp = r.Started.UTC().Format("2006-01-02T15:04:05")
	}
	run := junitCase{Class: suite.Name, Name: "the run comes to its end", Time: suite.Time}
	var wrong []string
	if !r.Ended {
		wrong = append(wrong, "the journal ends without an end of the run")
	}
	if r.Outcome() == Failed && r.Ended {
		wrong = append(wrong, cmp.Or(r.Failure, "a step could not be done"))
	}
	for _, d := range r.Deaths {
		wrong = append(wrong, fmt.Sprintf("node %s died at %.3f s: %s\n%s", d.Node, d.At.Seconds(), d.Exit, d.Log))
	}
	if !r.Ended || r.Outcome() == Failed {
		run.Error = &junitProblem{Message: firstLine(wrong[0]), Text: strings.Join(wrong, "\n")}
		suite.Errors = 1
	} else if wrong != nil {
		run.Out = strings.Join(wrong, "\n")
	}
	suite.Cases = append(suite.Cases, run)
	for _, x := range r.Expectations {
		c := junitCase{Class: suite.Name, Name: cmp.Or(x.What, "an expectation"), Time: "0", Line: x.Line}
		text := strings.Join(append([]string{"found: " + x.Found}, x.Evidence...), "\n")
		if x.Held {
			c.Out = text
		} else {
			c.Failure = &junitProblem{Message: cmp.Or(x.Found, "it did not hold"), Text: text}
			suite.Failures++
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	all := junitSuites{Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Suites: []junitSuite{suite}}
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr,omitempty"`
	Hostname   string          `xml:"hostname,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}
