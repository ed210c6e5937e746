package proxy

import (
	"log/slog"
	"net/http"
	"time"
)

// Server makes the server of a listener. Headers must come within ten seconds
// and hold half a megabyte at most: room for thousands of other people's
// cookies. Bodies that people who are signed in send to the portal may take as
// long as they like, see [Config.BodyWithin] for the others; streams are bounded
// by the session. It speaks HTTP/1.1, and HTTP/2 over TLS; never h2c.
func Server(addr string, h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Server{
		Addr:              addr,
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    512 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // mostly strangers' broken connections

		DisableGeneralOptionsHandler: true, // "OPTIONS *" is for the guard, too
	}
}
