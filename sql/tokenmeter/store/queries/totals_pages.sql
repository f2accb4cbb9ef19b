-- What the page records add up to.
SELECT
    sum(events) AS events,
    each_quantity(sum(#) AS #)
FROM tokenmeter.usage_pages FINAL
