SELECT minute, sum(calls) AS calls, sum(errors) AS errors, quantilesBFloat16Merge(0.5, 0.9, 0.99)(latency_states) AS latency_ms
FROM tokenmeter.calls_by_minute FINAL
WHERE minute >= now() - INTERVAL 1 DAY
GROUP BY minute
SETTINGS do_not_merge_across_partitions_select_final = 1
