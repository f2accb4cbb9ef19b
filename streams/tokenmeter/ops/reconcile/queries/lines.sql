-- How many lines of the pages [begins, ends) ClickHouse holds.
SELECT
    l.partition AS partition,
    toInt64(countIf(l.kind = 'billing')) AS billing_lines,
    toInt64(countIf(l.kind = 'market')) AS market_lines
FROM
(
    SELECT partition, first_offset, 'billing' AS kind FROM tokenmeter.usage_billing FINAL
    UNION ALL
    SELECT partition, first_offset, 'market' AS kind FROM tokenmeter.usage_market FINAL
) AS l
WHERE l.first_offset >= {begins:Array(Int64)}[indexOf({partitions:Array(Int32)}, l.partition)]
  AND l.first_offset < {ends:Array(Int64)}[indexOf({partitions:Array(Int32)}, l.partition)]
GROUP BY partition
ORDER BY partition
