-- Tokens of the last seven full UTC days and of the equal windows before, by app and model. Popular is tokens of the
-- week; trending is the week minus the mean of the three weeks before it, where that is positive.
-- With what is simulated, if anything is.
CREATE OR REPLACE VIEW boards.recent_apps AS
SELECT
    toNullable(toString(u.app)) AS app,
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
        t.model AS model,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN 1 AND 7) AS sum_tokens_week,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN 8 AND 14) AS sum_tokens_week_before,
        sumIf(t.input_tokens + t.output_tokens, t.age BETWEEN 8 AND 28) AS sum_tokens_three_weeks_before,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM (
        SELECT *, dateDiff('day', day, toDate(now('UTC'))) AS age
        FROM simulated.shown_app_daily
        WHERE day >= toDate(now('UTC')) - 28
    ) AS t
    GROUP BY app, model, author_key
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
