-- What the loader put aside since a time, the newest first.
SELECT topic, partition, offset, appended_at, reason, detail, length(value) AS bytes, hex(value) AS hexed
FROM tokenmeter.foreign_records FINAL
WHERE appended_at >= fromUnixTimestamp64Milli({since_ms:Int64})
ORDER BY appended_at DESC, topic, partition, offset
LIMIT {rows_max:UInt32}
