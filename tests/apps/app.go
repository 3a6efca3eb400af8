// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Go's net/http as the application: app PORT, in the folder of its content and log.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func hash(w http.ResponseWriter, r *http.Request) {
	digest := sha256.New()
	if _, err := io.Copy(digest, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, "%x", digest.Sum(nil))
}

func stream(w http.ResponseWriter, r *http.Request) {
	for i := 0; i < 5; i++ {
		fmt.Fprintf(w, "piece %d\n", i)
		w.(http.Flusher).Flush()
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	requests, err := os.OpenFile("access.log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0644)
	if err != nil {
		log.Fatal(err)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/hash", hash)
	routes.HandleFunc("/stream", stream)
	routes.Handle("/", http.FileServer(http.Dir("content")))
	logged := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(requests, "%s %s\n", r.Method, r.URL)
		routes.ServeHTTP(w, r)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(logged)))
}
