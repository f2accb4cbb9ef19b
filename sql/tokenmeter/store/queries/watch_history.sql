-- What customers and their keys did, by the minute in which the page of their lines was closed: what the watch saw.
SELECT
    customer_id,
    api_key_id,
    intDiv(toUnixTimestamp(pages.closed_at), {bucket_s:UInt32}) AS bucket,
    toInt64(sum(lines.events))                                 AS calls,
    toInt64(sum(lines.input_tokens + lines.output_tokens))     AS tokens,
    toFloat64(sum(coalesce(toFloat64(lines.tokens_squared),
        pow(lines.input_tokens + lines.output_tokens, 2) / lines.events))) AS squares,
    toFloat64(sum(coalesce(lines.charge, 0)))                  AS paid
FROM tokenmeter.usage_billing AS lines FINAL
INNER JOIN (SELECT partition, first_offset, closed_at FROM tokenmeter.usage_pages FINAL) AS pages
    ON lines.partition = pages.partition AND lines.first_offset = pages.first_offset
WHERE pages.closed_at >= toDateTime64({since_s:Int64}, 6, 'UTC')
    AND lines.occurred_hour >= toDateTime64({since_s:Int64} - 2 * 3600, 6, 'UTC')
    AND lines.events > 0 AND lines.input_tokens + lines.output_tokens >= 0
GROUP BY customer_id, api_key_id, bucket
ORDER BY bucket, customer_id, api_key_id
