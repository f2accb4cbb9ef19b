SELECT day, model, sum(input_tokens + output_tokens) AS tokens
FROM tokenmeter.market_daily FINAL
WHERE day >= today() - 90
GROUP BY day, model
SETTINGS do_not_merge_across_partitions_select_final = 1
