-- What the meters did per UTC minute over two days: pages closed, events read, metered, repeated, quarantined and lost
-- before Kafka, and how old the newest call of a page was, at most, when the page closed.
CREATE VIEW IF NOT EXISTS boards.pages AS
SELECT
    toStartOfMinute(toDateTime(closed_at, 'UTC'))                                        AS minute,
    toInt64(count())                                                                     AS pages,
    toInt64(sum(events_in))                                                              AS events_in,
    toInt64(sum(events))                                                                 AS events,
    toInt64(sum(duplicates))                                                             AS duplicates,
    toInt64(sum(quarantined))                                                            AS quarantined,
    toInt64(sum(lost))                                                                   AS lost,
    toInt64(max(dateDiff('millisecond', latest_occurred_at, closed_at)))                 AS lag_ms
FROM tokenmeter.usage_pages FINAL
WHERE closed_at >= now64(6, 'UTC') - INTERVAL 2 DAY
GROUP BY minute
