package proxy

import (
	"context"
	"time"

	"portcullis/session"
	"portcullis/web"
)

// languageWithin bounds how long a page waits for the language that its reader
// chose: most pages that are shown here say that something is wrong, and it may be
// the database.
const languageWithin = 300 * time.Millisecond

// Language is the tag of the language that whoever asks chose for our pages; empty
// where nobody is known, where they chose none, where that cannot be found out, and
// for what came beyond a limit: those who are turned away for asking too much would
// still have the database read for each of their cookies.
func (j *journey) Language() string {
	p := j.proxy
	if p.language == nil || j.hasty {
		return ""
	}
	ctx, cancel := context.WithTimeout(j.ctx, languageWithin)
	defer cancel()
	who := p.reader(ctx, j)
	if who == nil {
		return ""
	}
	tag, err := p.language(ctx, who.PersonID)
	if err != nil {
		p.log.WarnContext(ctx, "language of a reader not found", "reference", web.Reference(ctx), "error", err.Error())
		return ""
	}
	return tag
}

// reader is who asks, nil for nobody. Who may be refused what they ask for is a
// reader all the same.
func (p *Proxy) reader(ctx context.Context, j *journey) *session.Principal {
	if j.who != nil {
		return j.who
	}
	host := j.host
	if host == "" { // it was refused before that was known
		host = p.home
	}
	for token := range p.tokens(j.in, host) {
		if who, err := p.sessions.Verify(ctx, token); err == nil {
			return who
		}
	}
	return nil
}
