-- What is charged, costs and is owed by resellers, by kind and currency, in whole pico-units as text.
SELECT 'charge' AS kind, currency, toString(toInt128(sum(charge) * 1000000000000)) AS pico
FROM tokenmeter.usage_billing FINAL
WHERE charge IS NOT NULL AND currency IS NOT NULL
GROUP BY currency
UNION ALL
SELECT 'cost' AS kind, cost_currency AS currency, toString(toInt128(sum(cost) * 1000000000000)) AS pico
FROM tokenmeter.usage_billing FINAL
WHERE cost IS NOT NULL AND cost_currency IS NOT NULL
GROUP BY cost_currency
UNION ALL
SELECT 'resale' AS kind, currency, toString(toInt128(sum(charge) * 1000000000000)) AS pico
FROM tokenmeter.usage_resale FINAL
WHERE charge IS NOT NULL AND currency IS NOT NULL
GROUP BY currency
