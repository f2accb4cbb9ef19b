-- Single calls of the last 31 days, for medians and percentiles; corrections are no calls. Latency is the time to the
-- first token; tokens per second are output tokens over the time from the first to the last.
-- With what is simulated, if anything is.
CREATE OR REPLACE VIEW boards.calls AS
SELECT
    u.ended AS ended,
    toStartOfHour(u.ended) AS hour,
    toStartOfDay(u.ended) AS day,
    toNullable(toString(u.model)) AS model,
    toNullable(multiIf(
        f.author != '', f.author,
        a.author != '', a.author,
        position(u.model, '/') > 0, splitByChar('/', toString(u.model))[1],
        toString(u.model))) AS author,
    toNullable(multiIf(f.origin != '', f.origin, a.origin != '', a.origin, 'Unknown')) AS origin,
    toNullable(if(f.weights != '', f.weights, 'unknown')) AS weights,
    toNullable(toString(u.provider)) AS provider,
    toNullable(ifNull(toString(u.app_id), 'no app')) AS app,
    toInt64(u.streamed) AS streamed,
    toInt64(u.cancelled) AS cancelled,
    toInt64(u.byok) AS byok,
    toInt64(u.failed) AS failed,
    toInt64(u.tool_calls > 0) AS with_tools,
    u.input_tokens AS input_tokens,
    u.output_tokens AS output_tokens,
    toInt64(if(u.latency_ms >= 0, u.latency_ms, NULL)) AS latency_ms,
    if(u.latency_ms >= 0 AND u.duration_ms > u.latency_ms,
        1000 * u.output_tokens / (u.duration_ms - u.latency_ms), NULL) AS tokens_per_s
FROM
(
    SELECT
        toDateTime(t.occurred_at, 'UTC') AS ended,
        t.model AS model,
        t.provider AS provider,
        t.app_id AS app_id,
        t.streamed AS streamed,
        t.cancelled AS cancelled,
        t.byok AS byok,
        t.input_tokens AS input_tokens,
        t.output_tokens AS output_tokens,
        t.latency_ms AS latency_ms,
        t.duration_ms AS duration_ms,
        t.tool_calls AS tool_calls,
        t.status >= 400 OR t.error_class IS NOT NULL AS failed,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM simulated.shown_usage_events AS t
    WHERE t.occurred_at >= now64(6, 'UTC') - INTERVAL 31 DAY AND t.kind != 'CORRECTION'
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
