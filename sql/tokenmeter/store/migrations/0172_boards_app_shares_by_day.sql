-- As 0164, from the apps' days: app_daily is read a hundred times longer.
CREATE OR REPLACE VIEW boards.app_shares AS
SELECT
    week,
    app,
    toInt64(sum(a.tokens))                                                        AS tokens,
    sum(a.tokens) / greatest(sum(sum(a.tokens)) OVER (PARTITION BY week), 1)      AS share,
    if(app = 'no app', NULL, sum(a.tokens)
        / greatest(sum(if(app = 'no app', 0, sum(a.tokens))) OVER (PARTITION BY week), 1)) AS named_share
FROM boards.app_days AS a
GROUP BY week, app
