package strict

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Of makes the Shape of a value that is a single one.
func Of(s *Scalar) *Shape { return &Shape{Scalar: s} }

// Words is one of a list of words. Its Go type is string.
func Words(name string, words ...string) *Scalar {
	return &Scalar{Name: name, JSON: "string", Words: words}
}

// Boolean is true or false. Its Go type is bool.
func Boolean() *Scalar {
	return &Scalar{Name: "a boolean", JSON: "boolean", Examples: []string{"true"}, Parse: func(text string) (any, error) {
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, &Trouble{fmt.Sprintf("%s is not a boolean", quote(text)), "write true or false"}
	}}
}

// Text is any text a person may write. Its Go type is string.
func Text(name string, most int) *Scalar {
	return &Scalar{Name: name, JSON: "string", Parse: func(text string) (any, error) {
		if n := utf8.RuneCountInString(text); n > most {
			return nil, &Trouble{fmt.Sprintf("has %d letters; want %d at most", n, most), ""}
		}
		if strings.TrimSpace(text) == "" {
			return nil, &Trouble{"is empty", "write something, or leave the key out"}
		}
		return text, nil
	}}
}

// Integer is a whole number. Its Go type is int64.
func Integer(name string, least, most int64) *Scalar {
	return &Scalar{Name: name, JSON: "integer", Minimum: &least, Maximum: &most, Examples: []string{strconv.FormatInt(max(least, 1), 10)},
		Parse: func(text string) (any, error) {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || text != strconv.FormatInt(n, 10) {
				return nil, &Trouble{fmt.Sprintf("%s is not %s", quote(text), name), fmt.Sprintf("write a whole number from %d to %d", least, most)}
			}
			if n < least || n > most {
				return nil, &Trouble{fmt.Sprintf("%d is out of range; want %d to %d", n, least, most), ""}
			}
			return n, nil
		}}
}

const number = `[0-9]+(\.[0-9]+)?`

var (
	plainNumber   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^-?` + number + `$`) })
	spacedNumber  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(-?` + number + `)\s+(\S+)$`) })
	unitedNumber  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(-?` + number + `)([^0-9.\s]\S*)$`) })
	durationShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^-?(` + number + `(ns|us|µs|ms|s|m|h))+$`) })
)

// Duration is a length of time with its unit, from least to most. Its Go type
// is time.Duration.
func Duration(least, most time.Duration) *Scalar {
	sign := ""
	if least < 0 {
		sign = "-?"
	}
	return &Scalar{Name: "a duration such as 15ms", JSON: "string", Examples: []string{"15ms", "1.5s"},
		Pattern: `^` + sign + `([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`,
		Parse: func(text string) (any, error) {
			if !durationShape().MatchString(text) {
				return nil, duration(text)
			}
			d, err := time.ParseDuration(text)
			if err != nil {
				return nil, &Trouble{fmt.Sprintf("%s is no time that can be counted", quote(text)), ""}
			}
			if d < least || d > most {
				return nil, outOfRange(text, Short(least), Short(most))
			}
			return d, nil
		}}
}

func outOfRange(text, least, most string) *Trouble {
	return &Trouble{fmt.Sprintf("%s is out of range; want %s to %s", text, least, most), ""}
}

// duration tells what is wrong with a text that is no duration.
func duration(text string) *Trouble {
	hint := "units of time: ns, us, ms, s, m, h"
	switch m := unitedNumber().FindStringSubmatch(text); {
	case plainNumber().MatchString(text):
		return &Trouble{text + " has no unit", fmt.Sprintf("write %sms or %ss", text, text)}
	case spacedNumber().MatchString(text):
		m := spacedNumber().FindStringSubmatch(text)
		hint = "write " + m[1] + m[3]
		if t := duration(m[1] + m[3]); !durationShape().MatchString(m[1] + m[3]) {
			hint = t.Hint
		}
		return &Trouble{fmt.Sprintf("%s has a space before the unit", quote(text)), hint}
	case m != nil:
		right := map[string]string{"sec": "s", "secs": "s", "second": "s", "seconds": "s", "msec": "ms", "min": "m", "mins": "m", "minutes": "m", "S": "s", "MS": "ms", "Ms": "ms", "hours": "h", "hour": "h", "usec": "us", "minute": "m"}[m[3]]
		if right != "" {
			hint = "write " + m[1] + right
		}
		return &Trouble{fmt.Sprintf("%s has a unit that is none of time", quote(text)), hint}
	}
	return &Trouble{fmt.Sprintf("%s is not a duration", quote(text)), "write a number with its unit, such as 15ms; " + hint}
}

