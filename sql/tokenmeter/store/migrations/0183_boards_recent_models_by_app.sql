-- boards.recent_models by app too: of the market lines, for charts that an app is chosen for.
CREATE OR REPLACE VIEW boards.recent_models_by_app AS
SELECT
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
    toInt64(u.sum_tokens_day) AS tokens_day,
    toInt64(u.sum_tokens_day_before) AS tokens_day_before,
    toInt64(u.sum_tokens_week) AS tokens_week,
    toInt64(u.sum_tokens_week_before) AS tokens_week_before,
    toInt64(u.sum_tokens_three_weeks_before) AS tokens_three_weeks_before,
    toInt64(u.sum_tokens_month) AS tokens_month,
    toInt64(u.sum_tokens_month_before) AS tokens_month_before
FROM
(
    SELECT
        t.model AS model,
        t.provider AS provider,
        ifNull(toString(t.app_id), 'no app') AS app,
        t.variant AS variant,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN -1 AND 23) AS sum_tokens_day,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN 24 AND 47) AS sum_tokens_day_before,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN -1 AND 167) AS sum_tokens_week,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN 168 AND 335) AS sum_tokens_week_before,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN 168 AND 671) AS sum_tokens_three_weeks_before,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN -1 AND 719) AS sum_tokens_month,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN 720 AND 1439) AS sum_tokens_month_before,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM (
        SELECT *, dateDiff('hour', occurred_hour, toStartOfHour(now('UTC'))) AS age
        FROM simulated.shown_usage_market
        WHERE occurred_hour > toStartOfHour(now('UTC')) - INTERVAL 1440 HOUR
    ) AS t
    GROUP BY model, provider, app, variant, author_key
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
