-- A store from before apps_by_day and contexts_by_day: the first loader makes those of the lines there are.
INSERT INTO tokenmeter.totals_due (source, bucket, touched)
SELECT DISTINCT 'usage_market', toDateTime(occurred_hour) AS bucket, 2 * toUnixTimestamp64Micro(now64(6))
FROM tokenmeter.usage_market
WHERE bucket >= now() - INTERVAL 124 DAY
