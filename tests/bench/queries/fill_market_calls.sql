-- Single calls of 31 days in the order of their time, of the models, providers and applications of fill_market_lines.
INSERT INTO simulated.usage_events
    (event_id, kind, occurred_at, source, customer_id, app_id, model, provider, variant, operation, status, error_class,
     streamed, input_tokens, output_tokens, tool_calls, latency_ms, duration_ms, partition, offset, appended_at)
SELECT
    generateUUIDv7(),
    'USAGE',
    toDateTime64({until:UInt32}, 6, 'UTC')
        - toIntervalMillisecond(intDiv(({total:UInt64} - number) * 30 * 86400000, {total:UInt64}) + 1000) AS at,
    'gateway',
    concat('customer-', toString(cityHash64(number) % 5000)),
    if(number % 10 = 0, NULL, concat('app-', toString(toUInt32(1000 * pow(cityHash64(number, 2) % 100000 / 100000., 3))))),
    concat('author-', toString(m % 30), '/model-', toString(m)),
    concat('provider-', toString((m + number % 3) % 60)),
    'standard',
    'CHAT',
    if(number % 50 = 0, 429, 200),
    if(number % 50 = 0, 'rate_limited', NULL),
    number % 2,
    1000 + cityHash64(number, 5) % 9000,
    200 + cityHash64(number, 6) % 500,
    number % 3,
    300 + cityHash64(number, 7) % 900,
    2000 + cityHash64(number, 8) % 900,
    number % 4,
    number,
    at
FROM
(
    SELECT number, toUInt32(300 * pow(cityHash64(number, 1) % 100000 / 100000., 3)) AS m
    FROM numbers({start:UInt64}, {rows:UInt64})
)
