-- Upstream's own figures for single calls against our cost of those calls, by day, model, provider and our currency.
-- Lines whose calls have no cost price say how many; of them what we would have paid is not known.
SELECT
    toDate(l.occurred_hour, 'UTC') AS day,
    l.model AS model,
    l.provider AS provider,
    l.cost_currency AS currency,
    toInt64(sum(l.reported_calls)) AS calls,
    toInt64(sumIf(l.reported_calls, l.reported_calls_cost IS NULL)) AS uncosted_calls,
    sum(l.reported_cost) AS reported,
    sum(l.reported_calls_cost) AS cost
FROM tokenmeter.usage_billing AS l FINAL
WHERE l.occurred_hour >= {since:DateTime64(6, 'UTC')}
  AND l.occurred_hour < {until:DateTime64(6, 'UTC')}
  AND ifNull(l.cost_price_id, '') != {own_key:String}
  AND (empty({providers:Array(String)}) OR has({providers:Array(String)}, l.provider))
GROUP BY day, model, provider, currency
HAVING calls != 0 OR ifNull(reported, 0) != 0 OR ifNull(cost, 0) != 0
ORDER BY day, model, provider, currency
