-- What is on a topic of ours and no record of ours: a stranger wrote it, or it is damaged.
CREATE TABLE IF NOT EXISTS tokenmeter.foreign_records
(
    topic       LowCardinality(String),
    partition   Int32,
    offset      Int64,
    appended_at DateTime64(3, 'UTC') COMMENT 'When it was written, by the clock the topic keeps',
    reason      LowCardinality(String) COMMENT 'empty, truncated, magic, schema or avro',
    detail      String,
    value       String COMMENT 'Its bytes, unchanged'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset)
COMMENT 'Records that the loader put aside, one row a place in Kafka; read it FINAL'
