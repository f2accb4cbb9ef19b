-- Which of these identities have a stored event, and where it stood in the log.
SELECT customer_id, event_id, partition, offset
FROM tokenmeter.usage_events FINAL
WHERE customer_id IN {customers:Array(String)} AND event_id IN {events:Array(String)}
