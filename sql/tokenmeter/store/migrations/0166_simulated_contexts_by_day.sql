-- The columns of tokenmeter.contexts_by_day, for simulated rows.
CREATE TABLE IF NOT EXISTS simulated.contexts_by_day AS tokenmeter.contexts_by_day
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(day)
ORDER BY (day, model, context_bucket, operation)
COMMENT 'Totals of simulated rows'
