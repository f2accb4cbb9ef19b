-- boards.recent_apps by provider too: of the market lines, for charts that a provider is chosen for.
CREATE OR REPLACE VIEW boards.recent_apps_by_provider AS
SELECT
    toNullable(toString(u.app)) AS app,
    toNullable(toString(u.provider)) AS provider,
    toNullable(toString(u.model)) AS model,
    toNullable(multiIf(
        f.author != '', f.author,
        a.author != '', a.author,
        position(u.model, '/') > 0, splitByChar('/', toString(u.model))[1],
        toString(u.model))) AS author,
    toNullable(multiIf(f.origin != '', f.origin, a.origin != '', a.origin, 'Unknown')) AS origin,
    toNullable(if(f.weights != '', f.weights, 'unknown')) AS weights,
    toInt64(u.sum_tokens_week) AS tokens_week,
    toInt64(u.sum_tokens_week_before) AS tokens_week_before,
    toInt64(u.sum_tokens_three_weeks_before) AS tokens_three_weeks_before
FROM
(
    SELECT
        ifNull(toString(t.app_id), 'no app') AS app,
        t.provider AS provider,
        t.model AS model,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN 1 AND 7) AS sum_tokens_week,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN 8 AND 14) AS sum_tokens_week_before,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN 8 AND 28) AS sum_tokens_three_weeks_before,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM (
        SELECT *, dateDiff('day', toDate(occurred_hour, 'UTC'), toDate(now('UTC'))) AS age
        FROM simulated.shown_usage_market
        WHERE occurred_hour >= toStartOfDay(now('UTC')) - INTERVAL 28 DAY
    ) AS t
    GROUP BY app, provider, model, author_key
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
