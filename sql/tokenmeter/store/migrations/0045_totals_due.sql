-- What the totals still lack. The loader writes ``touched`` after its rows and before it commits its page, so whatever is
-- killed in between, the next loader knows which totals to make.
CREATE TABLE IF NOT EXISTS tokenmeter.totals_due
(
    source  LowCardinality(String) COMMENT 'Table whose rows arrived',
    bucket  DateTime('UTC') COMMENT 'Their hour; of usage_events their minute',
    touched SimpleAggregateFunction(max, UInt64) COMMENT 'Version of the last arrival',
    made    SimpleAggregateFunction(max, UInt64) COMMENT 'Version of the last remake of its totals'
)
ENGINE = AggregatingMergeTree
ORDER BY (source, bucket)
TTL bucket + INTERVAL 130 DAY
COMMENT 'Hours and minutes whose totals are due: touched is greater than made'
