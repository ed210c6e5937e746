package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// tombstones are the hashes under which a sign-in finds that somebody was
// deleted. They are hashes because a tombstone outlives the person's data.
func tombstones(connection, issuer, subject, link string) []string {
	var hashes []string
	if subject != "" {
		hashes = append(hashes, tombstone(connection, "subject", issuer, subject))
	}
	if link != "" {
		hashes = append(hashes, tombstone(connection, "link", link))
	}
	return hashes
}

// revivals are the hashes under which a new push finds the burials that it
// undoes. The userName refuses nobody at sign-in, for it may be given to
// somebody else, but a push that names it again means the same person.
func revivals(connection, link, userName string) []string {
	return append(tombstones(connection, "", "", link), tombstone(connection, "userName", strings.ToLower(userName)))
}

func tombstone(parts ...string) string {
	text, _ := json.Marshal(parts) //nolint:errchkjson // a list of strings always marshals, and JSON keeps the parts apart
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
