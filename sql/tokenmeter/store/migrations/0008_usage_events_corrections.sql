-- What a CORRECTION says beyond its deltas: how many calls it stands for, and the market line's bucket. 0 and null in
-- every row loaded before.
ALTER TABLE tokenmeter.usage_events
    ADD COLUMN IF NOT EXISTS calls Int64 AFTER reported_cost,
    ADD COLUMN IF NOT EXISTS context_bucket LowCardinality(Nullable(String)) AFTER calls
