-- Totals of a day, from its hours; the hours are made first.
-- Every group there was is written as gone under the version before, so that one without rows any more vanishes.
INSERT INTO {database:Identifier}.market_daily
    (day, model, variant, currency, cost_currency, events, errors, rate_limited, streamed, cancelled, byok,
     unpriced, uncosted, latency_calls, latency_sum_ms, generation_calls, generation_sum_ms, generation_tokens,
     each_quantity(#),
     charge, cost, version, gone)
SELECT
    toDate(s.occurred_hour, 'UTC') AS day,
    s.model AS model,
    s.variant AS variant,
    s.currency AS currency,
    s.cost_currency AS cost_currency,
    sum(s.events) AS events,
    sum(s.errors) AS errors,
    sum(s.rate_limited) AS rate_limited,
    sum(s.streamed) AS streamed,
    sum(s.cancelled) AS cancelled,
    sum(s.byok) AS byok,
    sum(s.unpriced) AS unpriced,
    sum(s.uncosted) AS uncosted,
    sum(s.latency_calls) AS latency_calls,
    sum(s.latency_sum_ms) AS latency_sum_ms,
    sum(s.generation_calls) AS generation_calls,
    sum(s.generation_sum_ms) AS generation_sum_ms,
    sum(s.generation_tokens) AS generation_tokens,
    each_quantity(sum(s.#) AS #),
    sum(s.charge) AS charge,
    sum(s.cost) AS cost,
    {version:UInt64} AS version,
    0 AS gone
FROM {database:Identifier}.market_hourly AS s FINAL
WHERE s.occurred_hour >= {from:DateTime('UTC')} AND s.occurred_hour < {until:DateTime('UTC')}
GROUP BY day, model, variant, currency, cost_currency
UNION ALL
SELECT
    * REPLACE ({version:UInt64} - 1 AS version, 1 AS gone)
FROM {database:Identifier}.market_daily FINAL
WHERE day >= toDate({from:DateTime('UTC')}) AND day < toDate({until:DateTime('UTC')})
SETTINGS do_not_merge_across_partitions_select_final = 1, max_partitions_per_insert_block = 0