// Short prints a duration without the parts that are zero: 1h, not 1h0m0s.
func Short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

type unit struct {
	name  string
	value float64
}

// quantity makes a Scalar of a number with one of units; what it holds is
// counted in the unit of value 1 and must be whole. Its Go type is int64.
func quantity(name, example string, units []unit, least, most int64) *Scalar {
	var names, patterns []string
	for _, u := range units {
		names = append(names, u.name)
		patterns = append(patterns, regexp.QuoteMeta(u.name))
	}
	shape := regexp.MustCompile(`^(` + number + `)(` + strings.Join(patterns, "|") + `)$`)
	unitOf := map[string]float64{}
	for _, u := range units {
		unitOf[u.name] = u.value
	}
	show := func(n int64) string {
		best := fmt.Sprintf("%d%s", n, units[0].name)
		for _, u := range units {
			if u.value >= 1 && n%int64(u.value) == 0 && n >= int64(u.value) {
				best = fmt.Sprintf("%d%s", n/int64(u.value), u.name)
			}
		}
		return best
	}
	return &Scalar{Name: name + " such as " + example, JSON: "string", Examples: []string{example}, Pattern: strings.ReplaceAll(shape.String(), `\/`, `/`),
		Parse: func(text string) (any, error) {
			m := shape.FindStringSubmatch(text)
			if m == nil {
				hint := "write a number with its unit, such as " + example + "; units here: " + strings.Join(names, ", ")
				bits := strings.TrimSuffix(text, "bps") + "bit/s"
				switch u := unitedNumber().FindStringSubmatch(text); {
				case strings.HasSuffix(text, "bps") && shape.MatchString(bits):
					hint = "write " + bits
				case plainNumber().MatchString(text):
					return nil, &Trouble{text + " has no unit", hint}
				case spacedNumber().MatchString(text):
					s := spacedNumber().FindStringSubmatch(text)
					return nil, &Trouble{fmt.Sprintf("%s has a space before the unit", quote(text)), "write " + s[1] + s[3]}
				case u != nil:
					if near := Nearest(u[3], names); near != "" {
						hint = fmt.Sprintf("did you mean %s%s? units here: %s", u[1], near, strings.Join(names, ", "))
					}
				}
				return nil, &Trouble{fmt.Sprintf("%s is not %s", quote(text), name), hint}
			}
			x, err := strconv.ParseFloat(m[1], 64)
			x = math.Round(x * unitOf[m[3]])
			if err != nil || x > float64(most) || x < float64(least) {
				return nil, outOfRange(text, show(least), show(most))
			}
			return int64(x), nil
		}}
}

// BitRate is bits in a second. Its Go type is int64.
func BitRate(least, most int64) *Scalar {
	return quantity("a rate", "50Mbit/s", []unit{{"bit/s", 1}, {"kbit/s", 1e3}, {"Mbit/s", 1e6}, {"Gbit/s", 1e9}}, least, most)
}

// Size is a number of octets. Its Go type is int64.
func Size(least, most int64) *Scalar {
	return quantity("a size", "200B", []unit{{"B", 1}, {"kB", 1e3}, {"KiB", 1 << 10}, {"MB", 1e6}, {"MiB", 1 << 20}}, least, most)
}

