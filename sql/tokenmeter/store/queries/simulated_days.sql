-- Simulated lines by UTC day: how many, their tokens, and the tokens that each total of them says.
SELECT day, count() AS lines, sum(tokens) AS line_tokens, any(h.used), any(d.used), any(a.used), any(p.used), any(c.used)
FROM
(
    SELECT toDate(occurred_hour, 'UTC') AS day, input_tokens + output_tokens AS tokens
    FROM simulated.usage_market FINAL
) AS l
LEFT JOIN (SELECT toDate(occurred_hour, 'UTC') AS day, sum(input_tokens + output_tokens) AS used
           FROM simulated.market_hourly FINAL GROUP BY day) AS h USING (day)
LEFT JOIN (SELECT day, sum(input_tokens + output_tokens) AS used
           FROM simulated.market_daily FINAL GROUP BY day) AS d USING (day)
LEFT JOIN (SELECT day, sum(input_tokens + output_tokens) AS used
           FROM simulated.app_daily FINAL GROUP BY day) AS a USING (day)
LEFT JOIN (SELECT day, sum(input_tokens + output_tokens) AS used
           FROM simulated.apps_by_day FINAL GROUP BY day) AS p USING (day)
LEFT JOIN (SELECT day, sum(input_tokens + output_tokens) AS used
           FROM simulated.contexts_by_day FINAL GROUP BY day) AS c USING (day)
GROUP BY day
SETTINGS do_not_merge_across_partitions_select_final = 1
