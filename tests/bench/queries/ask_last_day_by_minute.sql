SELECT toStartOfMinute(occurred_at) AS minute, count() AS calls, countIf(status >= 400) AS errors
FROM tokenmeter.usage_events FINAL
WHERE occurred_at >= now64(6) - INTERVAL 1 DAY
GROUP BY minute
SETTINGS do_not_merge_across_partitions_select_final = 1
