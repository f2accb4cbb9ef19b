-- By page and market key: what the lines say beyond the raw events of the page's offsets; see billing_difference.sql.
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
    model,
    provider,
    app_id,
    variant,
    operation,
    country,
    bucket AS context_bucket,
    hour AS occurred_hour,
    sum(events_) AS events,
    sum(errors_) AS errors,
    sum(rate_limited_) AS rate_limited,
    sum(streamed_) AS streamed,
    sum(cancelled_) AS cancelled,
    sum(byok_) AS byok,
    each_quantity(sum(#_) AS #)
FROM
(
    SELECT
        l.partition AS partition,
        l.first_offset AS first_offset,
        l.model AS model,
        l.provider AS provider,
        l.app_id AS app_id,
        l.variant AS variant,
        l.operation AS operation,
        l.country AS country,
        l.context_bucket AS bucket,
        l.occurred_hour AS hour,
        l.events AS events_,
        l.errors AS errors_,
        l.rate_limited AS rate_limited_,
        l.streamed AS streamed_,
        l.cancelled AS cancelled_,
        l.byok AS byok_,
        each_quantity(l.# AS #_)
    FROM tokenmeter.usage_market AS l FINAL
    WHERE l.first_offset >= {begins:Array(Int64)}[indexOf({partitions:Array(Int32)}, l.partition)]
      AND l.first_offset < {ends:Array(Int64)}[indexOf({partitions:Array(Int32)}, l.partition)]
    UNION ALL
    SELECT
        p.partition AS partition,
        p.first_offset AS first_offset,
        e.model AS model,
        e.provider AS provider,
        e.app_id AS app_id,
        e.variant AS variant,
        e.operation AS operation,
        e.country AS country,
        ifNull(
                toString(e.context_bucket),
                {bucket_names:Array(String)}[arrayFirstIndex(t -> abs(e.input_tokens) < t, {bucket_ends:Array(Int64)})]
            ) AS bucket,
        toDateTime64(toStartOfHour(e.occurred_at), 6, 'UTC') AS hour,
        -if(e.kind = 'CORRECTION', e.calls, 1) AS events_,
        -if(e.kind = 'CORRECTION', e.calls, 1) * (e.status >= 400 OR e.error_class IS NOT NULL) AS errors_,
        -if(e.kind = 'CORRECTION', e.calls, 1) * (e.status = 429) AS rate_limited_,
        -if(e.kind = 'CORRECTION', e.calls, 1) * e.streamed AS streamed_,
        -if(e.kind = 'CORRECTION', e.calls, 1) * e.cancelled AS cancelled_,
        -if(e.kind = 'CORRECTION', e.calls, 1) * e.byok AS byok_,
        each_quantity(-e.# AS #_)
    FROM tokenmeter.usage_events AS e FINAL
    ASOF INNER JOIN pages AS p ON e.partition = p.partition AND e.offset >= p.first_offset
    WHERE e.offset <= p.last_offset
)
GROUP BY partition, first_offset, model, provider, app_id, variant, operation, country, bucket, hour
HAVING greatest(
    events != 0,
    errors != 0,
    rate_limited != 0,
    streamed != 0,
    cancelled != 0,
    byok != 0,
    each_quantity(# != 0)
)
ORDER BY partition, first_offset, model, provider, app_id, variant, operation, country, bucket, hour
