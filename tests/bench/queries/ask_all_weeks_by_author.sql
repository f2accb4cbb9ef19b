SELECT toMonday(day) AS week, splitByChar('/', toString(model))[1] AS author, sum(input_tokens + output_tokens) AS tokens
FROM tokenmeter.market_daily FINAL
GROUP BY week, author
SETTINGS do_not_merge_across_partitions_select_final = 1
