// Package admin TODO.
package admin
