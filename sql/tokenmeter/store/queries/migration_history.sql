-- Which migrations were applied, and with what text.
CREATE TABLE IF NOT EXISTS tokenmeter.schema_migrations
(
    name       String,
    checksum   String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY name
