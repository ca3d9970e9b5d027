// Command cel asks cel-go what the other end asks its own CEL: a JSON document a line in, a verdict a line out.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
)

type question struct {
	Expression string            `json:"expression"`
	Variables  map[string]string `json:"variables"`
	Values     map[string]any    `json:"values"`
}

type verdict struct {
	Answer  *bool  `json:"answer,omitempty"`
	Failed  string `json:"failed,omitempty"`
	Invalid string `json:"invalid,omitempty"`
}

var types = map[string]*cel.Type{
	"bool":                cel.BoolType,
	"int":                 cel.IntType,
	"string":              cel.StringType,
	"timestamp":           cel.TimestampType,
	"map(string, string)": cel.MapType(cel.StringType, cel.StringType),
	"map(string, dyn)":    cel.MapType(cel.StringType, cel.DynType),
	"dyn":                 cel.DynType,
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.UseNumber()
		if err := decoder.Decode(&asked); err != nil {
			panic(err)
		}
		if err := answers.Encode(ask(asked)); err != nil {
			panic(err)
		}
	}
}

func ask(asked question) verdict {
	// Comparisons of unlike literals, `1 < 2.0`, are an option of cel-go that ours has not, and are no expression.
	options := []cel.EnvOption{ext.Strings(), cel.OptionalTypes()}
	for name, kind := range asked.Variables {
		options = append(options, cel.Variable(name, types[kind]))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		panic(err)
	}
	ast, issues := env.Compile(asked.Expression)
	if issues.Err() != nil {
		return verdict{Invalid: issues.Err().Error()}
	}
	if given := ast.OutputType(); !given.IsExactType(cel.BoolType) && !given.IsExactType(cel.DynType) {
		return verdict{Invalid: "it gives " + given.String()}
	}
	program, err := env.Program(ast)
	if err != nil {
		return verdict{Invalid: err.Error()}
	}
	values := map[string]any{}
	for name, value := range asked.Values {
		values[name] = native(value, asked.Variables[name])
	}
	result, _, err := program.Eval(values)
	if err != nil {
		return verdict{Failed: err.Error()}
	}
	answer, ok := result.Value().(bool)
	if !ok {
		return verdict{Failed: "neither true nor false"}
	}
	return verdict{Answer: &answer}
}

// native gives numbers the type that their spelling has, and times their own.
func native(value any, kind string) any {
	switch known := value.(type) {
	case json.Number:
		if strings.ContainsAny(known.String(), ".eE") {
			number, _ := known.Float64()
			return number
		}
		if number, err := known.Int64(); err == nil {
			return number
		}
		var number uint64
		if err := json.Unmarshal([]byte(known.String()), &number); err == nil {
			return number
		}
		return known.String()
	case string:
		if kind == "timestamp" {
			when, err := time.Parse(time.RFC3339Nano, known)
			if err != nil {
				panic(err)
			}
			return when
		}
	case map[string]any:
		for key, below := range known {
			known[key] = native(below, "")
		}
		if kind == "map(string, string)" {
			texts := map[string]string{}
			for key, below := range known {
				texts[key] = below.(string)
			}
			return texts
		}
	case []any:
		for at, below := range known {
			known[at] = native(below, "")
		}
	}
	return value
}
