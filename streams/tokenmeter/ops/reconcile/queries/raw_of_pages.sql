-- The raw events of some pages, each identity once (the first), with the page each lies in. No time is asked for: days
-- that are not read could make a later copy that says another day the first.
WITH pages AS
(
    SELECT place.1 AS partition, place.2 AS first_offset, place.3 AS last_offset
    FROM (
        SELECT arrayJoin(arrayZip({partitions:Array(Int32)}, {firsts:Array(Int64)}, {lasts:Array(Int64)})) AS place
    )
)
SELECT
    p.partition AS partition,
    p.first_offset AS first_offset,
    e.corrects AS corrects,
    e.source AS source,
    e.occurred_at AS occurred_at,
    e.customer_id AS customer_id,
    e.project_id AS project_id,
    e.api_key_id AS api_key_id,
    e.app_id AS app_id,
    e.country AS country,
    e.operation AS operation,
    e.model AS model,
    e.variant AS variant,
    e.provider AS provider,
    e.service_tier AS service_tier,
    e.streamed AS streamed,
    e.cancelled AS cancelled,
    e.byok AS byok,
    e.status AS status,
    e.error_class AS error_class,
    each_quantity(e.# AS #),
    e.calls AS calls,
    e.context_bucket AS context_bucket,
    e.rating AS rating
FROM tokenmeter.usage_events AS e FINAL
ASOF INNER JOIN pages AS p ON e.partition = p.partition AND e.offset >= p.first_offset
WHERE e.offset <= p.last_offset
  AND (empty({models:Array(String)}) OR has({models:Array(String)}, e.model))
  AND (empty({customers:Array(String)}) OR has({customers:Array(String)}, e.customer_id))
