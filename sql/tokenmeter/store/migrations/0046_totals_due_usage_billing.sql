-- A store from before the totals: the first loader makes those of everything it holds.
INSERT INTO tokenmeter.totals_due (source, bucket, touched)
SELECT DISTINCT 'usage_billing', toDateTime(occurred_hour) AS bucket, 2 * toUnixTimestamp64Micro(now64(6))
FROM tokenmeter.usage_billing
WHERE bucket >= now() - INTERVAL 124 DAY
