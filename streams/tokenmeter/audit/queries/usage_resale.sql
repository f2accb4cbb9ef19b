-- Resale lines of one partition, added up by page. Amounts of all currencies are added: it is a check, not a figure.
SELECT
    first_offset,
    toInt64(count()) AS lines,
    toInt64(countIf(l.charge IS NULL)) AS unpriced_lines,
    sum(l.events) AS events,
    sum(l.errors) AS errors,
    sum(l.input_tokens) AS input_tokens,
    sum(l.cached_input_tokens) AS cached_input_tokens,
    sum(l.cache_write_tokens) AS cache_write_tokens,
    sum(l.cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(l.input_audio_tokens) AS input_audio_tokens,
    sum(l.input_image_tokens) AS input_image_tokens,
    sum(l.output_tokens) AS output_tokens,
    sum(l.reasoning_tokens) AS reasoning_tokens,
    sum(l.output_audio_tokens) AS output_audio_tokens,
    sum(l.output_image_tokens) AS output_image_tokens,
    sum(l.images_in) AS images_in,
    sum(l.images_out) AS images_out,
    sum(l.video_seconds) AS video_seconds,
    sum(l.tool_calls) AS tool_calls,
    sum(l.tool_call_errors) AS tool_call_errors,
    sum(l.web_searches) AS web_searches,
    ifNull(sum(l.charge), 0) AS charge
FROM tokenmeter.usage_resale AS l FINAL
WHERE partition = {partition:Int32} AND first_offset >= {begin:Int64} AND first_offset < {end:Int64}
GROUP BY first_offset
