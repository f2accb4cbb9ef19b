-- Money, latency and generation time of the market. Lines loaded before say nothing of them: 0 calls, null money.
ALTER TABLE tokenmeter.usage_market
    ADD COLUMN IF NOT EXISTS currency LowCardinality(Nullable(String)) AFTER occurred_hour,
    ADD COLUMN IF NOT EXISTS cost_currency LowCardinality(Nullable(String)) AFTER currency,
    ADD COLUMN IF NOT EXISTS unpriced Int64 AFTER byok,
    ADD COLUMN IF NOT EXISTS uncosted Int64 AFTER unpriced,
    ADD COLUMN IF NOT EXISTS latency_calls Int64 AFTER uncosted,
    ADD COLUMN IF NOT EXISTS latency_sum_ms Int64 AFTER latency_calls,
    ADD COLUMN IF NOT EXISTS generation_calls Int64 AFTER latency_sum_ms,
    ADD COLUMN IF NOT EXISTS generation_sum_ms Int64 AFTER generation_calls,
    ADD COLUMN IF NOT EXISTS generation_tokens Int64 AFTER generation_sum_ms
