-- The pages to judge of each partition: whole ones from begins on and below the offsets ends, but only those after the
-- last page closed before {since}: of older ones the raw events may be gone.
WITH too_old AS
(
    SELECT partition AS number, maxIf(last_offset + 1, closed_at < {since:DateTime64(6, 'UTC')}) AS below
    FROM tokenmeter.usage_pages FINAL
    GROUP BY number
)
SELECT
    p.partition AS partition,
    min(p.first_offset) AS begin,
    toInt64(any(t.below)) AS below,
    max(p.last_offset) + 1 AS end,
    toInt64(count()) AS pages,
    sum(p.last_offset - p.first_offset + 1) AS offsets,
    toInt64(sum(p.billing_lines)) AS billing_lines,
    toInt64(sum(p.market_lines)) AS market_lines
FROM tokenmeter.usage_pages AS p FINAL
INNER JOIN too_old AS t ON t.number = p.partition
WHERE p.first_offset >= greatest({begins:Array(Int64)}[indexOf({partitions:Array(Int32)}, p.partition)], t.below)
  AND p.last_offset < {ends:Array(Int64)}[indexOf({partitions:Array(Int32)}, p.partition)]
GROUP BY partition
ORDER BY partition
