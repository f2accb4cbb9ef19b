-- What the market lines add up to.
SELECT
    sum(events) AS events,
    each_quantity(sum(#) AS #)
FROM tokenmeter.usage_market FINAL
