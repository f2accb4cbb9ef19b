-- The columns of tokenmeter.app_daily, for simulated rows.
CREATE TABLE IF NOT EXISTS simulated.app_daily AS tokenmeter.app_daily
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(day)
ORDER BY (day, app_id, model, currency, cost_currency)
SETTINGS allow_nullable_key = 1
COMMENT 'Totals of simulated.usage_market by app and day'
