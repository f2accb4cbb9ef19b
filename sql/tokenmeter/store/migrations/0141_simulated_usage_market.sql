-- The columns of tokenmeter.usage_market, for simulated rows.
CREATE TABLE IF NOT EXISTS simulated.usage_market AS tokenmeter.usage_market
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_hour)
ORDER BY (occurred_hour, partition, first_offset, line)
COMMENT 'Simulated lines. They are kept: what they are 18 months old for is to be looked at'
