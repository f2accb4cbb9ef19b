-- Of each partition: where the stored pages that begin before the offset ends reach to, and where all of them do.
SELECT
    p.partition AS partition,
    toInt64(maxIf(p.last_offset + 1, p.first_offset < {ends:Array(Int64)}[indexOf({partitions:Array(Int32)}, p.partition)]))
        AS reached,
    toInt64(max(p.last_offset) + 1) AS beyond
FROM tokenmeter.usage_pages AS p
WHERE has({partitions:Array(Int32)}, p.partition)
GROUP BY partition
