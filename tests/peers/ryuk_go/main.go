// A test run of testcontainers-go that crashes: it starts a container in a network, and ends.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
)

func main() {
	ctx := context.Background()
	n, err := network.New(ctx)
	if err != nil {
		panic(err)
	}
	c, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		ContainerRequest: testcontainers.ContainerRequest{Image: os.Args[1], Networks: []string{n.Name}},
		Started:          true,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("org.testcontainers.sessionId=" + c.SessionID())
	os.Exit(3) // nothing is removed by the run itself
}
