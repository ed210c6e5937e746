package document_test

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"portcullis/document"
)

// FuzzText: a text is written as encoding/json writes it, whatever it holds.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "Ada", `a"b\c`, "<&>", "é\u2028\x00\x7f", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := document.AppendText([]byte("before "), s); string(got) != "before "+string(want) {
			t.Fatalf("AppendText(%q) = %s, want %s", s, got, want)
		}
	})
}

// FuzzAppend: whatever was read is written as encoding/json writes it, numbers
// as texts or not.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `null`, `{"b":1,"a":[true,false,null,{"é":"<x>"}],"":-2.5e+3}`, `{"\ud83d":"\u0000","a\"":"\\"}`, `[[],{},1e400]`, `12345678901234567890`,
		`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11,"l":12,"m":13,"n":14,"o":15,"p":16,"q":17}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, numbers := range []bool{false, true} {
			d := json.NewDecoder(bytes.NewReader(raw))
			if numbers {
				d.UseNumber()
			}
			var v any
			if d.Decode(&v) == nil {
				check(t, v)
			}
		}
	})
}

func TestAppendOfWhatNobodyReads(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		int64(math.MinInt64), 7,
		[]string{"a"},
		map[string]any(nil), []any(nil), json.Number("1e2"), json.Number(""), "\xff",
		map[string]any{"\xff": 1.5, "<": []any{int64(0), map[string]string{"a": "b"}}},
	} {
		check(t, v)
	}
	for _, v := range []any{math.NaN(), make(chan int), json.Number("x"), map[string]any{"a": []any{math.Inf(1)}}} {
		if _, err := document.Append(nil, v); err == nil {
			t.Errorf("Append(%v) fails not, unlike json.Marshal", v)
		}
	}
}

func check(t *testing.T, v any) {
	t.Helper()
	want, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := document.Append([]byte("before "), v); err != nil || string(got) != "before "+string(want) {
		t.Fatalf("Append(%v) = %s, %v, want %s", v, got, err, want)
	}
}
