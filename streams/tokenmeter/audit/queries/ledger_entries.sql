-- CHARGE entries of the pages of one partition, added up by page. Amounts of all currencies are added: it is a check,
-- not a figure. A budget's own entries are among them.
SELECT
    assumeNotNull(e.first_offset) AS first_offset,
    toInt64(count()) AS entries,
    toInt64(countIf(e.amount IS NULL)) AS unpriced_entries,
    sum(e.calls) AS calls,
    sum(e.errors) AS errors,
    sum(e.input_tokens) AS input_tokens,
    sum(e.output_tokens) AS output_tokens,
    sum(e.unpriced) AS unpriced,
    ifNull(sum(e.amount), 0) AS amount
FROM tokenmeter.ledger_entries AS e FINAL
WHERE e.kind = 'CHARGE' AND e.partition = {partition:Int32}
  AND e.first_offset >= {begin:Int64} AND e.first_offset < {end:Int64}
GROUP BY e.first_offset
