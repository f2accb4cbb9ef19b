-- Each app's share of all tokens of an ISO week, those of calls that name no app included; and of the tokens of apps
-- that give a name, as published rankings of apps have it (null for calls that name no app).
CREATE OR REPLACE VIEW boards.app_shares AS
SELECT
    week,
    app,
    toInt64(sum(a.tokens))                                                        AS tokens,
    sum(a.tokens) / greatest(sum(sum(a.tokens)) OVER (PARTITION BY week), 1)      AS share,
    if(app = 'no app', NULL, sum(a.tokens)
        / greatest(sum(if(app = 'no app', 0, sum(a.tokens))) OVER (PARTITION BY week), 1)) AS named_share
FROM boards.apps AS a
GROUP BY week, app
