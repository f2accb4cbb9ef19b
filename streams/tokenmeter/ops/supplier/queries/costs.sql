-- What our lines say a day's calls cost, by model and currency. A null currency: calls that have no cost price. Calls on
-- a customer's own upstream key are not on our bill.
SELECT
    toDate(l.occurred_hour, {zone:String}) AS day,
    l.model AS model,
    l.cost_currency AS currency,
    toInt64(sum(l.events)) AS calls,
    toInt64(sumIf(l.events, l.cost IS NULL)) AS uncosted_calls,
    toInt64(sum(l.input_tokens)) AS input_tokens,
    toInt64(sum(l.output_tokens)) AS output_tokens,
    sum(l.cost) AS cost
FROM tokenmeter.usage_billing AS l FINAL
WHERE l.occurred_hour >= {since:DateTime64(6, 'UTC')}
  AND l.occurred_hour < {until:DateTime64(6, 'UTC')}
  AND ifNull(l.cost_price_id, '') != {own_key:String}
  AND (empty({providers:Array(String)}) OR has({providers:Array(String)}, l.provider))
GROUP BY day, model, currency
HAVING calls != 0 OR input_tokens != 0 OR output_tokens != 0 OR ifNull(cost, 0) != 0
ORDER BY day, model, currency
