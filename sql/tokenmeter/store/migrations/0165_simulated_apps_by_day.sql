-- The columns of tokenmeter.apps_by_day, for simulated rows.
CREATE TABLE IF NOT EXISTS simulated.apps_by_day AS tokenmeter.apps_by_day
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(day)
ORDER BY (day, app_id)
SETTINGS allow_nullable_key = 1
COMMENT 'Totals of simulated rows'
