-- Identities of a chunk that the raw table has no row of.
SELECT customer_id, event_id
FROM tokenmeter.reconcile_identities
WHERE chunk = {chunk:String}
  AND (customer_id, event_id) NOT IN
  (
      SELECT customer_id, event_id
      FROM tokenmeter.usage_events
      WHERE (customer_id, event_id) IN
      (
          SELECT customer_id, event_id FROM tokenmeter.reconcile_identities WHERE chunk = {chunk:String}
      )
  )
ORDER BY customer_id, event_id
LIMIT 3
