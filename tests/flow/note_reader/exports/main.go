// Checks an export with proofs, or a proof of growth, with the libraries of Go's checksum database, and prints how many
// events it has proven.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type place struct {
	Index      int64    `json:"index"`
	Leaf       string   `json:"leaf_hash"`
	Path       []string `json:"path"`
	Checkpoint string   `json:"checkpoint"`
	Note       string   `json:"note"`
	Openings   map[string]opening
}

type opening struct{ Salt, Hash string }

type growth struct {
	Path        []string `json:"path"`
	Checkpoints []string `json:"checkpoints"`
}

func hash(text string) (found tlog.Hash, err error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err == nil && copy(found[:], raw) != len(raw) {
		err = fmt.Errorf("a hash has %d bytes", len(raw))
	}
	return found, err
}

func hashes(texts []string) (found []tlog.Hash, err error) {
	for _, text := range texts {
		var one tlog.Hash
		if one, err = hash(text); err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

func head(body string) (size int64, root tlog.Hash, err error) {
	lines := strings.Split(body, "\n")
	if size, err = strconv.ParseInt(lines[1], 10, 64); err == nil {
		root, err = hash(lines[2])
	}
	return size, root, err
}

func in(at place, size int64, root, leaf tlog.Hash) error {
	path, err := hashes(at.Path)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(path, size, root, at.Index, leaf)
}

// What json.Encoder writes of these events, in the order of names and without spaces, is canonical (RFC 8785).
func canonical(record any) []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(record); err != nil {
		return nil
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// Puts a hash in the place of each value that the leaf commits to by one: SHA-256 of the salt and the canonical value.
func committed(record map[string]any, openings map[string]opening) error {
	hashes := map[string]any{}
	for pointer, one := range openings {
		steps := strings.Split(pointer, "/")[1:]
		inner, last := record, steps[len(steps)-1]
		for _, step := range steps[:len(steps)-1] {
			inner = inner[step].(map[string]any)
		}
		value, there := inner[last]
		if salt, err := hex.DecodeString(one.Salt); err != nil || !there {
			return fmt.Errorf("nothing at %s", pointer)
		} else if one.Salt != "" {
			one.Hash = fmt.Sprintf("%x", sha256.Sum256(append(salt, canonical(value)...)))
		} else if value != nil {
			return fmt.Errorf("a value at %s, which was erased", pointer)
		}
		inner[last], hashes[pointer] = nil, one.Hash
	}
	if len(hashes) > 0 {
		record["commitments"] = hashes
	}
	return nil
}

func export(lines [][]byte, key string) (int, error) {
	var end struct {
		Export struct {
			Proofs struct {
				Tip place `json:"tip"`
			} `json:"proofs"`
		} `json:"tenaudit_export"`
	}
	if err := json.Unmarshal(lines[len(lines)-1], &end); err != nil {
		return 0, err
	}
	tip := end.Export.Proofs.Tip
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return 0, err
	}
	signed, _, _, err := log.ParseCheckpoint([]byte(tip.Note), "tenaudit/tenants", verifier)
	if err != nil {
		return 0, err
	}
	if err = in(tip, int64(signed.Size), tlog.Hash(signed.Hash), tlog.RecordHash([]byte(tip.Checkpoint))); err != nil {
		return 0, err
	}
	size, root, err := head(tip.Checkpoint)
	if err != nil {
		return 0, err
	}
	for number, line := range lines[:len(lines)-1] {
		record := map[string]any{}
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.UseNumber()
		if err = decoder.Decode(&record); err != nil {
			return number, err
		}
		var at place
		told, _ := json.Marshal(record["tenaudit_proof"])
		if err = json.Unmarshal(told, &at); err != nil {
			return number, err
		}
		delete(record, "tenaudit_proof")
		if err = committed(record, at.Openings); err != nil {
			return number, err
		}
		if err = in(at, size, root, tlog.RecordHash(canonical(record))); err != nil {
			return number, err
		}
	}
	return len(lines) - 1, nil
}

func grown(text []byte) (int, error) {
	var told growth
	if err := json.Unmarshal(text, &told); err != nil {
		return 0, err
	}
	first, old, err := head(told.Checkpoints[0])
	if err != nil {
		return 0, err
	}
	second, now, err := head(told.Checkpoints[1])
	if err != nil {
		return 0, err
	}
	path, err := hashes(told.Path)
	if err != nil {
		return 0, err
	}
	return int(first), tlog.CheckTree(path, second, now, first, old)
}

func main() {
	text, err := io.ReadAll(bufio.NewReader(os.Stdin))
	proven := 0
	if err == nil && os.Args[1] == "growth" {
		proven, err = grown(text)
	} else if err == nil {
		proven, err = export(bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")), os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(proven)
}
