-- As 0104, without corrections: they are no calls, and raw events hold each call once anyway.
CREATE OR REPLACE VIEW boards.calls_by_minute AS
SELECT
    toStartOfMinute(toDateTime(e.occurred_at, 'UTC'))                      AS minute,
    toInt64(count())                                                       AS calls,
    toInt64(countIf(e.status >= 400 OR e.error_class IS NOT NULL))         AS errors
FROM tokenmeter.usage_events AS e FINAL
WHERE e.occurred_at >= now64(6, 'UTC') - INTERVAL 2 DAY AND e.kind != 'CORRECTION'
GROUP BY minute
