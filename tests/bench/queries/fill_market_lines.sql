-- Market lines of 18 months in the order of their time: 300 models, each of three providers, 1 000 applications and 40
-- countries, few of each large. A tenth of the lines names no application.
INSERT INTO simulated.usage_market
    (partition, first_offset, line, model, provider, app_id, variant, operation, country, context_bucket, occurred_hour,
     currency, cost_currency, events, errors, rate_limited, streamed, latency_calls, latency_sum_ms, generation_calls,
     generation_sum_ms, generation_tokens, input_tokens, cached_input_tokens, output_tokens, tool_calls, charge, cost)
SELECT
    number % 4,
    intDiv(number, 1000),
    number % 1000,
    concat('author-', toString(m % 30), '/model-', toString(m)),
    concat('provider-', toString((m + intDiv(number, 7) % 3) % 60)),
    if(number % 10 = 0, NULL, concat('app-', toString(toUInt32(1000 * pow(cityHash64(number, 2) % 100000 / 100000., 3))))),
    'standard',
    if(number % 50 = 0, 'RESPONSE', 'CHAT'),
    concat('C', toString(toUInt32(40 * pow(cityHash64(number, 3) % 1000 / 1000., 2)))),
    ['<1k', '1k-10k', '1k-10k', '10k-100k', '100k-1m', '>=1m'][1 + cityHash64(number, 4) % 6],
    toDateTime({from:UInt32} + intDiv(({until:UInt32} - {from:UInt32}) * number, {total:UInt64}) AS at, 'UTC')
        - toIntervalSecond(at % 3600),
    'USD',
    'USD',
    1 + number % 7,
    number % 40 = 0,
    number % 80 = 0,
    1,
    1,
    300 + number % 900,
    1,
    2000 + number % 900,
    200 + number % 500,
    1000 + number % 9000,
    100,
    200 + number % 500,
    number % 3,
    1.5,
    1.4
FROM
(
    SELECT number, toUInt32(300 * pow(cityHash64(number, 1) % 100000 / 100000., 3)) AS m
    FROM numbers({start:UInt64}, {rows:UInt64})
)
