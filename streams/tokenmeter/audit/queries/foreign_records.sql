-- What the loader put aside from one topic, in order.
SELECT partition, offset, reason
FROM tokenmeter.foreign_records FINAL
WHERE topic = {topic:String}
ORDER BY partition, offset
