-- Where some pages end.
SELECT partition, first_offset, last_offset + 1 AS end
FROM tokenmeter.usage_pages FINAL
WHERE (partition, first_offset) IN arrayZip({partitions:Array(Int32)}, {firsts:Array(Int64)})
