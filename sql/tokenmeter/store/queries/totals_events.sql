-- Accepted events, each once, and the sum of every quantity.
SELECT
    toInt64(count()) AS events,
    each_quantity(sum(#) AS #)
FROM tokenmeter.usage_events FINAL
