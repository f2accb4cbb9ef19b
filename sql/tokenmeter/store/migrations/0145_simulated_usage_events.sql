-- The columns of tokenmeter.usage_events, for simulated rows.
CREATE TABLE IF NOT EXISTS simulated.usage_events AS tokenmeter.usage_events
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMMDD(occurred_at)
ORDER BY (customer_id, event_id)
COMMENT 'Simulated calls'
