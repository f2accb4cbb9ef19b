-- Totals of these hours, from their minutes; the minutes are made first.
-- Every group there was is written as gone under the version before, so that one without rows any more vanishes.
INSERT INTO {database:Identifier}.calls_by_hour
    (hour, model, provider, calls, errors, rate_limited, streamed, cancelled, input_tokens, output_tokens,
     latency_calls, latency_sum_ms, generation_calls, generation_sum_ms, generation_tokens, latency_states,
     throughput_states, byok, with_tools, input_states, output_states, version, gone)
SELECT
    toStartOfHour(s.minute) AS hour,
    s.model AS model,
    s.provider AS provider,
    sum(s.calls) AS calls,
    sum(s.errors) AS errors,
    sum(s.rate_limited) AS rate_limited,
    sum(s.streamed) AS streamed,
    sum(s.cancelled) AS cancelled,
    sum(s.input_tokens) AS input_tokens,
    sum(s.output_tokens) AS output_tokens,
    sum(s.latency_calls) AS latency_calls,
    sum(s.latency_sum_ms) AS latency_sum_ms,
    sum(s.generation_calls) AS generation_calls,
    sum(s.generation_sum_ms) AS generation_sum_ms,
    sum(s.generation_tokens) AS generation_tokens,
    quantilesBFloat16MergeState(0.5, 0.9, 0.99)(s.latency_states) AS latency_states,
    quantilesBFloat16MergeState(0.5, 0.9, 0.99)(s.throughput_states) AS throughput_states,
    sum(s.byok) AS byok,
    sum(s.with_tools) AS with_tools,
    quantilesBFloat16MergeState(0.5, 0.9, 0.99)(s.input_states) AS input_states,
    quantilesBFloat16MergeState(0.5, 0.9, 0.99)(s.output_states) AS output_states,
    {version:UInt64} AS version,
    0 AS gone
FROM {database:Identifier}.calls_by_minute AS s FINAL
WHERE s.minute >= toStartOfHour({first:DateTime('UTC')})
    AND s.minute < toStartOfHour({last:DateTime('UTC')}) + INTERVAL 1 HOUR
    AND toStartOfHour(s.minute) IN {hours:Array(DateTime('UTC'))}
GROUP BY hour, model, provider
UNION ALL
SELECT
    * REPLACE ({version:UInt64} - 1 AS version, 1 AS gone)
FROM {database:Identifier}.calls_by_hour FINAL
WHERE hour IN {hours:Array(DateTime('UTC'))}
SETTINGS do_not_merge_across_partitions_select_final = 1, max_partitions_per_insert_block = 0
