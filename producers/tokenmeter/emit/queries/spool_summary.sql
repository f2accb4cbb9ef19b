SELECT source, topic, count(*), sum(length(key) + length(value)), min(accepted_us), max(accepted_us)
FROM event GROUP BY source, topic ORDER BY min(id)
