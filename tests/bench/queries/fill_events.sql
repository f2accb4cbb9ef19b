-- Raw events of 30 days in the order of their time, of 5 000 customers.
INSERT INTO tokenmeter.usage_events
    (event_id, kind, occurred_at, source, customer_id, model, provider, variant, operation, status, streamed,
     input_tokens, output_tokens, latency_ms, duration_ms, partition, offset, appended_at)
SELECT
    generateUUIDv7(),
    'USAGE',
    now64(6) - toIntervalMillisecond(intDiv(({total:UInt64} - number) * 30 * 86400000, {total:UInt64})) AS at,
    'gateway',
    concat('customer-', toString(cityHash64(number) % 5000)),
    concat('author-', toString(intDiv(m, 8)), '/model-', toString(m)),
    concat('provider-', toString(m % 60)),
    'standard',
    'CHAT',
    if(number % 50 = 0, 429, 200),
    number % 2,
    1000 + number % 9000,
    200 + number % 500,
    300 + number % 900,
    2000 + number % 900,
    number % 4,
    number,
    at
FROM
(
    SELECT number, toUInt32(300 * pow(cityHash64(number, 1) % 100000 / 100000., 3)) AS m
    FROM numbers({start:UInt64}, {rows:UInt64})
)
