package config

import "time"

// upstream reads a portal behind the gate.
func (s section) upstream(required bool) Upstream {
	if required {
		s.missing("upstream", "a mapping such as {url: http://127.0.0.1:3000}")
	}
	up := s.sub("upstream", shape{keys: []string{"url", "audience", "answer_within", "health", "tls"}})
	u := up.origin("url", "the portal's origin, such as http://127.0.0.1:3000")
	audience := ""
	if u != nil {
		audience = u.String()
	}
	out := Upstream{
		URL: u, Audience: up.text("audience", "a text", audience, visible),
		AnswerWithin: scalar(up, "answer_within", "from 1s to 1d, such as 30s or 10m", defaultAnswer, func(v string) (time.Duration, bool) {
			d, ok := duration(v)
			return d, ok && d >= time.Second && d <= maxAnswer
		}),
		Health: scalar(up, "health", "a path such as /healthz", "", routePath),
	}
	if up.has("tls") {
		out.TLS = up.upstreamTLS()
		if n := up.get("tls"); n != nil && u != nil && u.Scheme == "http" {
			up.r.problem(n.line, n.col, "%s: want an https url with it, got http", up.key("tls"))
		}
	}
	return out
}

func (s section) upstreamTLS() *UpstreamTLS {
	t := s.sub("tls", shape{keys: []string{"ca_file", "server_name", "cert_file", "key_file"}})
	if n := t.at; !t.absent && len(n.pairs) == 0 {
		t.r.problem(n.line, n.col, "%s: want ca_file, server_name, or cert_file and key_file, got an empty mapping", t.path)
	}
	if t.has("cert_file") != t.has("key_file") {
		t.missing("cert_file", "the path of a file, with key_file")
		t.missing("key_file", "the path of a file, with cert_file")
	}
	return &UpstreamTLS{
		CAFile: t.file("ca_file"), CertFile: t.file("cert_file"), KeyFile: t.file("key_file"),
		ServerName: t.text("server_name", "a host name", "", hostName),
	}
}
