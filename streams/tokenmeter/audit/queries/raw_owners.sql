-- Where ClickHouse keeps these events.
SELECT customer_id, event_id, partition, offset
FROM tokenmeter.usage_events FINAL
WHERE (customer_id, event_id) IN {events:Array(Tuple(String, String))}
