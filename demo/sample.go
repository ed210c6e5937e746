package demo

import (
	_ "embed"
	"hash/fnv"
	"math"
	"strconv"
	"time"
)

// Mapping is the mapping file of the demo: what the groups of the
// companies mean at the gate. Its connections are named like [Company.ID].
//
//go:embed mapping.yaml
var Mapping []byte

// Company is one client of the sample portal.
type Company struct {
	ID     string // of its connection at the gate
	Name   string
	Domain string
	SAML   bool // whether its provider speaks SAML 2.0 and not OpenID Connect
	Groups []string
	People []Person
}

// Companies gives the sample clients. All have a group
// Portfolio-Managers on purpose: the same name at several clients must never meet.
func Companies() []Company {
	return []Company{{
		ID: "alpha", Name: "Alpha", Domain: "alpha.example",
		Groups: []string{"Portfolio-Managers", "Operations", "Accounts-ALP0001", "Accounts-ALP0002", "Leavers"},
		People: []Person{
			{ID: "ada", Name: "Ada Alder", Email: "ada@alpha.example", Title: "Head of portfolios", Groups: []string{"Portfolio-Managers"}},
			{ID: "ben", Name: "Ben Birch", Email: "ben@alpha.example", Title: "Account manager", Groups: []string{"Accounts-ALP0001"}},
			{ID: "cleo", Name: "Cleo Cedar", Email: "cleo@alpha.example", Title: "Payment operations", Groups: []string{"Operations", "Accounts-ALP0001", "Accounts-ALP0002"}},
			{ID: "dan", Name: "Dan Damson", Email: "dan@alpha.example", Title: "New joiner, in no group yet"},
		},
	}, {
		ID: "beta", Name: "Beta", Domain: "beta.example",
		Groups: []string{"Portfolio-Managers", "Operations", "Accounts-BET0001", "Accounts-BET0002", "Leavers"},
		People: []Person{
			{ID: "eve", Name: "Eve Elder", Email: "eve@beta.example", Title: "Head of portfolios", Groups: []string{"Portfolio-Managers"}},
			{ID: "finn", Name: "Finn Fir", Email: "finn@beta.example", Title: "Account manager", Groups: []string{"Accounts-BET0001"}},
			{ID: "gita", Name: "Gita Ginkgo", Email: "gita@beta.example", Title: "Payment operations", Groups: []string{"Operations", "Accounts-BET0002"}},
			{ID: "hugo", Name: "Hugo Hazel", Email: "hugo@beta.example", Title: "Leaving the company", Groups: []string{"Accounts-BET0001", "Leavers"}},
		},
	}, {
		ID: "gamma", Name: "Gamma", Domain: "gamma.example", SAML: true,
		Groups: []string{"Portfolio-Managers", "Operations", "Accounts-GAM0001", "Accounts-GAM0002", "Leavers"},
		People: []Person{
			{ID: "ines", Name: "Ines Ivy", Email: "ines@gamma.example", Title: "Head of portfolios", Groups: []string{"Portfolio-Managers"}},
			{ID: "jon", Name: "Jon Juniper", Email: "jon@gamma.example", Title: "Account manager", Groups: []string{"Accounts-GAM0001"}},
			{ID: "kim", Name: "Kim Kauri", Email: "kim@gamma.example", Title: "Payment operations", Groups: []string{"Operations", "Accounts-GAM0002"}},
			{ID: "lea", Name: "Lea Larch", Email: "lea@gamma.example", Title: "New joiner, in no group yet"},
		},
	}}
}

// row is one holding: an account's share of a product for a recipient.
type row struct {
	ID        string
	Account   string
	Product   string
	Recipient string
	Country   string
	Currency  string
	Value     int // whole units of Currency
	Payment   int // waits for approval; 0 for none
}

// attributes are what permissions can limit.
func (r row) attributes() map[string]string {
	return map[string]string{
		"account": r.Account, "product": r.Product, "recipient": r.Recipient,
		"country": r.Country, "currency": r.Currency,
	}
}

// ProductName spells out the product's code.
func (r row) ProductName() string {
	switch r.Product {
	case "EQ-LC":
		return "Large-cap equity"
	case "EQ-SC":
		return "Small-cap equity"
	case "EQ-EM":
		return "Emerging-markets equity"
	case "FI-GOV":
		return "Government bonds"
	case "FI-COR":
		return "Corporate bonds"
	default:
		return "Inflation-linked bonds"
	}
}

