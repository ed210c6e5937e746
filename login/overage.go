package login

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"portcullis/directory"
	"portcullis/graph"
	"portcullis/trace"
	"portcullis/web"
)

// complete asks the directory of Microsoft Entra ID for the groups of somebody
// with too many for a token or an assertion. When that fails they stay
// incomplete, which the mapping file deals with: it never means none. client
// is nil where nobody is asked.
func complete(ctx context.Context, client *graph.Client, log *slog.Logger, a *directory.Assertion, oid string) {
	if !a.GroupsIncomplete || client == nil {
		return
	}
	groups, err := client.Groups(ctx, oid)
	if err == nil && len(groups) > maxGroups {
		err = fmt.Errorf("%d groups", len(groups))
	}
	trace.Of(ctx).Check("groups beyond the token", err == nil, "all groups of the person, from Graph", outcomeOf(err))
	if err != nil {
		log.WarnContext(ctx, "groups that the token leaves out are unknown", "reference", web.Reference(ctx), "error", err.Error())
		return
	}
	for _, g := range a.Groups {
		if !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	a.Groups, a.GroupsIncomplete = groups, false
}
