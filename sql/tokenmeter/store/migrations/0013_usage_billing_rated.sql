-- Which price each line was charged by. Lines loaded before have none and are unpriced.
ALTER TABLE tokenmeter.usage_billing
    ADD COLUMN IF NOT EXISTS cost_price_id Nullable(String) AFTER price_id,
    ADD COLUMN IF NOT EXISTS plan_id LowCardinality(Nullable(String)) AFTER cost_price_id,
    ADD COLUMN IF NOT EXISTS chain Nullable(String) AFTER plan_id,
    ADD COLUMN IF NOT EXISTS currency LowCardinality(Nullable(String)) AFTER chain,
    ADD COLUMN IF NOT EXISTS cost_currency LowCardinality(Nullable(String)) AFTER currency,
    ADD COLUMN IF NOT EXISTS provisional Bool AFTER cost_currency,
    ADD COLUMN IF NOT EXISTS tokens_squared Nullable(Decimal(38, 0)) AFTER web_searches,
    ADD COLUMN IF NOT EXISTS reported_calls Int64 AFTER tokens_squared,
    ADD COLUMN IF NOT EXISTS reported_cost Nullable(Decimal(38, 12)) AFTER cost,
    ADD COLUMN IF NOT EXISTS reported_calls_cost Nullable(Decimal(38, 12)) AFTER reported_cost
