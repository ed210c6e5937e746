package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"portcullis/proxy"
)

// leave takes the gate out of service, so that none of its requests is lost:
//
//  1. /readyz says no, and every answer asks the client to come back on another
//     connection; new ones are taken still, until load balancers have noticed
//     (shutdown.delay). Unless willing: then nothing is served any more.
//  2. No connection is taken. Streams are ended, for they never end by
//     themselves and their clients come back elsewhere.
//  3. Requests under way get until shutdown.drain; then cut ends them.
//
// The operations listener answers until all that is over.
func (g *gate) leave(running context.Context, cut context.CancelFunc, servers []*http.Server, questions *proxy.Questions, willing bool) error {
	g.ops.draining.Store(true)
	g.log.InfoContext(running, "stopping", "delay", g.cfg.Shutdown.Delay.String(), "streams", g.proxy.Streams())
	if willing {
		noticed := time.NewTimer(g.cfg.Shutdown.Delay)
		<-noticed.C
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(running), g.cfg.Shutdown.Drain+2*time.Second)
	defer cancel()
	timer := time.AfterFunc(g.cfg.Shutdown.Drain, cut)
	defer timer.Stop()
	servers[0].RegisterOnShutdown(g.proxy.Drain) // called once no connection is taken
	var errs []error
	for _, s := range servers {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, questions.Wait(ctx))...)
}

// farewell asks clients to come back on another connection once the gate is
// about to stop (RFC 9112, section 9.6): whoever balances the load then picks
// another gate, and no request meets a connection that is being closed. An
// upgrade has a Connection header of its own.
func (o *ops) farewell(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.draining.Load() && r.Header.Get("Upgrade") == "" {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
