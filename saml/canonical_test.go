package saml

import (
	"fmt"
	"strings"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
	"pgregory.net/rapid"
)

func form(tb testing.TB, doc string, prefixes ...string) string {
	tb.Helper()
	n, err := read(doc, map[string]struct{}{})
	if err != nil {
		tb.Fatalf("read(%q) = %v", doc, err)
	}
	s, err := canonical(n, nil, prefixes, maxDecoded)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// The examples follow Canonical XML 1.0, section 3, and Exclusive XML
// Canonicalization, section 2.2.
func TestCanonicalForm(t *testing.T) {
	for _, tc := range []struct{ name, doc, want, prefixes string }{
		{"declaration and comments go", "<?xml version=\"1.0\"?>\n<!-- x --><a><!-- y --><b/></a>\n", "<a><b></b></a>", ""},
		{"white space in content stays", "<a>\n  <b/>\t</a >", "<a>\n  <b></b>\t</a>", ""},
		{"line ends are one character", "<a>x\r\ny\rz</a>", "<a>x\ny\nz</a>", ""},
		{"a carriage return by reference stays", "<a>&#xD;</a>", "<a>&#xD;</a>", ""},
		{"white space in attributes", "<a b='x\t\r\ny' c='&#9;&#10;&#13;'/>", `<a b="x  y" c="&#x9;&#xA;&#xD;"></a>`, ""},
		{"quotes", `<a b='"' c="'">"'</a>`, `<a b="&quot;" c="'">"'</a>`, ""},
		{"escapes", `<a b="&lt;&gt;&amp;">&lt;&gt;&amp;&quot;&apos;</a>`, `<a b="&lt;>&amp;">&lt;&gt;&amp;"'</a>`, ""},
		{"CDATA is text", `<a><![CDATA[<&>]]></a>`, `<a>&lt;&amp;&gt;</a>`, ""},
		{
			"order of attributes", `<e xmlns:b="urn:b" xmlns:a="urn:a" b:attr="1" a:attr="2" attr2="3" attr="4"/>`,
			`<e xmlns:a="urn:a" xmlns:b="urn:b" attr="4" attr2="3" a:attr="2" b:attr="1"></e>`, "",
		},
		{"order is by namespace, not by prefix", `<e xmlns:b="urn:a" xmlns:a="urn:b" a:attr="1" b:attr="2"/>`, `<e xmlns:a="urn:b" xmlns:b="urn:a" b:attr="2" a:attr="1"></e>`, ""},
		{"unused declarations go", `<a xmlns:x="urn:x" xmlns="urn:d"><x:b xmlns:y="urn:y"/></a>`, `<a xmlns="urn:d"><x:b xmlns:x="urn:x"></x:b></a>`, ""},
		{"siblings repeat", `<a xmlns:x="urn:x"><x:b/><x:b/></a>`, `<a><x:b xmlns:x="urn:x"></x:b><x:b xmlns:x="urn:x"></x:b></a>`, ""},
		{"the default is taken back once", `<a xmlns="urn:d"><b xmlns=""><c/></b></a>`, `<a xmlns="urn:d"><b xmlns=""><c></c></b></a>`, ""},
		{"nothing to take back", `<x:a xmlns:x="urn:x" xmlns="urn:d"><b xmlns=""/></x:a>`, `<x:a xmlns:x="urn:x"><b></b></x:a>`, ""},
		{"rebound", `<x:a xmlns:x="urn:x"><x:b xmlns:x="urn:y"><x:c xmlns:x="urn:x"/></x:b></x:a>`, `<x:a xmlns:x="urn:x"><x:b xmlns:x="urn:y"><x:c xmlns:x="urn:x"></x:c></x:b></x:a>`, ""},
		{"inclusive prefixes", `<a xmlns:x="urn:x" xmlns:y="urn:y"><b xmlns:x="urn:z"/></a>`, `<a xmlns:x="urn:x"><b xmlns:x="urn:z"></b></a>`, "x"},
		{"other scripts", `<a b="é">漢&#x1F642;</a>`, `<a b="é">漢🙂</a>`, ""},
		{"xml:lang", `<a xml:lang="en"/>`, `<a xml:lang="en"></a>`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := form(t, tc.doc, strings.Fields(tc.prefixes)...); got != tc.want {
				t.Errorf("canonical(%q)\n got %q\nwant %q", tc.doc, got, tc.want)
			}
		})
	}
}

