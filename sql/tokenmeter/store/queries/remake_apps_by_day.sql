-- Totals of whole days, from the applications by model, which are made first.
-- Every group there was is written as gone under the version before, so that one without rows any more vanishes.
INSERT INTO {database:Identifier}.apps_by_day
    (day, app_id, events, errors, input_tokens, output_tokens, tool_calls, version, gone)
SELECT
    s.day AS day,
    s.app_id AS app_id,
    sum(s.events) AS events,
    sum(s.errors) AS errors,
    sum(s.input_tokens) AS input_tokens,
    sum(s.output_tokens) AS output_tokens,
    sum(s.tool_calls) AS tool_calls,
    {version:UInt64} AS version,
    0 AS gone
FROM {database:Identifier}.app_daily AS s FINAL
WHERE s.day >= toDate({from:DateTime('UTC')}) AND s.day < toDate({until:DateTime('UTC')})
GROUP BY day, app_id
UNION ALL
SELECT
    * REPLACE ({version:UInt64} - 1 AS version, 1 AS gone)
FROM {database:Identifier}.apps_by_day FINAL
WHERE day >= toDate({from:DateTime('UTC')}) AND day < toDate({until:DateTime('UTC')})
SETTINGS do_not_merge_across_partitions_select_final = 1, max_partitions_per_insert_block = 0
