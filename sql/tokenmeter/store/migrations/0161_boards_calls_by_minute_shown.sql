-- Calls per UTC minute of their end over two days, by model and provider: all, failed, and of those rate limited (429).
-- Corrections are no calls.
-- With what is simulated, if anything is.
CREATE OR REPLACE VIEW boards.calls_by_minute AS
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
    toInt64(u.sum_calls) AS calls,
    toInt64(u.sum_errors) AS errors,
    toInt64(u.sum_rate_limited) AS rate_limited
FROM
(
    SELECT
        t.minute AS minute,
        t.model AS model,
        t.provider AS provider,
        sum(t.calls) AS sum_calls,
        sum(t.errors) AS sum_errors,
        sum(t.rate_limited) AS sum_rate_limited,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM simulated.shown_calls_by_minute AS t
    WHERE t.minute >= now('UTC') - INTERVAL 2 DAY
    GROUP BY minute, model, provider, author_key
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
