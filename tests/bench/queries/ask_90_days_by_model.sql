SELECT toDate(occurred_hour, 'UTC') AS day, model, sum(input_tokens + output_tokens) AS tokens
FROM tokenmeter.usage_market FINAL
WHERE occurred_hour >= now() - INTERVAL 90 DAY
GROUP BY day, model
SETTINGS do_not_merge_across_partitions_select_final = 1
