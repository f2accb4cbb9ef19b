-- Scratch of a reconcile run: identities of the log's records that must be among the raw events before anything that
-- seems to be counted twice is taken off. Kept a day.
CREATE TABLE IF NOT EXISTS tokenmeter.reconcile_identities
(
    chunk       String,
    customer_id String,
    event_id    String,
    noted_at    DateTime DEFAULT now()
)
ENGINE = MergeTree
ORDER BY chunk
TTL noted_at + INTERVAL 1 DAY
