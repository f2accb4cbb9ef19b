-- Corrections of some pages that we made: those of a source, with the page each names.
SELECT
    toInt32(extract(e.corrects, '^page:(\\d+)@')) AS partition,
    toInt64(extract(e.corrects, '@(\\d+)$')) AS first_offset,
    e.corrects AS corrects,
    e.source AS source,
    e.occurred_at AS occurred_at,
    e.customer_id AS customer_id,
    e.project_id AS project_id,
    e.api_key_id AS api_key_id,
    e.app_id AS app_id,
    e.country AS country,
    e.operation AS operation,
    e.model AS model,
    e.variant AS variant,
    e.provider AS provider,
    e.service_tier AS service_tier,
    e.streamed AS streamed,
    e.cancelled AS cancelled,
    e.byok AS byok,
    e.status AS status,
    e.error_class AS error_class,
    e.input_tokens AS input_tokens,
    e.cached_input_tokens AS cached_input_tokens,
    e.cache_write_tokens AS cache_write_tokens,
    e.cache_write_1h_tokens AS cache_write_1h_tokens,
    e.input_audio_tokens AS input_audio_tokens,
    e.input_image_tokens AS input_image_tokens,
    e.output_tokens AS output_tokens,
    e.reasoning_tokens AS reasoning_tokens,
    e.output_audio_tokens AS output_audio_tokens,
    e.output_image_tokens AS output_image_tokens,
    e.images_in AS images_in,
    e.images_out AS images_out,
    e.video_seconds AS video_seconds,
    e.tool_calls AS tool_calls,
    e.tool_call_errors AS tool_call_errors,
    e.web_searches AS web_searches,
    e.calls AS calls,
    e.context_bucket AS context_bucket,
    e.rating AS rating
FROM tokenmeter.usage_events AS e FINAL
WHERE e.kind = 'CORRECTION'
  AND e.source = {source:String}
  AND has({names:Array(String)}, e.corrects)
  AND e.occurred_at >= {since:DateTime64(6, 'UTC')}
  AND e.occurred_at < {until:DateTime64(6, 'UTC')}
  AND (empty({models:Array(String)}) OR has({models:Array(String)}, e.model))
  AND (empty({customers:Array(String)}) OR has({customers:Array(String)}, e.customer_id))
