-- Some pages: where they end and which catalog they were rated by.
SELECT partition, first_offset, last_offset, catalog_offset
FROM tokenmeter.usage_pages FINAL
WHERE (partition, first_offset) IN arrayZip({partitions:Array(Int32)}, {firsts:Array(Int64)})
