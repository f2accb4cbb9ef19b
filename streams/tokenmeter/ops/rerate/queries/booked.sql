-- Corrections of some pages that we made: those of a source, with the page each names.
SELECT
    toInt32(extract(e.corrects, '^page:(\\d+)@')) AS partition,
    toInt64(extract(e.corrects, '@(\\d+)$')) AS first_offset,
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
WHERE e.kind = 'CORRECTION'
  AND e.source = {source:String}
  AND has({names:Array(String)}, e.corrects)
  AND e.occurred_at >= {since:DateTime64(6, 'UTC')}
  AND e.occurred_at < {until:DateTime64(6, 'UTC')}
  AND (empty({models:Array(String)}) OR has({models:Array(String)}, e.model))
  AND (empty({customers:Array(String)}) OR has({customers:Array(String)}, e.customer_id))
