-- boards.calls_by_hour by app too: of the raw events, which are kept 31 days.
CREATE OR REPLACE VIEW boards.calls_by_hour_by_app AS
SELECT
    u.hour AS hour,
    toStartOfDay(u.hour) AS day,
    toNullable(toString(u.model)) AS model,
    toNullable(multiIf(
        f.author != '', f.author,
        a.author != '', a.author,
        position(u.model, '/') > 0, splitByChar('/', toString(u.model))[1],
        toString(u.model))) AS author,
    toNullable(multiIf(f.origin != '', f.origin, a.origin != '', a.origin, 'Unknown')) AS origin,
    toNullable(if(f.weights != '', f.weights, 'unknown')) AS weights,
    toNullable(toString(u.provider)) AS provider,
    toNullable(toString(u.app)) AS app,
    u.sum_calls AS calls,
    u.sum_errors AS errors,
    u.sum_rate_limited AS rate_limited,
    u.sum_streamed AS streamed,
    u.sum_cancelled AS cancelled,
    u.sum_input_tokens AS input_tokens,
    u.sum_output_tokens AS output_tokens,
    u.sum_latency_calls AS latency_calls,
    u.sum_latency_sum_ms AS latency_sum_ms,
    u.sum_generation_calls AS generation_calls,
    u.sum_generation_sum_ms AS generation_sum_ms,
    u.sum_generation_tokens AS generation_tokens,
    u.sum_byok AS byok,
    u.sum_with_tools AS with_tools,
    u.all_latency_states AS latency_states,
    u.all_throughput_states AS throughput_states,
    u.all_input_states AS input_states,
    u.all_output_states AS output_states
FROM
(
    WITH
        ifNull(t.latency_ms >= 0, 0) AS has_latency,
        ifNull(t.latency_ms >= 0 AND t.duration_ms > t.latency_ms, 0) AS generates,
        greatest(assumeNotNull(t.duration_ms) - assumeNotNull(t.latency_ms), 1) / 1000 AS generation_s
    SELECT
        toStartOfHour(toDateTime(t.occurred_at, 'UTC')) AS hour,
        t.model AS model,
        t.provider AS provider,
        ifNull(toString(t.app_id), 'no app') AS app,
        toInt64(count()) AS sum_calls,
        toInt64(countIf(t.status >= 400 OR t.error_class IS NOT NULL)) AS sum_errors,
        toInt64(countIf(t.status = 429)) AS sum_rate_limited,
        toInt64(countIf(t.streamed)) AS sum_streamed,
        toInt64(countIf(t.cancelled)) AS sum_cancelled,
        sum(t.input_tokens) AS sum_input_tokens,
        sum(t.output_tokens) AS sum_output_tokens,
        toInt64(countIf(has_latency)) AS sum_latency_calls,
        sumIf(toInt64(assumeNotNull(t.latency_ms)), has_latency) AS sum_latency_sum_ms,
        toInt64(countIf(generates)) AS sum_generation_calls,
        sumIf(toInt64(assumeNotNull(t.duration_ms) - assumeNotNull(t.latency_ms)), generates) AS sum_generation_sum_ms,
        sumIf(t.output_tokens, generates) AS sum_generation_tokens,
        toInt64(countIf(t.byok)) AS sum_byok,
        toInt64(countIf(t.tool_calls > 0)) AS sum_with_tools,
        quantilesBFloat16StateIf(0.5, 0.9, 0.99)(assumeNotNull(t.latency_ms), has_latency) AS all_latency_states,
        quantilesBFloat16StateIf(0.5, 0.9, 0.99)(t.output_tokens / generation_s, generates) AS all_throughput_states,
        quantilesBFloat16State(0.5, 0.9, 0.99)(t.input_tokens) AS all_input_states,
        quantilesBFloat16State(0.5, 0.9, 0.99)(t.output_tokens) AS all_output_states,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM simulated.shown_usage_events AS t
    WHERE t.occurred_at >= now64(6, 'UTC') - INTERVAL 31 DAY AND t.kind != 'CORRECTION'
    GROUP BY hour, model, provider, app, author_key
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
