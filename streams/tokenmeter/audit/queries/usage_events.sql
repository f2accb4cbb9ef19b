-- Raw rows of one partition by the page their offset lies in; pages begin at the offsets in firsts.
SELECT
    roundDown(offset, {firsts:Array(Int64)}) AS first_offset,
    toInt64(count()) AS events,
    sum(toUInt64(offset)) AS offset_sum,
    sum(toUInt64(offset) * toUInt64(offset)) AS offset_squares,
    sum(e.input_tokens) AS input_tokens,
    sum(e.cached_input_tokens) AS cached_input_tokens,
    sum(e.cache_write_tokens) AS cache_write_tokens,
    sum(e.cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(e.input_audio_tokens) AS input_audio_tokens,
    sum(e.input_image_tokens) AS input_image_tokens,
    sum(e.output_tokens) AS output_tokens,
    sum(e.reasoning_tokens) AS reasoning_tokens,
    sum(e.output_audio_tokens) AS output_audio_tokens,
    sum(e.output_image_tokens) AS output_image_tokens,
    sum(e.images_in) AS images_in,
    sum(e.images_out) AS images_out,
    sum(e.video_seconds) AS video_seconds,
    sum(e.tool_calls) AS tool_calls,
    sum(e.tool_call_errors) AS tool_call_errors,
    sum(e.web_searches) AS web_searches
FROM tokenmeter.usage_events AS e FINAL
WHERE partition = {partition:Int32} AND offset >= {begin:Int64} AND offset < {end:Int64}
GROUP BY first_offset
