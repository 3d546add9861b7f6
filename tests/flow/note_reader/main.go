// Reads a signed checkpoint with the libraries of its format's authors, and prints its size and root.
package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		var verifier note.Verifier
		if verifier, err = note.NewVerifier(os.Args[1]); err == nil {
			var found *log.Checkpoint
			if found, _, _, err = log.ParseCheckpoint(text, os.Args[2], verifier); err == nil {
				fmt.Println(found.Size, hex.EncodeToString(found.Hash))
				return
			}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
