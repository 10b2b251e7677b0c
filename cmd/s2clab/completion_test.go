package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each shell completes a word by the script that the program prints for it. Of
// the shells, bash is everywhere; another that is not here cannot be asked.
func TestShellsCompleteWords(t *testing.T) {
	for shell, ask := range map[string]string{
		"bash": `source <(s2clab completion bash); COMP_WORDS=(s2clab "$@"); COMP_CWORD=$#; _s2clab; [[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}"`,
		// The shell's own part, which draws, is stood in for.
		"zsh":  `compdef() {}; _files() { print files }; _describe() { print -l -- "${(@)${(P)2}%%:*}" }; source <(s2clab completion zsh); words=(s2clab "$@") CURRENT=$#words; _s2clab`,
		"fish": `s2clab completion fish | source; complete -C "s2clab $argv" | string replace -r '\t.*' ''`,
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip(err)
			}
			complete := func(words ...string) []string {
				t.Helper()
				args := append([]string{"-c", ask}, words...)
				switch shell {
				case "bash", "zsh":
					args = slices.Insert(args, 2, shell)
				case "fish":
					args = []string{"-c", ask, strings.Join(words, " ")}
				}
				cmd := exec.Command(shell, args...)
				cmd.Dir = t.TempDir()
				cmd.Env = append(cmd.Environ(), "PATH="+filepath.Dir(built(t))+":"+"/usr/bin:/bin")
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %v\n%s", words, err, out)
				}
				found := strings.Fields(string(out))
				slices.Sort(found)
				return found
			}
			for _, c := range []struct{ typed, want []string }{
				{[]string{"sh"}, []string{"shell"}},
				{[]string{"run", "lost"}, []string{"lost-acknowledgement", "lost-answers", "lost-authentication", "lost-binding-update"}},
				{[]string{"run", "--repeat", "2", "--q"}, []string{"--quiet"}},
				{[]string{"link", "wlan", "set", "del"}, []string{"delay="}},
			} {
				if got := complete(c.typed...); !slices.Equal(got, c.want) {
					t.Errorf("%v: %q, want %q", c.typed, got, c.want)
				}
			}
			if shell != "fish" {
				if got := complete("run", ""); !slices.Contains(got, "wrong-key") {
					t.Errorf("run and nothing more: %q", got)
				}
			}
		})
	}
}
