-- Each app's share of all tokens of an ISO week, those of calls that name no app included.
CREATE VIEW IF NOT EXISTS boards.app_shares AS
SELECT
    week,
    app,
    toInt64(sum(a.tokens))                                                        AS tokens,
    sum(a.tokens) / greatest(sum(sum(a.tokens)) OVER (PARTITION BY week), 1)      AS share
FROM boards.apps AS a
GROUP BY week, app