func TestInclusivePrefixesOfAncestors(t *testing.T) {
	root, err := read(`<r xmlns="urn:d" xmlns:x="urn:x" xmlns:y="urn:y"><a/></r>`, map[string]struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := canonical(root.els[0], nil, []string{"y", "", "absent"}, maxDecoded)
	if want := `<a xmlns="urn:d" xmlns:y="urn:y"></a>`; err != nil || got != want {
		t.Errorf("canonical = %q, %v, want %q", got, err, want)
	}
}

// document draws an XML document that uses what the language has.
func document(t *rapid.T) string {
	text := rapid.SampledFrom([]string{"", "x", " ", "\n", "&lt;", "&amp;", "&gt;", "&#xD;", "&#9;", "é", "\"", "'", "<![CDATA[<&]]>"})
	value := rapid.SampledFrom([]string{"", "x", "&lt;&amp;", "&#xD;&#xA;&#9;", "&quot;", "'", ">", "é"})
	prefix := rapid.SampledFrom([]string{"", "a:", "b:"})
	space := rapid.SampledFrom([]string{"urn:1", "urn:2", "http://x/?a=b"})
	budget := 12
	var element func(depth int) string
	element = func(depth int) string {
		budget--
		name := prefix.Draw(t, "prefix") + rapid.SampledFrom([]string{"e", "f"}).Draw(t, "name")
		var b strings.Builder
		b.WriteString("<" + name)
		for _, p := range []string{"xmlns", "xmlns:a", "xmlns:b"} {
			if depth == 0 || rapid.Bool().Draw(t, "declared") {
				fmt.Fprintf(&b, ` %s="%s"`, p, space.Draw(t, "space"))
			}
		}
		one := prefix.Draw(t, "prefix") // attributes of several namespaces are among the examples
		for _, attr := range []string{one + "p", one + "o", "q"} {
			if rapid.Bool().Draw(t, "attribute") {
				fmt.Fprintf(&b, ` %s="%s"`, attr, value.Draw(t, "value"))
			}
		}
		b.WriteString(">")
		kids := 0
		if depth < 4 {
			kids = rapid.IntRange(0, 3).Draw(t, "kids")
		}
		if kids == 0 || budget <= 0 {
			return b.String() + text.Draw(t, "text") + text.Draw(t, "text") + "</" + name + ">"
		}
		for range kids {
			b.WriteString(rapid.SampledFrom([]string{"", "\n", "<!-- c -->"}).Draw(t, "between") + element(depth+1))
		}
		return b.String() + "</" + name + ">"
	}
	return element(0)
}

// TestCanonicalFormIsTheLibrarys holds our canonical form against another
// implementation's, and against itself: to read it and write it again
// changes nothing.
func TestCanonicalFormIsTheLibrarys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := document(t)
		list := rapid.SampledFrom([]string{"", "a", "a b"}).Draw(t, "inclusive")
		root, err := read(doc, map[string]struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		for root != nil {
			got, err := canonical(root, nil, strings.Fields(list), maxDecoded)
			if err != nil {
				t.Fatal(err)
			}
			again, err := read(got, map[string]struct{}{})
			if err != nil {
				t.Fatalf("second reading of %q: %v", got, err)
			}
			if twice, _ := canonical(again, nil, nil, maxDecoded); list == "" && twice != got {
				t.Fatalf("canonical(canonical) = %q, want %q", twice, got)
			}
			if want := theirForm(t, doc, depthOf(root), list); got != want {
				t.Fatalf("canonical of %q with %q\n got %q\nwant %q", doc, list, got, want)
			}
			if len(root.els) == 0 {
				return
			}
			root = root.els[0]
		}
	})
}

func depthOf(n *node) int {
	depth := 0
	for ; n.parent != nil; n = n.parent {
		depth++
	}
	return depth
}

// theirForm is the library's form of the first element that deep.
func theirForm(t *rapid.T, doc string, depth int, list string) string {
	d := etree.NewDocument()
	if err := d.ReadFromString(doc); err != nil {
		t.Fatal(err)
	}
	el := d.Root()
	for range depth {
		el = el.ChildElements()[0]
	}
	ctx, err := etreeutils.NSBuildParentContext(el)
	if err == nil {
		ctx, err = ctx.SubContext(el)
	}
	if err == nil {
		el, err = etreeutils.NSDetatch(ctx, el)
	}
	if err != nil {
		t.Fatal(err)
	}
	octets, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(list).Canonicalize(el)
	if err != nil {
		t.Fatal(err)
	}
	return string(octets)
}
