// Reads documents, one a line, as tools in Go read them, and prints what they see.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls"`
	Annotations  map[string]string `json:"annotations"`
	ArtifactType string            `json:"artifactType"`
}

type Manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Subject       *Descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var found Manifest
		if err := json.Unmarshal(lines.Bytes(), &found); err != nil {
			fmt.Println("null")
			continue
		}
		text, _ := json.Marshal(found)
		fmt.Println(string(text))
	}
}
