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

// burial are the hashes of a deleted person beside those of their identities.
// The userName refuses nobody at sign-in, for it may be given to somebody
// else.
func burial(connection, link, userName string) []string {
	userName = strings.ToLower(userName)
	hashes := append(tombstones(connection, "", "", link), tombstone(connection, "userName", userName))
	if link == "" {
		hashes = append(hashes, tombstone(connection, "userName alone", userName))
	}
	return hashes
}

// revivals are the hashes under which a new push finds the burials that it
// undoes: those of the same link value, and where it or the burial has none,
// of the same userName. Another link value under the same userName is
// somebody else with a name that was used before.
func revivals(connection, link, userName string) []string {
	userName = strings.ToLower(userName)
	if link == "" {
		return []string{tombstone(connection, "userName", userName)}
	}
	return append(tombstones(connection, "", "", link), tombstone(connection, "userName alone", userName))
}

func tombstone(parts ...string) string {
	text, _ := json.Marshal(parts) //nolint:errchkjson // a list of strings always marshals, and JSON keeps the parts apart
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
