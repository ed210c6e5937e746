package main

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"portcullis/directory"
	"portcullis/scim"
)

// lost are losses that were found already.
type lost []directory.MassLoss

func (l lost) ExamineLosses(context.Context) ([]directory.MassLoss, error) { return l, nil }
func (lost) EraseLosses(context.Context) error                             { return nil }

func (l lost) MassLosses(context.Context, directory.MassLossQuery) (directory.Page[directory.MassLoss], error) {
	return directory.Page[directory.MassLoss]{Items: l}, nil
}

func TestOpenMassLossesAreAMetric(t *testing.T) {
	guard := scim.NewGuard(scim.GuardConfig{Losses: lost{{ID: 1, Connection: "alpha"}, {ID: 2, Connection: "beta"}, {ID: 3, Connection: "alpha"}}})
	if err := guard.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newMassLosses(guard))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	if diff := cmp.Diff(map[string]float64{"portcullis_scim_mass_losses alpha": 2, "portcullis_scim_mass_losses beta": 1}, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}
