-- A store from before the totals: the first loader makes those of everything it holds.
INSERT INTO tokenmeter.totals_due (source, bucket, touched)
SELECT DISTINCT 'usage_events', toStartOfMinute(toDateTime(occurred_at)) AS bucket, 2 * toUnixTimestamp64Micro(now64(6))
FROM tokenmeter.usage_events
WHERE bucket >= now() - INTERVAL 30 DAY
