package main

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// settle gives back what only the start needed: memory of the heap, and the
// pages of the program's own file, which come back one by one as they are used.
// Most of a program of this size runs once or never.
func settle() {
	debug.FreeOSMemory()
	for _, at := range clean() {
		// Nothing is lost if these fail, and nothing if they do not: the pages are as
		// they are in the file.
		if !at.code {
			at.part()
		}
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, at.start, at.end-at.start, syscall.MADV_DONTNEED)
	}
}

// window is how much of data comes back at a touch.
const window = 16 << 10

// part has the system map data in windows, and not the two megabytes of them
// that it keeps together: it maps as much as has the same advice.
func (e extent) part() {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, e.start, e.end-e.start, syscall.MADV_NOHUGEPAGE)
	for at := e.start&^(window-1) + window; at < e.end; at += 2 * window {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, at, min(window, e.end-at), syscall.MADV_RANDOM)
	}
}

// extent is a part of the address space.
type extent struct {
	start, end uintptr
	code       bool // not data
}

// clean finds where the program's file is mapped and was never written to, by
// relocations for example.
func clean() (out []extent) {
	name, err := os.Executable()
	if err != nil {
		return nil
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil
	}
	defer f.Close()
	var at extent
	var ours bool
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		switch {
		case len(fields) >= 5 && !strings.HasSuffix(fields[0], ":"):
			ours = len(fields) == 6 && fields[5] == name && strings.HasPrefix(fields[1], "r-") && strings.HasSuffix(fields[1], "p")
			low, high, _ := strings.Cut(fields[0], "-")
			start, err := strconv.ParseUint(low, 16, strconv.IntSize)
			end, err2 := strconv.ParseUint(high, 16, strconv.IntSize)
			at = extent{uintptr(start), uintptr(end), strings.Contains(fields[1], "x")}
			ours = ours && err == nil && err2 == nil
		case ours && fields[0] == "Anonymous:":
			if fields[1] == "0" {
				out = append(out, at)
			}
			ours = false
		}
	}
	return out
}
