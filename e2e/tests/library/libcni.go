// Attaches and detaches with the reference library: what interchange.rs compares ours with.
// libcni VERB NETWORK NETNS, with CNI_PATH, CNI_ARGS and CAP_ARGS as cnitool reads them, and the
// container id in CONTAINER.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"
)

func main() {
	list, err := libcni.LoadConfList("/etc/cni/net.d", os.Args[2])
	orDie(err)
	attachment := &libcni.RuntimeConf{
		ContainerID: os.Getenv("CONTAINER"), NetNS: os.Args[3], IfName: "eth0",
	}
	if text := os.Getenv("CAP_ARGS"); text != "" {
		orDie(json.Unmarshal([]byte(text), &attachment.CapabilityArgs))
	}
	for _, pair := range strings.Split(os.Getenv("CNI_ARGS"), ";") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			attachment.Args = append(attachment.Args, [2]string{key, value})
		}
	}
	library := libcni.NewCNIConfig(filepath.SplitList(os.Getenv("CNI_PATH")), nil)
	switch os.Args[1] {
	case "add":
		_, err = library.AddNetworkList(context.Background(), list, attachment)
	case "check":
		err = library.CheckNetworkList(context.Background(), list, attachment)
	case "del":
		err = library.DelNetworkList(context.Background(), list, attachment)
	}
	orDie(err)
}

func orDie(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
