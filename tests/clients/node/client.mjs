// @clickhouse/client with its default properties against the server of CLICKHOUSE_URL; exits 1 at the first difference.
import assert from 'node:assert/strict'
import { createClient } from '@clickhouse/client'

const { CLICKHOUSE_URL: url, CLICKHOUSE_USER: username, CLICKHOUSE_PASSWORD: password } = process.env
const ROWS = 20000
const client = createClient({ url, username, password })
const rows = async (query, query_params) => (await client.query({ query, query_params, format: 'JSONEachRow' })).json()

assert.equal((await client.ping()).success, true)
await client.command({ query: 'DROP TABLE IF EXISTS of_node' })
await client.command({
  query: `CREATE TABLE of_node (id UInt64, name String, at DateTime('Europe/Moscow'), paid Nullable(Decimal(38, 12)))
    ENGINE = MergeTree ORDER BY id`,
})

const values = Array.from({ length: ROWS }, (_, id) => ({
  id: String(id), name: `ü ${id} FORMAT x;`, at: 1700000000 + id, paid: id % 2 ? null : '0.000000000001',
}))
const written = await client.insert({ table: 'of_node', values, format: 'JSONEachRow' })
assert.equal(written.summary.written_rows, String(ROWS))
assert.deepEqual(await rows('SELECT count() AS n, sum(paid) AS paid FROM of_node'), [{ n: ROWS, paid: 0.00000001 }])

const found = await rows('SELECT name, at, paid FROM of_node WHERE id = {id:UInt64}', { id: 7 })
assert.deepEqual(found, [{ name: 'ü 7 FORMAT x;', at: '2023-11-15 01:13:27', paid: null }])

let streamed = 0
const answer = await client.query({ query: `SELECT number FROM numbers(300000)`, format: 'JSONEachRow' })
for await (const part of answer.stream()) streamed += part.length
assert.equal(streamed, 300000)

await assert.rejects(rows('SELECT * FROM nowhere'), { code: '60', type: 'UNKNOWN_TABLE' })
await assert.rejects(createClient({ url, username, password: 'wrong' }).query({ query: 'SELECT 1' }), { code: '516' })

const abort = new AbortController()
const slow = client.query({
  query: 'SELECT sleepEachRow(1) FROM numbers(120) SETTINGS max_block_size = 1', abort_signal: abort.signal,
})
const running = "SELECT count() AS n FROM system.processes WHERE query LIKE '%sleepEachRow(1) FROM numbers(120)%' AND query NOT LIKE '%processes%'"
const until = async (n) => { while (Number((await rows(running))[0].n) !== n) await new Promise((r) => setTimeout(r, 100)) }
await until(1)
abort.abort()
await assert.rejects(slow)
await until(0)
await client.close()
console.log('node: all as expected')
