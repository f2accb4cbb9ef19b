-- The 50 models with most tokens in the last 30 days; ties alphabetical.
CREATE VIEW IF NOT EXISTS boards.leaderboard AS
WITH totals AS
(
    SELECT
        model,
        any(author)              AS author,
        toInt64(sum(tokens))     AS tokens,
        toInt64(sum(calls))      AS calls,
        toInt64(sum(errors))     AS errors
    FROM boards.market
    WHERE hour >= now('UTC') - INTERVAL 30 DAY
    GROUP BY model
)
SELECT
    toInt64(row_number() OVER (ORDER BY tokens DESC, model)) AS rank,
    model,
    author,
    tokens,
    tokens / (SELECT greatest(sum(tokens), 1) FROM totals)   AS share,
    calls,
    errors,
    errors / greatest(calls, 1)                              AS error_rate
FROM totals
ORDER BY rank
LIMIT 50
