// clickhouse-go over HTTP with its default properties against the server of CLICKHOUSE_URL; exits 1 at the first
// difference. Once as it is, once with the compression of each kind.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/shopspring/decimal"
)

const rows = 20000

func check(ok bool, told ...any) {
	if !ok {
		fmt.Println(append([]any{"go:"}, told...)...)
		os.Exit(1)
	}
}

func open(method clickhouse.CompressionMethod, password string) clickhouse.Conn {
	at, err := url.Parse(os.Getenv("CLICKHOUSE_URL"))
	check(err == nil, err)
	options := &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		Addr:     []string{at.Host},
		Auth:     clickhouse.Auth{Username: os.Getenv("CLICKHOUSE_USER"), Password: password},
	}
	if method != clickhouse.CompressionNone {
		options.Compression = &clickhouse.Compression{Method: method}
	}
	connection, err := clickhouse.Open(options)
	check(err == nil, err)
	return connection
}

func tables(ctx context.Context, c clickhouse.Conn) {
	check(c.Exec(ctx, "DROP TABLE IF EXISTS of_go") == nil, "drop")
	err := c.Exec(ctx, `CREATE TABLE of_go (id UInt64, name String, at DateTime('Europe/Moscow'),
		paid Nullable(Decimal(38, 12)), kinds Array(LowCardinality(String)), more Map(String, Int64))
		ENGINE = MergeTree ORDER BY id`)
	check(err == nil, err)
	batch, err := c.PrepareBatch(ctx, "INSERT INTO of_go")
	check(err == nil, err)
	for id := uint64(0); id < rows; id++ {
		var paid *decimal.Decimal
		if id%2 == 0 {
			one := decimal.New(1, -12)
			paid = &one
		}
		err = batch.Append(id, fmt.Sprintf("ü %d FORMAT x;", id), time.Unix(1700000000+int64(id), 0), paid,
			[]string{"a", "b"}, map[string]int64{"x": int64(id)})
		check(err == nil, err)
	}
	check(batch.Send() == nil, "send")
	var count uint64
	var sum decimal.Decimal
	check(c.QueryRow(ctx, "SELECT count(), assumeNotNull(sum(paid)) FROM of_go").Scan(&count, &sum) == nil, "count")
	check(count == rows && sum.Equal(decimal.New(rows/2, -12)), count, sum)
	var name string
	var when time.Time
	var paid *decimal.Decimal
	var kinds []string
	var more map[string]int64
	one := c.QueryRow(ctx, "SELECT name, at, paid, kinds, more FROM of_go WHERE id = {id:UInt64}", clickhouse.Named("id", "7"))
	err = one.Scan(&name, &when, &paid, &kinds, &more)
	check(err == nil, err)
	check(name == "ü 7 FORMAT x;" && when.Unix() == 1700000007 && paid == nil && len(kinds) == 2 && more["x"] == 7, name)
	check(when.Location().String() == "Europe/Moscow", "the time zone is", when.Location())
}

func large(ctx context.Context, c clickhouse.Conn) {
	found, err := c.Query(ctx, "SELECT number, toString(number) FROM numbers(300000)")
	check(err == nil, err)
	seen, next, text := uint64(0), uint64(0), ""
	for found.Next() {
		check(found.Scan(&next, &text) == nil && next == seen && text == fmt.Sprint(seen), "row", seen)
		seen++
	}
	check(found.Err() == nil && seen == 300000, found.Err(), seen)
}

func failures(ctx context.Context, c clickhouse.Conn) {
	var told *clickhouse.Exception
	err := c.Exec(ctx, "SELECT * FROM nowhere")
	check(errors.As(err, &told) && told.Code == 60, "unknown table:", err)
	brief, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err = c.Exec(brief, "SELECT sleepEachRow(1) FROM numbers(110) SETTINGS max_block_size = 1")
	check(err != nil, "nothing was cancelled")
	for running := uint64(1); running > 0; {
		asked := "SELECT count() FROM system.processes WHERE query LIKE '%numbers(110)%' AND query NOT LIKE '%processes%'"
		check(c.QueryRow(ctx, asked).Scan(&running) == nil, "processes")
	}
}

func main() {
	ctx := context.Background()
	check(open(clickhouse.CompressionNone, "wrong").Ping(ctx) != nil, "a wrong password was taken")
	for _, method := range []clickhouse.CompressionMethod{
		clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD, clickhouse.CompressionGZIP,
	} {
		c := open(method, os.Getenv("CLICKHOUSE_PASSWORD"))
		check(c.Ping(ctx) == nil, "ping:", c.Ping(ctx), method)
		tables(ctx, c)
		large(ctx, c)
		failures(ctx, c)
		check(c.Close() == nil, "close")
	}
	fmt.Println("go: all as expected")
}