// A Frequency is how often something happens in a second.
type Frequency float64

var frequencyShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(` + number + `)/s$`) })

// Often is how often something happens. Its Go type is Frequency.
func Often(least, most Frequency) *Scalar {
	return &Scalar{Name: "a number in a second such as 100/s", JSON: "string", Examples: []string{"100/s"}, Pattern: frequencyShape().String(),
		Parse: func(text string) (any, error) {
			m := frequencyShape().FindStringSubmatch(text)
			if m == nil {
				if plainNumber().MatchString(text) {
					return nil, &Trouble{text + " has no unit", "write " + text + "/s"}
				}
				return nil, &Trouble{fmt.Sprintf("%s is not a number in a second", quote(text)), "write a number and /s, such as 100/s"}
			}
			x, err := strconv.ParseFloat(m[1], 64)
			if err != nil || Frequency(x) < least || Frequency(x) > most {
				return nil, outOfRange(text, fmt.Sprintf("%g/s", float64(least)), fmt.Sprintf("%g/s", float64(most)))
			}
			return Frequency(x), nil
		}}
}

var percentShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(` + number + `)%$`) })

// Percent is a share from 0% to 100%. Its Go type is float64, from 0 to 1.
func Percent() *Scalar {
	return &Scalar{Name: "a share such as 0.5%", JSON: "string", Examples: []string{"0.5%"}, Pattern: percentShape().String(),
		Parse: func(text string) (any, error) {
			m := percentShape().FindStringSubmatch(text)
			if m == nil {
				hint := "write a number and %, such as 0.5%"
				if x, err := strconv.ParseFloat(text, 64); err == nil && x > 0 && x < 1 {
					return nil, &Trouble{text + " has no unit", fmt.Sprintf("write %s%%, or %s%% if that is meant", text, strconv.FormatFloat(math.Round(x*1e8)/1e6, 'g', -1, 64))}
				} else if err == nil {
					return nil, &Trouble{text + " has no unit", "write " + text + "%"}
				}
				if m := spacedNumber().FindStringSubmatch(text); m != nil && m[3] == "%" {
					return nil, &Trouble{fmt.Sprintf("%s has a space before the unit", quote(text)), "write " + m[1] + "%"}
				}
				return nil, &Trouble{fmt.Sprintf("%s is not a share", quote(text)), hint}
			}
			x, err := strconv.ParseFloat(m[1], 64)
			if err != nil || x > 100 {
				return nil, outOfRange(text, "0%", "100%")
			}
			return x / 100, nil
		}}
}

// Level is a ratio in decibels, with its unit: dB, or dBm for one to a milliwatt.
// Its Go type is float64.
func Level(name, example, unit string, least, most float64) *Scalar {
	shape := regexp.MustCompile(`^(-?` + number + `)` + unit + `$`)
	show := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) + unit }
	return &Scalar{Name: name + " such as " + example, JSON: "string", Examples: []string{example}, Pattern: shape.String(),
		Parse: func(text string) (any, error) {
			m := shape.FindStringSubmatch(text)
			if m == nil {
				hint := "write a number and its unit, such as " + example
				switch spaced, united := spacedNumber().FindStringSubmatch(text), unitedNumber().FindStringSubmatch(text); {
				case plainNumber().MatchString(text):
					return nil, &Trouble{text + " has no unit", "write " + text + unit}
				case spaced != nil && strings.EqualFold(spaced[3], unit):
					return nil, &Trouble{fmt.Sprintf("%s has a space before the unit", quote(text)), "write " + spaced[1] + unit}
				case united != nil && strings.EqualFold(united[3], unit):
					hint = "write " + united[1] + unit
				}
				return nil, &Trouble{fmt.Sprintf("%s is not %s", quote(text), name), hint}
			}
			x, err := strconv.ParseFloat(m[1], 64)
			if err != nil || x < least || x > most {
				return nil, outOfRange(text, show(least), show(most))
			}
			return x, nil
		}}
}
