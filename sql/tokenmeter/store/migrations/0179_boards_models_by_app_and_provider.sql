-- boards.models by app and provider too.
-- Of the market lines themselves, which are kept 125 days: no total has both.
CREATE OR REPLACE VIEW boards.models_by_app_and_provider AS
SELECT
    u.day AS day,
    toDateTime(toMonday(u.day), 'UTC') AS week,
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
    toNullable(toString(u.variant)) AS variant,
    toInt64(u.sum_calls) AS calls,
    toInt64(u.sum_errors) AS errors,
    toInt64(u.sum_rate_limited) AS rate_limited,
    toInt64(u.sum_calls - u.sum_errors) AS ok,
    toInt64(u.sum_errors - u.sum_rate_limited) AS failed,
    toInt64(u.sum_streamed) AS streamed,
    toInt64(u.sum_cancelled) AS cancelled,
    toInt64(u.sum_byok) AS byok,
    toInt64(u.sum_unpriced) AS unpriced,
    toInt64(u.sum_uncosted) AS uncosted,
    toInt64(u.sum_latency_calls) AS latency_calls,
    toInt64(u.sum_latency_sum_ms) AS latency_sum_ms,
    toInt64(u.sum_generation_calls) AS generation_calls,
    toInt64(u.sum_generation_sum_ms) AS generation_sum_ms,
    toInt64(u.sum_generation_tokens) AS generation_tokens,
    toInt64(u.sum_input_tokens) AS input_tokens,
    toInt64(u.sum_cached_input_tokens) AS cached_input_tokens,
    toInt64(u.sum_output_tokens) AS output_tokens,
    toInt64(u.sum_reasoning_tokens) AS reasoning_tokens,
    toInt64(u.sum_tool_calls) AS tool_calls,
    toInt64(u.sum_tool_call_errors) AS tool_call_errors,
    toInt64(u.sum_input_tokens + u.sum_output_tokens) AS tokens
FROM
(
    SELECT
        toStartOfDay(toDateTime(t.occurred_hour, 'UTC')) AS day,
        t.model AS model,
        t.provider AS provider,
        ifNull(toString(t.app_id), 'no app') AS app,
        t.variant AS variant,
        sum(t.events) AS sum_calls,
        sum(t.errors) AS sum_errors,
        sum(t.rate_limited) AS sum_rate_limited,
        sum(t.streamed) AS sum_streamed,
        sum(t.cancelled) AS sum_cancelled,
        sum(t.byok) AS sum_byok,
        sum(t.unpriced) AS sum_unpriced,
        sum(t.uncosted) AS sum_uncosted,
        sum(t.latency_calls) AS sum_latency_calls,
        sum(t.latency_sum_ms) AS sum_latency_sum_ms,
        sum(t.generation_calls) AS sum_generation_calls,
        sum(t.generation_sum_ms) AS sum_generation_sum_ms,
        sum(t.generation_tokens) AS sum_generation_tokens,
        sum(t.input_tokens) AS sum_input_tokens,
        sum(t.cached_input_tokens) AS sum_cached_input_tokens,
        sum(t.output_tokens) AS sum_output_tokens,
        sum(t.reasoning_tokens) AS sum_reasoning_tokens,
        sum(t.tool_calls) AS sum_tool_calls,
        sum(t.tool_call_errors) AS sum_tool_call_errors,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM simulated.shown_usage_market AS t
    GROUP BY day, model, provider, app, variant, author_key
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
