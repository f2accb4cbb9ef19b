-- The pages that have lines of the usage in question.
SELECT p.partition AS partition, p.first_offset AS first_offset, p.last_offset AS last_offset,
       p.catalog_offset AS catalog_offset, p.closed_at AS closed_at, p.events AS events
FROM tokenmeter.usage_pages AS p FINAL
WHERE (p.partition, p.first_offset) IN
(
    SELECT l.partition, l.first_offset
    FROM tokenmeter.usage_billing AS l
    WHERE l.occurred_hour >= {since:DateTime64(6, 'UTC')}
      AND l.occurred_hour < {until:DateTime64(6, 'UTC')}
      AND (empty({models:Array(String)}) OR has({models:Array(String)}, l.model))
      AND (empty({customers:Array(String)}) OR has({customers:Array(String)}, l.customer_id))
)
ORDER BY partition, first_offset
