-- The columns of tokenmeter.calls_by_hour, for simulated rows.
CREATE TABLE IF NOT EXISTS simulated.calls_by_hour AS tokenmeter.calls_by_hour
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, model, provider)
COMMENT 'Totals of simulated rows'
