// Sends records with the Go fluent-logger. ../README.md describes the command line.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/fluent/fluent-logger-golang/fluent"
)

// The logger retries by itself, with the same chunk id each time: for about 50 seconds without a connection. With more
// tries its growing wait would overflow and become none at all.
const (
	retries        = 100
	retryWaitMs    = 50
	retryWaitMaxMs = 500
	readTimeout    = 10 * time.Second
)

type options struct {
	host, tag, mode, records, ca string
	port, count, first, workers  int
	ack, tls                     bool
	patience                     float64
}

type item struct {
	id     any
	record map[string]any
}

func main() {
	options := parse()
	if options.ca != "" {
		// The logger trusts what the system trusts, and has no option to say otherwise.
		os.Setenv("SSL_CERT_FILE", options.ca)
	}
	items, err := list(options)
	if err != nil {
		fail(err)
	}
	patience := time.Duration(options.patience * float64(time.Second))
	// The logger cannot be interrupted while it retries; the whole program can.
	time.AfterFunc(patience, func() { fail(fmt.Errorf("not everything was sent within %v", patience)) })
	queue := make(chan item)
	acked := make(chan int)
	var output sync.Mutex
	for range options.workers {
		go func() { acked <- send(options, queue, &output) }()
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	sum := 0
	for range options.workers {
		sum += <-acked
	}
	fmt.Printf("sent %d acked %d\n", len(items), sum)
}

// send posts what comes from the queue over a connection of its own, and counts the acknowledgements.
func send(options options, queue <-chan item, output *sync.Mutex) int {
	logger := open(options)
	defer logger.Close()
	acked := 0
	for item := range queue {
		for logger.Post(options.tag, item.record) != nil {
			time.Sleep(retryWaitMaxMs * time.Millisecond)
		}
		if options.ack {
			acked++
			output.Lock()
			fmt.Printf("acked %v\n", item.id)
			output.Unlock()
		}
	}
	return acked
}

// open tries until the server is there: New connects at once, and only once.
func open(options options) *fluent.Fluent {
	config := fluent.Config{
		FluentHost:         options.host,
		FluentPort:         options.port,
		RequestAck:         options.ack,
		SubSecondPrecision: true,
		MarshalAsJSON:      options.mode == "json",
		RetryWait:          retryWaitMs,
		MaxRetryWait:       retryWaitMaxMs,
		MaxRetry:           retries,
		ReadTimeout:        readTimeout,
	}
	if options.tls {
		config.FluentNetwork = "tls"
	}
	for {
		logger, err := fluent.New(config)
		if err == nil {
			return logger
		}
		time.Sleep(retryWaitMs * time.Millisecond)
	}
}

// list returns the records with their ids.
func list(options options) ([]item, error) {
	items := []item{}
	if options.records == "ids" {
		for n := options.first; n < options.first+options.count; n++ {
			items = append(items, item{n, map[string]any{"id": n, "n": n, "message": fmt.Sprintf("record %d", n)}})
		}
		return items, nil
	}
	file, err := os.Open(options.records)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		record := map[string]any{}
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return nil, err
		}
		var id any = len(items)
		if own, ok := record["id"]; ok {
			id = own
		}
		items = append(items, item{id, record})
	}
	return items, lines.Err()
}

func parse() options {
	var o options
	flag.StringVar(&o.host, "host", "127.0.0.1", "where to send")
	flag.IntVar(&o.port, "port", 0, "where to send")
	flag.StringVar(&o.tag, "tag", "", "the tag of all records")
	flag.IntVar(&o.count, "count", 1, "how many records")
	flag.IntVar(&o.first, "first", 0, "the number of the first")
	flag.StringVar(&o.records, "records", "ids", "ids, or a file with one JSON object per line")
	flag.StringVar(&o.mode, "mode", "message", "message or json")
	flag.BoolVar(&o.ack, "ack", false, "ask for acknowledgements")
	flag.BoolVar(&o.tls, "tls", false, "connect with TLS")
	flag.StringVar(&o.ca, "ca", "", "with -tls: the PEM file of the authorities to trust")
	flag.IntVar(&o.workers, "connections", 1, "how many connections")
	flag.Float64Var(&o.patience, "patience", 60, "seconds until giving up")
	flag.Parse()
	if o.port == 0 || o.tag == "" || (o.mode != "message" && o.mode != "json") || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(64)
	}
	return o
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
