-- What the billing lines add up to.
SELECT
    sum(events) AS events,
    each_quantity(sum(#) AS #)
FROM tokenmeter.usage_billing FINAL
