// Answers questions about Dockerfiles with BuildKit's own parser and shell lexer.
//
// One JSON request a line on standard input, one JSON answer a line on standard output.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

type request struct {
	Op     string            `json:"op"`
	Text   string            `json:"text"`
	Env    map[string]string `json:"env"`
	Escape string            `json:"escape"`
}

type env map[string]string

func (e env) Get(name string) (string, bool) { v, ok := e[name]; return v, ok }
func (e env) Keys() []string {
	keys := make([]string, 0, len(e))
	for k := range e {
		keys = append(keys, k)
	}
	return keys
}

type instruction struct {
	Keyword  string   `json:"keyword"`
	Flags    []string `json:"flags"`
	Words    []string `json:"words"`
	First    int      `json:"first"`
	Last     int      `json:"last"`
	Heredocs []string `json:"heredocs"`
}

type answer struct {
	Error        string        `json:"error,omitempty"`
	Value        string        `json:"value"`
	Escape       string        `json:"escape,omitempty"`
	Instructions []instruction `json:"instructions"`
}

func parse(text string) answer {
	result, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return answer{Error: err.Error()}
	}
	found := answer{Escape: string(result.EscapeToken), Instructions: []instruction{}}
	for _, node := range result.AST.Children {
		one := instruction{Keyword: strings.ToLower(node.Value), Flags: node.Flags,
			First: node.StartLine, Last: node.EndLine}
		for next := node.Next; next != nil; next = next.Next {
			one.Words = append(one.Words, next.Value)
		}
		for _, heredoc := range node.Heredocs {
			one.Heredocs = append(one.Heredocs, heredoc.Content)
		}
		found.Instructions = append(found.Instructions, one)
	}
	return found
}

func reply(r request) answer {
	switch r.Op {
	case "parse":
		return parse(r.Text)
	case "syntax":
		value, _, _, _ := parser.DetectSyntax([]byte(r.Text))
		return answer{Value: value}
	default:
		lexer := shell.NewLex([]rune(r.Escape)[0])
		value, _, err := lexer.ProcessWord(r.Text, env(r.Env))
		if err != nil {
			return answer{Error: err.Error()}
		}
		return answer{Value: value}
	}
}

func main() {
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(make([]byte, 1<<20), 1<<24)
	out := json.NewEncoder(os.Stdout)
	for scanner.Scan() {
		var r request
		if err := json.Unmarshal(scanner.Bytes(), &r); err != nil {
			panic(err)
		}
		if err := out.Encode(reply(r)); err != nil {
			panic(err)
		}
	}
}
