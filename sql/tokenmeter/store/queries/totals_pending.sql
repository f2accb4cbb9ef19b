-- Hours and minutes for which rows arrived after their totals were made, oldest arrival first, with its age in seconds.
SELECT
    source,
    toUnixTimestamp(bucket) AS bucket_s,
    greatest(0, toUnixTimestamp64Micro(now64(6, 'UTC')) / 1000000 - max(touched) / 2000000) AS age_s
FROM tokenmeter.totals_due
GROUP BY source, bucket
HAVING max(touched) > max(made)
ORDER BY max(touched), source, bucket
