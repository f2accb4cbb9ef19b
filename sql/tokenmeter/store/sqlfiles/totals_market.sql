-- What the market lines add up to.
SELECT
    sum(events) AS events,
    sum(input_tokens) AS input_tokens,
    sum(cached_input_tokens) AS cached_input_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(input_audio_tokens) AS input_audio_tokens,
    sum(input_image_tokens) AS input_image_tokens,
    sum(output_tokens) AS output_tokens,
    sum(reasoning_tokens) AS reasoning_tokens,
    sum(output_audio_tokens) AS output_audio_tokens,
    sum(output_image_tokens) AS output_image_tokens,
    sum(images_in) AS images_in,
    sum(images_out) AS images_out,
    sum(video_seconds) AS video_seconds,
    sum(tool_calls) AS tool_calls,
    sum(tool_call_errors) AS tool_call_errors,
    sum(web_searches) AS web_searches
FROM tokenmeter.usage_market FINAL
