-- Events that could not be used, whole, one row per place in the log.
CREATE TABLE IF NOT EXISTS tokenmeter.quarantine
(
    partition      Int32,
    offset         Int64,
    appended_at    DateTime64(3, 'UTC'),
    reason         LowCardinality(String),
    detail         String,
    customer_id    Nullable(String),
    event_id       Nullable(String),
    value          String,
    quarantined_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (partition, offset)
TTL toDateTime(appended_at) + INTERVAL 126 DAY
