-- Totals of a day, from its lines.
-- Every group there was is written as gone under the version before, so that one without rows any more vanishes.
INSERT INTO tokenmeter.billing_daily
    (day, customer_id, project_id, api_key_id, model, currency, cost_currency, events, errors, unpriced, uncosted,
     provisional,
     each_quantity(#),
     reported_calls, reported_cost, charge,
     cost, version, gone)
SELECT
    toDate(s.occurred_hour, 'UTC') AS day,
    s.customer_id AS customer_id,
    s.project_id AS project_id,
    s.api_key_id AS api_key_id,
    s.model AS model,
    s.currency AS currency,
    s.cost_currency AS cost_currency,
    sum(s.events) AS events,
    sum(s.errors) AS errors,
    sumIf(s.events, s.charge IS NULL) AS unpriced,
    sumIf(s.events, s.cost IS NULL) AS uncosted,
    sumIf(s.events, s.provisional) AS provisional,
    each_quantity(sum(s.#) AS #),
    sum(s.reported_calls) AS reported_calls,
    sum(s.reported_cost) AS reported_cost,
    sum(s.charge) AS charge,
    sum(s.cost) AS cost,
    {version:UInt64} AS version,
    0 AS gone
FROM tokenmeter.usage_billing AS s FINAL
WHERE s.occurred_hour >= {from:DateTime('UTC')} AND s.occurred_hour < {until:DateTime('UTC')}
GROUP BY day, customer_id, project_id, api_key_id, model, currency, cost_currency
UNION ALL
SELECT
    * REPLACE ({version:UInt64} - 1 AS version, 1 AS gone)
FROM tokenmeter.billing_daily FINAL
WHERE day >= toDate({from:DateTime('UTC')}) AND day < toDate({until:DateTime('UTC')})
SETTINGS do_not_merge_across_partitions_select_final = 1, max_partitions_per_insert_block = 0
