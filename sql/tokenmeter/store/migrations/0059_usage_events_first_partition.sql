-- Where usage.events has grown, a customer's copies of one event may lie on two partitions: the older ones on the one
-- with the smaller number, for a topic grows to a multiple. Rows from before keep their version, which is never smaller.
ALTER TABLE tokenmeter.usage_events
    MODIFY COLUMN version UInt64 MATERIALIZED bitNot(bitOr(bitShiftLeft(toUInt64(partition), 48), toUInt64(offset)))
    COMMENT 'Of two copies the one on the smaller partition, then with the smaller offset, is kept'
