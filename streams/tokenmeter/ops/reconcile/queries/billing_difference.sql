-- By page and billing key: what the lines say beyond the raw events of the page's offsets, each identity once (the
-- first). Zero rows when every event was metered once; what differs is a copy that was metered again.
WITH pages AS
(
    SELECT partition, first_offset, last_offset
    FROM tokenmeter.usage_pages FINAL
    WHERE first_offset >= {begins:Array(Int64)}[indexOf({partitions:Array(Int32)}, partition)]
      AND first_offset < {ends:Array(Int64)}[indexOf({partitions:Array(Int32)}, partition)]
)
SELECT
    partition,
    first_offset,
    customer_id,
    project_id,
    api_key_id,
    model,
    variant,
    service_tier,
    provider,
    hour AS occurred_hour,
    sum(events_) AS events,
    sum(errors_) AS errors,
    each_quantity(sum(#_) AS #)
FROM
(
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
        l.occurred_hour AS hour,
        l.events AS events_,
        l.errors AS errors_,
        each_quantity(l.# AS #_)
    FROM tokenmeter.usage_billing AS l FINAL
    WHERE l.first_offset >= {begins:Array(Int64)}[indexOf({partitions:Array(Int32)}, l.partition)]
      AND l.first_offset < {ends:Array(Int64)}[indexOf({partitions:Array(Int32)}, l.partition)]
    UNION ALL
    SELECT
        p.partition AS partition,
        p.first_offset AS first_offset,
        e.customer_id AS customer_id,
        e.project_id AS project_id,
        e.api_key_id AS api_key_id,
        e.model AS model,
        e.variant AS variant,
        e.service_tier AS service_tier,
        e.provider AS provider,
        toDateTime64(toStartOfHour(e.occurred_at), 6, 'UTC') AS hour,
        -if(e.kind = 'CORRECTION', e.calls, 1) AS events_,
        -if(e.kind = 'CORRECTION', e.calls, 1) * (e.status >= 400 OR e.error_class IS NOT NULL) AS errors_,
        each_quantity(-e.# AS #_)
    FROM tokenmeter.usage_events AS e FINAL
    ASOF INNER JOIN pages AS p ON e.partition = p.partition AND e.offset >= p.first_offset
    WHERE e.offset <= p.last_offset
)
GROUP BY partition, first_offset, customer_id, project_id, api_key_id, model, variant, service_tier, provider, hour
HAVING greatest(
    events != 0,
    errors != 0,
    each_quantity(# != 0)
)
ORDER BY partition, first_offset, customer_id, project_id, api_key_id, model, variant, service_tier, provider, hour
