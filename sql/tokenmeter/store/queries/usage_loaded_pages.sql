-- The newest pages of each partition, oldest first: how many billing lines each has, how many of them are loaded, and
-- the days these are of.
WITH newest AS
(
    SELECT partition, first_offset, billing_lines, closed_at
    FROM tokenmeter.usage_pages FINAL
    ORDER BY partition, first_offset DESC
    LIMIT {pages:UInt32} BY partition
)
SELECT
    n.partition AS partition,
    n.closed_at AS closed_at,
    n.billing_lines AS billing_lines,
    l.lines AS lines,
    l.days AS days
FROM newest AS n
LEFT JOIN
(
    SELECT
        partition, first_offset, uniqExact(line) AS lines, groupUniqArray(toDate(occurred_hour, 'UTC')) AS days
    FROM tokenmeter.usage_billing
    WHERE (partition, first_offset) IN (SELECT partition, first_offset FROM newest)
    GROUP BY partition, first_offset
) AS l ON l.partition = n.partition AND l.first_offset = n.first_offset
ORDER BY n.partition, n.first_offset
