-- The billing lines of some pages, with the rating of each as a CORRECTION carries it.
SELECT
    l.partition AS partition,
    l.first_offset AS first_offset,
    l.customer_id AS customer_id,
    l.project_id AS project_id,
    l.api_key_id AS api_key_id,
    l.model AS model,
    l.variant AS variant,
    l.service_tier AS service_tier,
    l.provider AS provider,
    l.occurred_hour AS occurred_hour,
    concat(
        ifNull(l.price_id, ''), '|', ifNull(l.cost_price_id, ''), '|', ifNull(toString(l.plan_id), ''), '|', ifNull(l.chain, '')
    ) AS rating,
    l.events AS events,
    l.errors AS errors,
    each_quantity(l.# AS #)
FROM tokenmeter.usage_billing AS l FINAL
WHERE (l.partition, l.first_offset) IN arrayZip({partitions:Array(Int32)}, {firsts:Array(Int64)})
  AND l.occurred_hour >= {since:DateTime64(6, 'UTC')}
  AND l.occurred_hour < {until:DateTime64(6, 'UTC')}
  AND (empty({models:Array(String)}) OR has({models:Array(String)}, l.model))
  AND (empty({customers:Array(String)}) OR has({customers:Array(String)}, l.customer_id))
