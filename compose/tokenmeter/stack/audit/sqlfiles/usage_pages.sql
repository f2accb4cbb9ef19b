-- Page records of one partition.
SELECT
    first_offset,
    events,
    input_tokens,
    cached_input_tokens,
    cache_write_tokens,
    cache_write_1h_tokens,
    input_audio_tokens,
    input_image_tokens,
    output_tokens,
    reasoning_tokens,
    output_audio_tokens,
    output_image_tokens,
    images_in,
    images_out,
    video_seconds,
    tool_calls,
    tool_call_errors,
    web_searches,
    lower(hex(digest)) AS digest
FROM tokenmeter.usage_pages FINAL
WHERE partition = {partition:Int32} AND first_offset >= {begin:Int64} AND first_offset < {end:Int64}
