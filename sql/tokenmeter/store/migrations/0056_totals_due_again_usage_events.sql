-- A store from before calls_by_hour: the first loader makes those of the calls there are.
INSERT INTO tokenmeter.totals_due (source, bucket, touched)
SELECT DISTINCT 'usage_events', toStartOfMinute(toDateTime(occurred_at)) AS bucket, 2 * toUnixTimestamp64Micro(now64(6))
FROM tokenmeter.usage_events
WHERE bucket >= now() - INTERVAL 30 DAY
