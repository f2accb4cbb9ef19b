-- The columns of tokenmeter.market_hourly, for simulated rows.
CREATE TABLE IF NOT EXISTS simulated.market_hourly AS tokenmeter.market_hourly
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(occurred_hour)
ORDER BY (occurred_hour, model, provider, variant, currency, cost_currency)
SETTINGS allow_nullable_key = 1
COMMENT 'Totals of simulated.usage_market by hour'
