-- boards.calls_by_minute by app too: of the raw events, for charts that an app is chosen for.
CREATE OR REPLACE VIEW boards.calls_by_minute_by_app AS
SELECT
    u.minute AS minute,
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
    toInt64(u.sum_rate_limited) AS rate_limited
FROM
(
    SELECT
        toStartOfMinute(toDateTime(t.occurred_at, 'UTC')) AS minute,
        t.model AS model,
        t.provider AS provider,
        ifNull(toString(t.app_id), 'no app') AS app,
        count() AS sum_calls,
        countIf(t.status >= 400 OR t.error_class IS NOT NULL) AS sum_errors,
        countIf(t.status = 429) AS sum_rate_limited,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM simulated.shown_usage_events AS t
    WHERE t.occurred_at >= toStartOfMinute(now('UTC') - INTERVAL 2 DAY) AND t.kind != 'CORRECTION'
    GROUP BY minute, model, provider, app, author_key
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
