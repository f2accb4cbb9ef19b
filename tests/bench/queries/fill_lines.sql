-- Market lines of 18 months in the order of their time: 300 models and 1 000 applications, few of them large.
INSERT INTO tokenmeter.usage_market
    (partition, first_offset, line, model, provider, app_id, variant, operation, country, context_bucket, occurred_hour,
     currency, events, input_tokens, cached_input_tokens, output_tokens, charge, cost)
SELECT
    number % 4,
    intDiv(number, 1000),
    number % 1000,
    concat('author-', toString(intDiv(m, 8)), '/model-', toString(m)),
    concat('provider-', toString(m % 60)),
    concat('app-', toString(toUInt32(1000 * pow(cityHash64(number, 2) % 100000 / 100000., 3)))),
    'standard',
    'CHAT',
    concat('C', toString(number % 40)),
    '<1k',
    toStartOfHour(now() - toIntervalSecond(intDiv(({total:UInt64} - number) * 548 * 86400, {total:UInt64}))),
    'USD',
    1 + number % 7,
    1000 + number % 9000,
    100,
    200 + number % 500,
    1.5,
    1.4
FROM
(
    SELECT number, toUInt32(300 * pow(cityHash64(number, 1) % 100000 / 100000., 3)) AS m
    FROM numbers({start:UInt64}, {rows:UInt64})
)