func sampleRows() []row {
	rows := []row{
		{"", "ALP0001", "EQ-LC", "Alpha Pension Plan", "US", "USD", 4_250_000, 125_000},
		{"", "ALP0001", "EQ-EM", "Alpha Pension Plan", "SG", "USD", 1_180_000, 0},
		{"", "ALP0001", "FI-GOV", "Alpha Pension Plan", "US", "USD", 6_900_000, 0},
		{"", "ALP0001", "FI-COR", "Alpha Treasury", "GB", "GBP", 2_310_000, 48_500},
		{"", "ALP0002", "EQ-LC", "Alpha Treasury", "GB", "GBP", 3_075_000, 0},
		{"", "ALP0002", "EQ-SC", "Alpha Treasury", "US", "USD", 940_000, 22_000},
		{"", "ALP0002", "FI-GOV", "Alpha Staff Fund", "DE", "EUR", 5_420_000, 0},
		{"", "ALP0002", "FI-IL", "Alpha Staff Fund", "GB", "GBP", 1_660_000, 75_000},
		{"", "ALP0003", "EQ-LC", "Alpha Staff Fund", "US", "USD", 2_205_000, 0},
		{"", "ALP0003", "EQ-EM", "Alpha Pension Plan", "BR", "USD", 760_000, 15_250},
		{"", "ALP0003", "FI-COR", "Alpha Treasury", "DE", "EUR", 1_985_000, 0},
		{"", "ALP0003", "FI-GOV", "Alpha Pension Plan", "JP", "JPY", 310_000_000, 0},
		{"", "BET0001", "EQ-LC", "Beta Foundation", "US", "USD", 8_140_000, 210_000},
		{"", "BET0001", "EQ-SC", "Beta Foundation", "DE", "EUR", 1_275_000, 0},
		{"", "BET0001", "FI-GOV", "Beta Foundation", "DE", "EUR", 9_300_000, 0},
		{"", "BET0001", "FI-IL", "Beta Reserve", "FR", "EUR", 3_840_000, 64_000},
		{"", "BET0002", "EQ-LC", "Beta Reserve", "JP", "JPY", 455_000_000, 0},
		{"", "BET0002", "EQ-EM", "Beta Reserve", "IN", "USD", 1_530_000, 38_000},
		{"", "BET0002", "FI-COR", "Beta Endowment", "US", "USD", 2_720_000, 0},
		{"", "BET0002", "FI-GOV", "Beta Endowment", "GB", "GBP", 4_015_000, 90_000},
		{"", "BET0003", "EQ-LC", "Beta Endowment", "GB", "GBP", 1_890_000, 0},
		{"", "BET0003", "EQ-SC", "Beta Foundation", "US", "USD", 685_000, 0},
		{"", "BET0003", "FI-COR", "Beta Reserve", "FR", "EUR", 3_360_000, 57_500},
		{"", "BET0003", "FI-IL", "Beta Endowment", "DE", "EUR", 2_145_000, 0},
		{"", "GAM0001", "EQ-LC", "Gamma Provident Fund", "US", "USD", 5_310_000, 84_000},
		{"", "GAM0001", "EQ-EM", "Gamma Provident Fund", "MX", "USD", 905_000, 0},
		{"", "GAM0001", "FI-GOV", "Gamma Cash Pool", "FR", "EUR", 7_460_000, 0},
		{"", "GAM0001", "FI-COR", "Gamma Cash Pool", "US", "USD", 1_720_000, 31_000},
		{"", "GAM0002", "EQ-LC", "Gamma Trust", "CH", "CHF", 2_980_000, 0},
		{"", "GAM0002", "EQ-SC", "Gamma Trust", "GB", "GBP", 1_115_000, 19_500},
		{"", "GAM0002", "FI-IL", "Gamma Provident Fund", "GB", "GBP", 2_640_000, 0},
		{"", "GAM0002", "FI-GOV", "Gamma Trust", "US", "USD", 6_050_000, 120_000},
	}
	for i := range rows {
		rows[i].ID = "h" + strconv.Itoa(101+i)
	}
	return rows
}

// seed spreads texts over the numbers, the same way in every run.
func seed(parts ...string) uint32 {
	h := fnv.New32a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p)) // a hash's Write never fails
		_, _ = h.Write([]byte{0})
	}
	return h.Sum32()
}

// price is the sample price of a holding's product at a time: two slow waves
// and a small ripple around a base, a function of time alone, so that every
// open page shows the same one.
func (r row) price(t time.Time) float64 {
	s := float64(seed(r.Product, r.Country) % 1000)
	x := float64(t.Unix())
	return 60 + s/8 + 3*math.Sin(x/47+s) + 1.2*math.Sin(x/11+2*s) + 0.4*math.Sin(x*1.7+s)
}

// movement is the sample cash movement of a holding in the second of t; 0
// for none.
func (r row) movement(t time.Time) int {
	s := seed(r.ID, strconv.FormatInt(t.Unix(), 10))
	if s%61 != 0 {
		return 0
	}
	amount := int(s/61%180)*250 + 500
	if s/7%3 == 0 {
		return -amount
	}
	return amount
}
