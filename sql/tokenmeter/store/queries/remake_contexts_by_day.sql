-- Totals of whole days, from their lines.
-- Every group there was is written as gone under the version before, so that one without rows any more vanishes.
INSERT INTO {database:Identifier}.contexts_by_day
    (day, context_bucket, operation, model, events, errors, input_tokens, output_tokens, tool_calls, version, gone)
SELECT
    toDate(s.occurred_hour, 'UTC') AS day,
    s.context_bucket AS context_bucket,
    s.operation AS operation,
    s.model AS model,
    sum(s.events) AS events,
    sum(s.errors) AS errors,
    sum(s.input_tokens) AS input_tokens,
    sum(s.output_tokens) AS output_tokens,
    sum(s.tool_calls) AS tool_calls,
    {version:UInt64} AS version,
    0 AS gone
FROM {database:Identifier}.usage_market AS s FINAL
WHERE s.occurred_hour >= {from:DateTime('UTC')} AND s.occurred_hour < {until:DateTime('UTC')}
GROUP BY day, context_bucket, operation, model
UNION ALL
SELECT
    * REPLACE ({version:UInt64} - 1 AS version, 1 AS gone)
FROM {database:Identifier}.contexts_by_day FINAL
WHERE day >= toDate({from:DateTime('UTC')}) AND day < toDate({until:DateTime('UTC')})
SETTINGS do_not_merge_across_partitions_select_final = 1, max_partitions_per_insert_block = 0
