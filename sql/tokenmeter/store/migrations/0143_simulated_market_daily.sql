-- The columns of tokenmeter.market_daily, for simulated rows.
CREATE TABLE IF NOT EXISTS simulated.market_daily AS tokenmeter.market_daily
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(day)
ORDER BY (day, model, variant, currency, cost_currency)
SETTINGS allow_nullable_key = 1
COMMENT 'Totals of simulated.usage_market by day'
