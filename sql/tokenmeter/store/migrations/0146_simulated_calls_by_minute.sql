-- The columns of tokenmeter.calls_by_minute, for simulated rows.
CREATE TABLE IF NOT EXISTS simulated.calls_by_minute AS tokenmeter.calls_by_minute
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMMDD(minute)
ORDER BY (minute, model, provider)
COMMENT 'Totals of simulated.usage_events by minute'
