-- The raw rows of one page, offset by offset.
SELECT offset, customer_id, event_id, $fields
FROM tokenmeter.usage_events FINAL
WHERE partition = {partition:Int32} AND offset >= {first:Int64} AND offset <= {last:Int64}
