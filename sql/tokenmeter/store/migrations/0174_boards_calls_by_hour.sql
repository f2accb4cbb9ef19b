-- Single calls by UTC hour, model and provider, 126 days; corrections are no calls. Percentiles are read from states
-- with quantilesBFloat16Merge(0.5, 0.9, 0.99), which is within 0.4 % of the call that it names.
CREATE OR REPLACE VIEW boards.calls_by_hour AS
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
    SELECT
        t.hour AS hour,
        t.model AS model,
        t.provider AS provider,
        sum(t.calls) AS sum_calls,
        sum(t.errors) AS sum_errors,
        sum(t.rate_limited) AS sum_rate_limited,
        sum(t.streamed) AS sum_streamed,
        sum(t.cancelled) AS sum_cancelled,
        sum(t.input_tokens) AS sum_input_tokens,
        sum(t.output_tokens) AS sum_output_tokens,
        sum(t.latency_calls) AS sum_latency_calls,
        sum(t.latency_sum_ms) AS sum_latency_sum_ms,
        sum(t.generation_calls) AS sum_generation_calls,
        sum(t.generation_sum_ms) AS sum_generation_sum_ms,
        sum(t.generation_tokens) AS sum_generation_tokens,
        sum(t.byok) AS sum_byok,
        sum(t.with_tools) AS sum_with_tools,
        quantilesBFloat16MergeState(0.5, 0.9, 0.99)(t.latency_states) AS all_latency_states,
        quantilesBFloat16MergeState(0.5, 0.9, 0.99)(t.throughput_states) AS all_throughput_states,
        quantilesBFloat16MergeState(0.5, 0.9, 0.99)(t.input_states) AS all_input_states,
        quantilesBFloat16MergeState(0.5, 0.9, 0.99)(t.output_states) AS all_output_states,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM simulated.shown_calls_by_hour AS t
    GROUP BY hour, model, provider, author_key
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
