package demo

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
)

// message is a page that says one thing.
type message struct {
	Title, Text string
	Link, Label string
	Style       string // "portal" or "idp"
}

// holding is a row as a page shows it.
type holding struct {
	row

	ApprovedBy string
}

// total is an amount in one currency; amounts of different currencies are
// never added.
type total struct {
	Currency string
	Amount   int
}

// bundle is what a page says of rows that have something in common.
type bundle struct {
	Key, Name string
	Rows      int
	Accounts  []string
	Totals    []total
	Bars      []bar
}

// bar is one line of a report's chart.
type bar struct {
	Label  string
	Amount int
	Width  int // of 100
}

type link struct {
	Path, Label string
	Current     bool
}

// page is what every page of the portal needs.
type page struct {
	Title     string
	Path      string
	Who       statement
	Nav       []link
	Rows      []holding
	Groups    []bundle
	Accounts  int
	Waiting   int // payments
	Totals    []total
	AnyOf     []string // the permissions in words
	AllOf     []string
	Approver  bool
	Statement string
	Ticks     []tick
	Movements []movement
}

// page gathers what the person may see. What is offered follows their tasks.
func (p *Portal) page(r *http.Request, who statement, title string) page {
	pg := page{Title: title, Path: r.URL.Path, Who: who, Rows: p.visible(who), Approver: who.may("payment.approve")}
	nav := []link{
		{Path: "/", Label: "Overview"},
		{Path: "/accounts", Label: "Accounts"},
		{Path: "/products", Label: "Products"},
		{Path: "/recipients", Label: "Recipients"},
		{Path: "/live", Label: "Live"},
	}
	if who.may("report.view") {
		nav = append(nav, link{Path: "/reports", Label: "Reports"})
	}
	nav = append(nav, link{Path: "/.portcullis/admin/account", Label: "My account"})
	for _, l := range nav {
		l.Current = l.Path == r.URL.Path
		pg.Nav = append(pg.Nav, l)
	}
	accounts := map[string]bool{}
	for _, h := range pg.Rows {
		accounts[h.Account] = true
		if h.Payment != 0 && h.ApprovedBy == "" {
			pg.Waiting++
		}
	}
	pg.Accounts = len(accounts)
	pg.Totals = totals(pg.Rows)
	for _, w := range who.Permissions.AnyOf {
		pg.AnyOf = append(pg.AnyOf, w.String())
	}
	for _, w := range who.Permissions.AllOf {
		pg.AllOf = append(pg.AllOf, w.String())
	}
	return pg
}

func totals(rows []holding) []total {
	sums := map[string]int{}
	for _, h := range rows {
		sums[h.Currency] += h.Value
	}
	var out []total
	for _, c := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, total{Currency: c, Amount: sums[c]})
	}
	return out
}

// group bundles rows by a key, in the order of the keys.
func group(rows []holding, by func(holding) (key, name string)) []bundle {
	parts := map[string][]holding{}
	names := map[string]string{}
	for _, h := range rows {
		key, name := by(h)
		parts[key] = append(parts[key], h)
		names[key] = name
	}
	var out []bundle
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		b := bundle{Key: key, Name: names[key], Rows: len(parts[key]), Totals: totals(parts[key])}
		sums := map[string]int{}
		for _, h := range parts[key] {
			sums[h.Account] += h.Value
		}
		b.Accounts = slices.Sorted(maps.Keys(sums))
		most := slices.Max(slices.Collect(maps.Values(sums)))
		for _, a := range b.Accounts {
			b.Bars = append(b.Bars, bar{Label: a, Amount: sums[a], Width: max(1, sums[a]*100/most)})
		}
		out = append(out, b)
	}
	slices.SortStableFunc(out, func(a, b bundle) int { return cmp.Compare(a.Key, b.Key) })
	return out
}
