-- Totals of these minutes of one day, numbered from midnight, from the raw events.
-- Every group there was is written as gone under the version before, so that one without rows any more vanishes.
-- The end is as fine as the column: by a whole second the engine leaves out a part that begins in a minute's last one.
INSERT INTO {database:Identifier}.calls_by_minute
    (minute, model, provider, calls, errors, rate_limited, streamed, cancelled, input_tokens, output_tokens,
     latency_calls, latency_sum_ms, generation_calls, generation_sum_ms, generation_tokens, latency_states,
     throughput_states, byok, with_tools, input_states, output_states, version, gone)
WITH
    ifNull(s.latency_ms >= 0, 0) AS has_latency,
    ifNull(s.latency_ms >= 0 AND s.duration_ms > s.latency_ms, 0) AS generates,
    greatest(assumeNotNull(s.duration_ms) - assumeNotNull(s.latency_ms), 1) / 1000 AS generation_s
SELECT
    toStartOfMinute(toDateTime(s.occurred_at, 'UTC')) AS minute,
    s.model AS model,
    s.provider AS provider,
    toInt64(count()) AS calls,
    toInt64(countIf(s.status >= 400 OR s.error_class IS NOT NULL)) AS errors,
    toInt64(countIf(s.status = 429)) AS rate_limited,
    toInt64(countIf(s.streamed)) AS streamed,
    toInt64(countIf(s.cancelled)) AS cancelled,
    sum(s.input_tokens) AS input_tokens,
    sum(s.output_tokens) AS output_tokens,
    toInt64(countIf(has_latency)) AS latency_calls,
    sumIf(toInt64(assumeNotNull(s.latency_ms)), has_latency) AS latency_sum_ms,
    toInt64(countIf(generates)) AS generation_calls,
    sumIf(toInt64(assumeNotNull(s.duration_ms) - assumeNotNull(s.latency_ms)), generates) AS generation_sum_ms,
    sumIf(s.output_tokens, generates) AS generation_tokens,
    quantilesBFloat16StateIf(0.5, 0.9, 0.99)(assumeNotNull(s.latency_ms), has_latency) AS latency_states,
    quantilesBFloat16StateIf(0.5, 0.9, 0.99)(s.output_tokens / generation_s, generates) AS throughput_states,
    toInt64(countIf(s.byok)) AS byok,
    toInt64(countIf(s.tool_calls > 0)) AS with_tools,
    quantilesBFloat16State(0.5, 0.9, 0.99)(s.input_tokens) AS input_states,
    quantilesBFloat16State(0.5, 0.9, 0.99)(s.output_tokens) AS output_states,
    {version:UInt64} AS version,
    0 AS gone
FROM {database:Identifier}.usage_events AS s FINAL
WHERE s.occurred_at >= {first:DateTime('UTC')} AND s.occurred_at < toDateTime64({last:DateTime('UTC')} + INTERVAL 1 MINUTE, 6, 'UTC')
    AND intDiv(toUnixTimestamp(toDateTime(s.occurred_at, 'UTC')), 60) % 1440 IN {minutes:Array(UInt16)}
    AND s.kind != 'CORRECTION'
GROUP BY minute, model, provider
UNION ALL
SELECT
    * REPLACE ({version:UInt64} - 1 AS version, 1 AS gone)
FROM {database:Identifier}.calls_by_minute FINAL
WHERE minute >= {first:DateTime('UTC')} AND minute <= {last:DateTime('UTC')}
    AND intDiv(toUnixTimestamp(minute), 60) % 1440 IN {minutes:Array(UInt16)}
SETTINGS do_not_merge_across_partitions_select_final = 1, max_partitions_per_insert_block = 0
