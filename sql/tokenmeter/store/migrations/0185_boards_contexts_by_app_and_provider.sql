-- boards.contexts by app and provider too: of the market lines, which are kept 125 days.
CREATE OR REPLACE VIEW boards.contexts_by_app_and_provider AS
SELECT
    u.day AS day,
    toNullable(concat(toString(u.context_bucket), ' tokens')) AS context,
    toNullable(lower(toString(u.operation))) AS operation,
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
    toInt64(u.sum_calls) AS calls,
    toInt64(u.sum_errors) AS errors,
    toInt64(u.sum_input_tokens) AS input_tokens,
    toInt64(u.sum_output_tokens) AS output_tokens,
    toInt64(u.sum_tool_calls) AS tool_calls,
    toInt64(u.sum_input_tokens + u.sum_output_tokens) AS tokens
FROM
(
    SELECT
        toStartOfDay(toDateTime(t.occurred_hour, 'UTC')) AS day,
        t.context_bucket AS context_bucket,
        t.operation AS operation,
        t.model AS model,
        t.provider AS provider,
        ifNull(toString(t.app_id), 'no app') AS app,
        sum(t.events) AS sum_calls,
        sum(t.errors) AS sum_errors,
        sum(t.input_tokens) AS sum_input_tokens,
        sum(t.output_tokens) AS sum_output_tokens,
        sum(t.tool_calls) AS sum_tool_calls,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM simulated.shown_usage_market AS t
    GROUP BY day, context_bucket, operation, model, provider, app, author_key
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
