// wait-for waits until TCP addresses accept connections: what a container's entrypoint
// does before it starts something that needs a database.
//
//	wait-for [-timeout 30s] HOST:PORT…
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"
)

const (
	pause   = 100 * time.Millisecond // between two tries
	attempt = time.Second            // for one try
)

func main() {
	timeout := flag.Duration("timeout", 30*time.Second, "give up after this time")
	version := flag.Bool("version", false, "say what this was built for")
	flag.Parse()
	if *version {
		fmt.Println("wait-for", runtime.GOOS+"/"+runtime.GOARCH)
		return
	}
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: wait-for [-timeout 30s] HOST:PORT...")
		os.Exit(2)
	}
	deadline := time.Now().Add(*timeout)
	for _, address := range flag.Args() {
		if err := wait(address, deadline); err != nil {
			fmt.Fprintf(os.Stderr, "wait-for: %s: %v\n", address, err)
			os.Exit(1)
		}
	}
}

// wait tries until address answers; past the deadline the last error counts.
func wait(address string, deadline time.Time) error {
	for {
		connection, err := net.DialTimeout("tcp", address, attempt)
		if err == nil {
			return connection.Close()
		}
		if !time.Now().Add(pause).Before(deadline) {
			return err
		}
		time.Sleep(pause)
	}
}
